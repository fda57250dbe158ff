"""Orders of examples, and the batches that they make."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests.tiny_task import NAME, run_here, write_backbone, write_sst2
from tools.benchmarks.training import sample
from tools.data.examples import Examples


def make_examples(lengths) -> Examples:
    tokens = tf.RaggedTensor.from_row_lengths(np.arange(1, sum(lengths) + 1, dtype=np.int32), lengths)
    labels = np.arange(len(lengths), dtype=np.int32) % 2
    return Examples(np.arange(len(lengths)), tokens, tf.zeros_like(tokens), labels, pad_id=0)


def numbered(lengths) -> Examples:
    """Examples whose labels are their places."""
    return replace(make_examples(lengths), labels=np.arange(len(lengths), dtype=np.int32))


def test_a_row_has_another_checksum_if_its_tokens_types_or_label_change():
    rows = make_examples([3, 1, 2])
    changes = {
        "input_ids": tf.RaggedTensor.from_row_lengths(np.array([1, 2, 3, 9, 5, 6], np.int32), [3, 1, 2]),
        "token_type_ids": tf.RaggedTensor.from_row_lengths(np.array([0, 0, 0, 1, 0, 0], np.int32), [3, 1, 2]),
        "labels": np.array([0, 0, 0], np.int32),
    }
    for name, values in changes.items():
        same = rows.row_checksums() == replace(rows, **{name: values}).row_checksums()
        assert same.tolist() == [True, False, True], name
    assert rows.take(np.array([2, 0])).row_checksums().tolist() == rows.row_checksums()[[2, 0]].tolist()


def labels_of(batches) -> list[list[int]]:
    return [targets["labels"].numpy().tolist() for _, targets in batches]


@pytest.mark.parametrize(("count", "batch_size"), [(40, 4), (43, 4), (3, 5), (1, 1)])
def test_batches_of_similar_length(count, batch_size):
    """Every epoch has other batches with every example once; a resumed run goes on with those of its epoch."""
    examples = numbered(np.random.default_rng(1).integers(2, 40, count))
    batches = examples.reshuffled_batches(batch_size, seed=5, by_length=True)
    assert batches.cardinality() == -(-count // batch_size)
    epochs = [labels_of(batches) for _ in range(3)]
    for epoch in epochs:
        sizes = sorted(map(len, epoch))
        assert sorted(itertools.chain(*epoch)) == list(range(count)) and sizes[1:] == [batch_size] * (len(epoch) - 1)
    assert count < 5 or sorted(map(sorted, epochs[0])) != sorted(map(sorted, epochs[1]))
    assert epochs[2] == labels_of(examples.reshuffled_batches(batch_size, seed=5, first_epoch=2, by_length=True))


def test_batches_of_similar_length_have_little_padding_and_come_in_random_order():
    examples = numbered(np.random.default_rng(1).permutation(np.arange(2, 402)))
    orders = examples.batches(4), *(examples.reshuffled_batches(4, seed, by_length=True) for seed in (0, 1))
    padded = [np.array([inputs["input_ids"].shape[1] for inputs, _ in order]) for order in orders]
    tokens = examples.lengths.sum() / 4
    assert padded[1].sum() < 1.1 * tokens < 1.25 * tokens < padded[0].sum()
    assert (padded[1] != padded[2]).any() and (np.diff(padded[1]) < 0).sum() > 30


def test_inputs_and_targets_of_an_example_stay_together():
    examples = numbered(np.random.default_rng(1).integers(2, 40, 30))
    starts = examples.input_ids.to_tensor()[:, 0].numpy()
    for inputs, targets in examples.reshuffled_batches(4, seed=2, by_length=True):
        rows = targets["labels"].numpy()
        assert (inputs["input_ids"][:, 0].numpy() == starts[rows]).all()
        assert (inputs["attention_mask"].numpy().sum(axis=1) == examples.lengths[rows]).all()


def test_a_sample_of_grouped_batches_stands_for_the_epoch():
    examples = make_examples(np.random.default_rng(2).integers(2, 60, 400)).shuffled(3)
    pairs = sample(examples, 5)
    shapes = np.array([[batch[0]["input_ids"].shape[1] for batch in pair] for pair in pairs])
    whole = [batch[0]["input_ids"].shape[1] for batch in examples.reshuffled_batches(5, 0, by_length=True)]
    assert len(pairs) == 8 and abs(shapes[:, 1].mean() - np.mean(whole)) < 2
    assert shapes[:, 1].mean() < shapes[:, 0].mean()


@pytest.mark.slow
@pytest.mark.ci
def test_training_benchmark(tmp_path):
    backbone, data = write_backbone(tmp_path / NAME, num_hidden_layers=2), write_sst2(tmp_path / "data")
    flags = f"--TASK sst2 --BACKBONE {backbone} --DATA_DIR {data} --MAX_LENGTH 16 --BATCH_SIZE 7"
    done = run_here(f"python -m tools.benchmarks.training {flags} --SAVE {tmp_path / 'training.json'}")
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "training.json").read_text())
    assert set(result["ratios"]) >= {"joint step / fine-tuning step", "joint step, padded / similar lengths"}
    assert all(low <= median <= high for median, low, high in result["ratios"].values())
