"""What is timed against each other computes the same."""

import time

import numpy as np
import pytest
import tf_keras as keras
from transformers import BertConfig

from tests.compare import assert_close
from tools import inference_variants as variants
from tools.benchmark_inference import point, random_batch
from tools.benchmark_tables import ALONE, BASELINE, CALLED, COMPILED, FLOOR, PACKED, inference_tables
from tools.flops import adapler_flops, bert_flops
from tools.forced_schedule import ForcedSchedule
from tools.stopwatch import race

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
    assert race(variants, [0.01], 10, "short", budget=0.0)["a"].seconds.shape == (3, 1)
    times = race(variants, [0.01, 0.02], 5, "whole")
    assert times["b"].seconds.shape == (5, 2) and times["a"].seconds.min() >= 0.01


def test_points_tell_what_was_asked_for(forced, batch):
    forced.aim_at(2.0, LENGTHS)
    model = forced.model
    left = np.stack(model(batch, lr_mode=True).lengths, axis=1)
    plain = variants.plain_bert(model)
    given = {
        BASELINE: plain,
        PACKED: variants.packed_bert(model),
        COMPILED: variants.lr_mode(model),
        CALLED: variants.lr_mode_call(model),
        ALONE: variants.layers_alone(model, left),
        FLOOR: variants.padded_to(2, plain),
    }
    found = point(model, given, [batch], length=20)
    reduced = adapler_flops(model.config, np.concatenate([LENGTHS[:, np.newaxis], left], axis=1)).sum()
    expected = bert_flops(model.config, np.full(3, 20)).sum() / reduced
    assert found["variants"][COMPILED]["flops_speedup"] == pytest.approx(expected)
    assert found["variants"][BASELINE]["flops_speedup"] == found["variants"][BASELINE]["speedup"][0] == 1
    tables = inference_tables({"points": [found], "peak_memory": None})
    assert all(title in tables for title in ("efficiency", "lr_mode / layers alone", "lr_mode / bound"))
