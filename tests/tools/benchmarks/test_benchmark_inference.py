"""What is timed against each other computes the same."""

import json
import multiprocessing
import shutil
import time

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from transformers import BertConfig

from tests.compare import assert_close
from tests.tiny_task import run, write_backbone, write_sst2
from tools.benchmarks import precision
from tools.benchmarks.arguments import InferenceArguments, PrecisionArguments
from tools.benchmarks.forced_schedule import ForcedSchedule, random_batch
from tools.benchmarks.inference import benchmark, strung_together, time_point
from tools.benchmarks.measurement import op_shares, product_times, time_interleaved
from tools.benchmarks.memory import megabytes_at_peak
from tools.benchmarks.variants import make_variants, packed_bert, padded_to, saved_model, tokens_per_layer
from tools.common.paths import TaskPaths
from tools.data.examples import Examples
from tools.flops.formulas import adapler_flops, bert_flops
from tools.results import benchmark_tables as tables
from tools.results.tables import loading_table, precision_table
from tools.runtime.argument_parser import parse
from tools.runtime.arguments import RowArguments

LENGTHS = np.array([20, 9, 15])


@pytest.fixture(scope="module")
def forced():
    keras.utils.set_random_seed(0)
    sizes = {"hidden_size": 24, "num_attention_heads": 2, "num_hidden_layers": 3, "intermediate_size": 48}
    return ForcedSchedule(BertConfig(**sizes, initializer_range=0.3))


@pytest.fixture(scope="module")
def batch():
    return random_batch(LENGTHS, np.random.default_rng(0))


def test_variants_agree(forced, batch):
    forced.set_speedup(1.5, LENGTHS)
    variants = make_variants(forced.model)
    expected = variants[tables.COMPILED].run(batch)
    assert_close(variants[tables.CALLED].run(batch), expected, 1e-5)
    assert_close(variants[tables.OP_BY_OP].run(batch), expected, 1e-5)
    assert_close(saved_model(forced.model).run(batch), expected, 1e-5)
    plain = variants[tables.BASELINE]
    assert np.abs(plain.run(batch) - expected).max() > 1e-2
    assert_close(variants[tables.PACKED].run(batch), plain.run(batch), 1e-5)
    assert_close(padded_to(30, plain).run(batch), plain.run(batch), 1e-5)


def test_timing_ends_in_time_but_not_before_three_rounds():
    functions = {"a": time.sleep, "b": time.sleep}
    assert time_interleaved(functions, [0.01], 10, "short", budget=0.0)["a"].shape == (3, 1)
    times = time_interleaved(functions, [0.01, 0.02], 5, "whole")
    assert times["b"].shape == (5, 2) and times["a"].min() >= 0.01


def test_points_hold_what_the_tables_need(forced, batch):
    forced.set_speedup(2.0, LENGTHS)
    model = forced.model
    tokens = tokens_per_layer(model, batch)
    assert (tokens[:, 0] == LENGTHS).all() and tokens.shape == (3, 4)
    variants = make_variants(model)
    del variants[tables.OP_BY_OP]
    variants |= {
        tables.ALONE: packed_bert(model, tokens[:, 1:]),
        tables.FLOOR: padded_to(2, variants[tables.BASELINE]),
    }
    point = time_point(model, variants, [batch], length=20, forced_speedup=2)
    point["ops"] = op_shares(variants[tables.COMPILED].run, batch)
    assert 0 < sum(point["ops"].values()) <= 1 and "MatMul" in next(iter(point["ops"]))
    padded = bert_flops(model.config, np.full(3, 20)).sum()
    flops = {
        tables.BASELINE: padded,
        tables.PACKED: bert_flops(model.config, LENGTHS).sum(),
        tables.COMPILED: adapler_flops(model.config, tokens).sum(),
        tables.FLOOR: bert_flops(model.config, np.full(3, 2)).sum(),
    }
    for name, expected in flops.items():
        assert point["variants"][name]["flops_speedup"] == pytest.approx(padded / expected)
    assert point["variants"][tables.BASELINE]["speedup"] == (1, 1, 1)
    single = point | {"batch_size": 1, "forced_speedup": 1}
    products = product_times(model.config)
    assert list(products) == sorted(products) and min(products.values()) > 0
    page = tables.inference_tables({"points": [point, single], "peak_memory": None, "products": products})
    titles = ("efficiency", "lr_mode / layers alone", "lr_mode / bound", "speedup over the last", "reached")
    assert all(title in page for title in titles)


@pytest.mark.parametrize("speedup", [1.2, 2.0])
def test_a_forced_schedule_reaches_its_speedup(forced, speedup):
    lengths = np.array([200, 150])
    forced.set_speedup(speedup, lengths)
    config = forced.model.config
    tokens = tokens_per_layer(forced.model, random_batch(lengths, np.random.default_rng(1)))
    reached = bert_flops(config, lengths).sum() / adapler_flops(config, tokens).sum()
    assert reached == pytest.approx(speedup, rel=0.15)  # the tokens are random


