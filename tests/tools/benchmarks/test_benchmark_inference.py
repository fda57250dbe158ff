"""What is timed against each other computes the same."""

import json
import multiprocessing
import time

import numpy as np
import pytest
from transformers import BertConfig

from tests.compare import assert_close
from tests.machine import needs_bfloat16
from tests.tiny_task import run_here, write_backbone, write_sst2
from tools.benchmarks import inference, precision
from tools.benchmarks.arguments import PrecisionArguments
from tools.benchmarks.inference import RandomModels, random_batch
from tools.benchmarks.measurement import time_interleaved
from tools.benchmarks.memory import mebibytes_at_peak
from tools.common.atomic_files import file_checksum
from tools.flops.formulas import adapler_flops, bert_flops
from tools.results import benchmark_tables as tables
from tools.results.tables import loading_table, precision_table
from tools.runtime.argument_parser import parse


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    sizes = {"hidden_size": 24, "num_attention_heads": 2, "num_hidden_layers": 3, "intermediate_size": 48}
    return RandomModels(BertConfig(**sizes, vocab_size=50), tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def batch():
    return random_batch(3, 30, 50)


def test_forms_of_a_model_agree(models, batch):
    plain, *_ = models.runs[tables.PLAIN](batch)
    for name in (tables.PADDED["float32"], tables.PACKED["float32"]):
        assert_close(models.runs[name](batch)[0], plain, 1e-5)
    for scale in (0.0, 0.8):
        expected, lengths = models.runs[tables.LR_MODE](batch, eta_scale=scale)
        logits, onnx_lengths = models.runs[tables.DROPPING["float32"]](batch, eta_scale=scale)
        assert_close(logits, expected, 1e-5)
        assert (lengths == onnx_lengths).all() and (lengths.min() == 30) == (scale == 0)
    assert_close(models.runs[tables.LR_MODE](batch, eta_scale=0.0)[0], plain, 1e-5)


@pytest.mark.parametrize("speedup", [1.5, 2.5])
def test_thresholds_are_set_for_a_speedup(models, batch, speedup):
    _, lengths = models.runs[tables.DROPPING["float32"]](batch, eta_scale=models.scale_for(batch, speedup))
    reached = 3 * bert_flops(models.config, 30) / models.flops(batch, lengths)
    assert reached == pytest.approx(speedup, rel=0.1) and models.scale_for(batch, 1) == 0


def test_points_hold_what_the_tables_need(models, batch, monkeypatch):
    monkeypatch.setattr(inference, "ROUNDS", 3)
    monkeypatch.setattr(tables, "missed", lambda point: ["a goal"])
    points = [models.time(batch, speedup) for speedup in (1, 2)]
    assert all(len(point["variants"]) == 8 for point in points)
    whole, dropping = (point["variants"][tables.LR_MODE]["flops_speedup"] for point in points)
    assert whole == pytest.approx(bert_flops(models.config, 30) / adapler_flops(models.config, [30] * 4))
    assert dropping == pytest.approx(2, rel=0.1)
    assert sum(points[0]["profile"].values()) == pytest.approx(1) and "MatMulInteger" in points[0]["profile"]
    page = tables.inference_tables({"points": points})
    assert all(title in page for title in ("int8 dropping over int8 plain", "reached", "with their shares"))


def test_timing_ends_in_time_but_not_before_three_rounds():
    functions = {"a": time.sleep, "b": time.sleep}
    assert time_interleaved(functions, [0.01], 10, "short", budget=0.0)["a"].shape == (3, 1)
    times = time_interleaved(functions, [0.01, 0.02], 5, "whole")
    assert times["b"].shape == (5, 2) and times["a"].min() >= 0.01


@pytest.mark.slow
@pytest.mark.ci
@needs_bfloat16
def test_precisions_are_compared_on_the_dev_set(saved_model, tmp_path):
    """With --HOLD_OUT the dev set comes from the training rows: the published one is the model's test set."""
    write_sst2(tmp_path / "data")
    for file in (tmp_path / "data").rglob("validation*"):
        file.unlink()
    command_line = f"--TASK sst2 --MODEL_PATH {saved_model} --DATA_DIR {tmp_path / 'data'} --BATCH_SIZE 12"
    command_line += f" --HOLD_OUT 12 --MAX_EVAL_EXAMPLES 12 --SAVE {tmp_path / 'precision.json'}"
    precision.benchmark(parse([PrecisionArguments], "", command_line.split()))
    result = json.loads((tmp_path / "precision.json").read_text())
    assert list(result["precisions"]) == ["float32", "bfloat16"] and result["same_answers"] <= 12
    assert all(values["lr_mode"]["examples"] == 12 for values in result["precisions"].values())
    differences = [values["lr_mode"]["largest_logit_difference"] for values in result["precisions"].values()]
    assert differences[0] < 1e-5 and differences[1] != differences[0]  # the second model rounds
    assert set(result["speedups"]) == {"lr_mode", "joint training step"} and result["version"]
    assert (result["model"], result["weights"]) == (saved_model.name, file_checksum(saved_model / "tf_model.h5"))
    assert "same answer in both" in precision_table(result)


def test_loading_benchmark_counts_the_training_split(tmp_path):
    backbone, data = write_backbone(tmp_path / "tiny"), write_sst2(tmp_path / "data")
    flags = f"--TASK sst2 --BACKBONE {backbone} --DATA_DIR {data} --MAX_LENGTH 16 --MAX_TRAIN_EXAMPLES 10"
    done = run_here(f"python -m tools.benchmarks.loading {flags} --SAVE {tmp_path / 'loading.json'}")
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "loading.json").read_text())
    assert result["examples"] == 10 and 30 <= result["tokens"] <= 160
    assert result["megabytes_peak"] >= result["megabytes_before"] > 0
    assert loading_table([result]) in done.stdout


def test_goals_count_the_points_that_reach_them():
    def at(batch_size: int, length: int, forced: float, plain: float, packed: float = 1.0) -> dict:
        milliseconds = {tables.PLAIN: 2 * plain, tables.PADDED["int8"]: plain}
        milliseconds |= dict.fromkeys(tables.PACKED.values(), 1 / packed) | dict.fromkeys(tables.DROPPING.values(), 1.0)
        variants = {name: {"milliseconds": value, "flops_speedup": forced} for name, value in milliseconds.items()}
        return {"batch_size": batch_size, "length": length, "forced_speedup": forced, "variants": variants}

    points = [at(1, 64, 5, 2.0), at(8, 256, 3, 2.7), at(32, 64, 3, 2.1), at(8, 256, 1, 1.0, packed=1.5)]
    reached = [[cell.strip() for cell in line.split("|")[2:4]] for line in tables.goals_table(points).splitlines()[2:]]
    assert reached == [
        ["1 of 2", "0.70"],
        ["2 of 2", "1.40"],
        ["0 of 1", "2.00"],
        ["0 of 1", "1.50"],
        ["0 of 1", "1.50"],
    ]
    assert [len(tables.missed(point)) for point in points] == [1, 0, 1, 2]


def test_peak_memory_is_a_process_own():
    taken = np.ones(2**26)  # 512 MB, which a child's getrusage would count
    assert taken.sum() > 0
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(mebibytes_at_peak) < mebibytes_at_peak() - 400
