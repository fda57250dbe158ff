"""What is timed against each other computes the same."""

import json
import multiprocessing
import shutil
import time

import numpy as np
import pytest
import tf_keras as keras
from transformers import BertConfig

from tests.compare import assert_close
from tests.test_pipeline import write_sst2
from tools.benchmarks import variants
from tools.benchmarks.forced_schedule import ForcedSchedule
from tools.benchmarks.inference import InferenceArguments, benchmark, point, random_batch
from tools.benchmarks.kernel_times import op_shares, product_times
from tools.benchmarks.peak_memory import megabytes_at_peak
from tools.benchmarks.timing import time_interleaved
from tools.common.paths import TaskPaths
from tools.flops.formulas import adapler_flops, bert_flops
from tools.results import benchmark_tables as tables
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


def test_variants_agree(forced, batch, tmp_path):
    forced.aim_at(1.5, LENGTHS)
    model = forced.model
    expected = variants.lr_mode(model).run(batch)
    assert_close(variants.lr_mode_call(model).run(batch), expected, 1e-5)
    assert_close(variants.lr_mode_op_by_op(model).run(batch), expected, 1e-5)
    assert_close(variants.saved_model(model, tmp_path / "exported").run(batch), expected, 1e-5)
    plain = variants.plain_bert(model)
    assert np.abs(plain.run(batch) - expected).max() > 1e-2
    assert_close(variants.packed_bert(model).run(batch), plain.run(batch), 1e-5)
    assert_close(variants.padded_to(30, plain).run(batch), plain.run(batch), 1e-5)


def test_a_race_ends_in_time_but_not_before_three_rounds():
    variants = {"a": time.sleep, "b": time.sleep}
    assert time_interleaved(variants, [0.01], 10, "short", budget=0.0)["a"].seconds.shape == (3, 1)
    times = time_interleaved(variants, [0.01, 0.02], 5, "whole")
    assert times["b"].seconds.shape == (5, 2) and times["a"].seconds.min() >= 0.01


def test_points_tell_what_was_asked_for(forced, batch):
    forced.aim_at(2.0, LENGTHS)
    model = forced.model
    left = np.stack(model(batch, lr_mode=True).lengths, axis=1)
    plain = variants.plain_bert(model)
    given = {
        tables.BASELINE: plain,
        tables.PACKED: variants.packed_bert(model),
        tables.COMPILED: variants.lr_mode(model),
        tables.CALLED: variants.lr_mode_call(model),
        tables.ALONE: variants.layers_alone(model, left),
        tables.FLOOR: variants.padded_to(2, plain),
    }
    found = point(model, given, [batch], length=20, forced_speedup=2)
    found["ops"] = op_shares(given[tables.COMPILED].run, batch)
    assert 0 < sum(found["ops"].values()) <= 1 and "MatMul" in next(iter(found["ops"]))
    reduced = adapler_flops(model.config, np.concatenate([LENGTHS[:, np.newaxis], left], axis=1)).sum()
    expected = bert_flops(model.config, np.full(3, 20)).sum() / reduced
    assert found["variants"][tables.COMPILED]["flops_speedup"] == pytest.approx(expected)
    assert found["variants"][tables.BASELINE]["flops_speedup"] == found["variants"][tables.BASELINE]["speedup"][0] == 1
    single = found | {"batch_size": 1, "forced_speedup": 1}
    products = product_times(model.config)
    assert list(products) == sorted(products) and min(products.values()) > 0
    page = tables.inference_tables({"points": [found, single], "peak_memory": None, "products": products})
    titles = ("efficiency", "lr_mode / layers alone", "lr_mode / bound", "speedup over the last", "reached")
    assert all(title in page for title in titles)


def test_a_trained_model_is_timed_on_its_dev_set(saved_model, tmp_path):
    write_sst2(tmp_path / "data")
    where = TaskPaths("tiny", 3, "sst2")
    directory = shutil.copytree(saved_model, where.adaptive_models / "run_GAMMA1.0_PHI1.0_lr")
    given = f"--TASK sst2 --MODEL_PATH {directory} --DATA_DIR {tmp_path / 'data'} --MAX_EVAL_EXAMPLES 8"
    benchmark(parse([InferenceArguments, RowArguments], "", given.split()))
    result = json.loads(where.inference.read_text())
    assert (result["task"], result["backbone"], result["seed"], result["eta_scale"]) == ("sst2", "tiny", 3, 1.0)
    assert [one["batch_size"] for one in result["points"]] == [1, 8, 8]  # for 64 tokens it has no positions
    assert {one["length"] for one in result["points"]} == {"as in the data"}
    reduced = [one["variants"] for one in result["points"]]
    assert tables.OP_BY_OP in reduced[0] and all(
        tables.EXPORTED in one and "BERT, padded to 9" in one for one in reduced
    )
    assert all(one[tables.COMPILED]["flops_speedup"] > 1 for one in reduced)
    assert "op by op" in tables.inference_tables(result)


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
