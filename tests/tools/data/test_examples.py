"""Orders of examples, and the batches that they make."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.tiny_task import NAME, run, run_here, write_backbone, write_sst2
from tools.benchmarks.training import sample
from tools.data.examples import Examples


def make_examples(lengths) -> Examples:
    tokens = tf.RaggedTensor.from_row_lengths(np.arange(1, sum(lengths) + 1, dtype=np.int32), lengths)
    labels = np.arange(len(lengths), dtype=np.int32) % 2
    return Examples(np.arange(len(lengths)), tokens, tf.zeros_like(tokens), labels, pad_id=0)


@pytest.mark.parametrize(("count", "batch_size"), [(20, 4), (23, 4), (3, 5), (1, 1)])
def test_batches_of_similar_length(count, batch_size):
    examples = make_examples(np.random.default_rng(1).integers(2, 40, count))
    grouped = examples.grouped_by_length(batch_size, seed=5)
    assert sorted(grouped.row_ids) == list(range(count))
    ordered = np.sort(examples.lengths)
    rest, whole = count % batch_size, count - count % batch_size
    batches = grouped.lengths[:whole].reshape(-1, batch_size)
    assert (grouped.lengths[whole:] == ordered[:rest]).all()
    assert sorted(map(tuple, batches)) == sorted(map(tuple, ordered[rest:].reshape(-1, batch_size)))
    again = examples.grouped_by_length(batch_size, seed=5)
    assert (again.row_ids == grouped.row_ids).all()


def test_batches_of_similar_length_come_in_random_order():
    examples = make_examples(np.arange(2, 42))
    firsts = [examples.grouped_by_length(4, seed).lengths[::4] for seed in range(2)]
    assert (np.sort(firsts[0]) == np.sort(firsts[1])).all() and (firsts[0] != firsts[1]).any()


def test_a_sample_of_grouped_batches_stands_for_the_epoch():
    examples = make_examples(np.random.default_rng(2).integers(2, 60, 400)).shuffled(3)
    pairs = sample(examples, 5)
    shapes = np.array([[batch[0]["input_ids"].shape[1] for batch in pair] for pair in pairs])
    whole = [b[0]["input_ids"].shape[1] for b in examples.grouped_by_length(5, 0).batches(5)]
    assert len(pairs) == 8 and abs(shapes[:, 1].mean() - np.mean(whole)) < 2
    assert shapes[:, 1].mean() < shapes[:, 0].mean()


def test_training_benchmark(tmp_path):
    backbone, data = write_backbone(tmp_path / NAME, num_hidden_layers=2), write_sst2(tmp_path / "data")
    flags = f"--TASK sst2 --BACKBONE {backbone} --DATA_DIR {data} --MAX_LENGTH 16 --BATCH_SIZE 7"
    done = run_here(f"python -m tools.benchmarks.training {flags} --SAVE {tmp_path / 'training.json'}")
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "training.json").read_text())
    assert set(result["ratios"]) >= {"joint step / fine-tuning step", "joint step, padded / similar lengths"}
    assert all(low <= median <= high for median, low, high in result["ratios"].values())


def test_two_orders_at_once_are_refused():
    done = run("python run_files/run_classification_bert.py --TASK demo --RESHUFFLE --GROUP_BY_LENGTH")
    assert done.returncode == 2 and "--GROUP_BY_LENGTH" in done.stderr