def test_strung_together_texts_fill_every_position():
    ids = tf.ragged.constant([[2, 5, 6, 3], [2, 7, 3]])
    dev = Examples(np.arange(2), ids, tf.zeros_like(ids), np.zeros(2, np.int32), pad_id=0)
    inputs = strung_together(dev, 2, 5)
    assert inputs["input_ids"].numpy().tolist() == [[2, 6, 7, 5, 3], [2, 5, 6, 7, 3]]
    assert inputs["attention_mask"].numpy().all() and not inputs["token_type_ids"].numpy().any()


def test_a_trained_model_is_timed_on_its_dev_set(saved_model, tmp_path):
    write_sst2(tmp_path / "data")
    paths = TaskPaths("tiny", 3, "sst2")
    directory = shutil.copytree(saved_model, paths.adaptive_models / "run_GAMMA1.0_PHI1.0_lr")
    command_line = f"--TASK sst2 --MODEL_PATH {directory} --DATA_DIR {tmp_path / 'data'} --MAX_EVAL_EXAMPLES 8"
    benchmark(parse([InferenceArguments, RowArguments], "", command_line.split()))
    result = json.loads(paths.inference.read_text())
    assert (result["task"], result["backbone"], result["seed"], result["eta_scale"]) == ("sst2", "tiny", 3, 1.0)
    assert [point["batch_size"] for point in result["points"]] == [1, 8, 8]  # for 64 tokens it has no positions
    assert {point["length"] for point in result["points"]} == {"as in the data"}
    variants = [point["variants"] for point in result["points"]]
    assert [tables.OP_BY_OP in names for names in variants] == [True, False, False]
    assert all({tables.EXPORTED, "BERT, padded to 9"} <= set(names) for names in variants)
    assert all(values[tables.COMPILED]["flops_speedup"] > 1 for values in variants)
    assert "op by op" in tables.inference_tables(result)


def test_precisions_are_compared_on_the_dev_set(saved_model, tmp_path):
    write_sst2(tmp_path / "data")
    command_line = f"--TASK sst2 --MODEL_PATH {saved_model} --DATA_DIR {tmp_path / 'data'} --BATCH_SIZE 8"
    command_line += f" --MAX_EVAL_EXAMPLES 12 --SAVE {tmp_path / 'precision.json'}"
    precision.benchmark(parse([PrecisionArguments, RowArguments], "", command_line.split()))
    result = json.loads((tmp_path / "precision.json").read_text())
    assert list(result["precisions"]) == ["float32", "bfloat16"] and result["same_answers"] <= 12
    assert all(values["lr_mode"]["examples"] == 12 for values in result["precisions"].values())
    differences = [values["lr_mode"]["largest_logit_difference"] for values in result["precisions"].values()]
    assert differences[0] < 1e-5 and differences[1] != differences[0]  # the second model rounds
    assert set(result["speedups"]) == {"lr_mode", "joint training step"} and result["version"]
    assert "same answer in both" in precision_table(result)


def test_loading_benchmark_counts_the_training_split(tmp_path):
    backbone, data = write_backbone(tmp_path / "tiny"), write_sst2(tmp_path / "data")
    flags = f"--TASK sst2 --BACKBONE {backbone} --DATA_DIR {data} --MAX_LENGTH 16 --MAX_TRAIN_EXAMPLES 10"
    done = run(f"python -m tools.benchmarks.loading {flags} --SAVE {tmp_path / 'loading.json'}")
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "loading.json").read_text())
    assert result["examples"] == 10 and 30 <= result["tokens"] <= 160
    assert result["megabytes_peak"] >= result["megabytes_before"] > 0
    assert loading_table([result]) in done.stdout


def test_goals_count_the_points_that_reach_them():
    def at(batch_size: int, forced: float, flops: float, seconds: float) -> dict:
        times = {
            tables.BASELINE: 6.0,
            tables.PACKED: 6.0,
            tables.COMPILED: seconds,
            tables.CALLED: 1.2 * seconds,
            tables.FLOOR: 1.0,
        }
        values = {name: {"p50": p50, "efficiency": 6 / p50 / flops} for name, p50 in times.items()}
        values[tables.PACKED]["efficiency"], values[tables.COMPILED]["flops_speedup"] = 1.0, flops
        return {"batch_size": batch_size, "forced_speedup": forced, "variants": values}

    points = [at(1, 1, 1.0, 6.2), at(1, 3, 3.0, 4.0), at(1, 10, 10.0, 1.2)]
    points += [at(8, 2, 2.0, seconds) for seconds in (3.1, 3.5)]
    for batch in points[3:]:
        del batch["variants"][tables.FLOOR]
    lines = tables.goals_table(points).splitlines()[2:]
    reached = [[cell.strip() for cell in line.split("|")[2:4]] for line in lines]
    assert reached == [
        ["1 of 2", "0.86"],
        ["2 of 2", "0.86"],
        ["2 of 3", "2.00"],
        ["1 of 1", "1.03"],
        ["5 of 5", "1.20"],
    ]


def test_peak_memory_is_a_process_own():
    taken = np.ones(2**26)  # 512 MB, which a child's getrusage would count
    assert taken.sum() > 0
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(megabytes_at_peak) < megabytes_at_peak() - 400
