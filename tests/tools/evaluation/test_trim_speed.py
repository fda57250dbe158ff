"""The model of a run with a target: trimmed to it on dev, and the sentence that says what it reached and costs."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests import tiny
from tests.compare import assert_close
from tests.golden_quantities import examples_of
from tools.data.tasks import TABLE
from tools.evaluation import trim_speed
from tools.evaluation.evaluate import flops_per_example, predict
from tools.evaluation.trim_speed import choice, compare_with_fine_tuned, trim, verdict

ETA = np.array([0.45, 0.5, 0.55], np.float32)


@pytest.fixture(scope="module")
def model():
    return tiny.make_model(seed=1)


@pytest.fixture(scope="module")
def dev():
    lengths = np.random.default_rng(1).integers(8, 16, 60)
    return examples_of(tiny.inputs(tuple(lengths), seed=1), np.zeros(60, np.int32))


def speedup(model, dev) -> float:
    flops = flops_per_example(model, predict(model, dev, 60))
    return flops["bert"].sum() / flops["model"].sum()


@pytest.mark.parametrize("change", [0.8, 1.25])
def test_trimming_scales_all_thresholds_to_the_target(model, dev, change):
    """The thresholds that have the target speedup are found again from lower and from higher ones."""
    model.bert.encoder.eta.assign(ETA)
    target = speedup(model, dev)
    model.bert.encoder.eta.assign(ETA * change)
    assert abs(speedup(model, dev) / target - 1) > 0.05
    scale = trim(model, dev, 60, target)
    assert scale * change == pytest.approx(1, abs=0.05)
    assert_close(model.bert.encoder.eta, ETA * change * scale, 1e-6)
    assert speedup(model, dev) == pytest.approx(target, rel=0.01)


def test_the_nearest_measured_factor_is_taken(model, dev, monkeypatch):
    """On a small dev set the speedup has steps, and the bisection ends beside them."""

    def steps(_, scale: float) -> float:
        return 1.62 if scale < 1.305 else 2.03 if scale < 1.6 else 2.6

    monkeypatch.setattr(trim_speed, "predict", lambda *_, eta_scale: eta_scale)
    monkeypatch.setattr(trim_speed, "flops_speedup", steps)
    assert steps(None, trim(model, dev, 60, 2.0)) == 2.03


def test_thresholds_at_their_bound_are_said(model, dev):
    predictions = predict(model, dev, 60)
    for eta, at_bound in (([0.5, 1, 1], False), ([1, 0.995, 1], True)):
        model.bert.encoder.eta.assign(eta)
        assert compare_with_fine_tuned(TABLE["sst2"], model, dev, predictions, predictions)["at_bound"] == at_bound


def test_windows_of_one_document_are_drawn_together(model, dev, monkeypatch):
    """The comparison counts the windows with evidence, with their documents."""
    counted = []
    monkeypatch.setattr(trim_speed, "paired_difference", lambda *given: counted.append(given) or {})
    marks = tf.ragged.constant([[0, int(i % 3 > 0), 0] for i in range(60)], dtype=tf.int32)
    windows = replace(dev, documents=np.arange(60) // 4, rationale=marks)
    predictions = predict(model, windows, 60)
    compare_with_fine_tuned(TABLE["movie_rationales"], model, windows, predictions, predictions)
    compare_with_fine_tuned(TABLE["sst2"], model, dev, predictions, predictions)
    (*_, documents), (*_, none) = counted
    assert documents.tolist() == [i // 4 for i in range(60) if i % 3 > 0] and none is None


@pytest.mark.parametrize(
    "speedup, low, high, at_bound, warning",
    [
        (3.02, -0.009, 0.004, False, None),
        (3.2, -0.009, 0.004, True, "within 3 % of the 3x asked for; train longer"),
        (2.8, -0.009, 0.004, False, "train longer"),
        (2.8, -0.009, 0.004, True, "all thresholds are at their bound"),
        (1.0, -0.009, 0.004, False, "drops no"),
        (1.005, -0.009, 0.004, False, "within 3 %"),
        (3, -0.04, 0.004, False, "small"),
        (3, -0.011, -0.009, False, "small"),
        (3, -0.04, -0.011, False, None),  # surely more than a point is lost
        (3, -0.009, 0.04, False, None),  # surely not
    ],
)
def test_a_run_ends_with_what_it_reached_and_costs(speedup, low, high, at_bound, warning):
    comparison = {
        "at_bound": at_bound,
        "metric": "accuracy",
        "score": 0.9012,
        "difference": -0.0049,
        "low": low,
        "high": high,
    }
    sentence, *warnings = verdict(3.0, comparison | {"speedup": speedup})
    assert sentence.startswith(
        f"{speedup:.2f}x of 3x asked; accuracy 0.9012, fine-tuned 0.9061, difference -0.5 points"
    )
    assert sentence.endswith(f"95 % from {100 * low:+.1f} to {100 * high:+.1f}")
    assert [warning in text for text in warnings] == ([True] if warning else [])


def test_a_run_says_which_epoch_is_kept_and_whether_it_is_near_the_target():
    epochs = [{"validation": {"speedup": speedup}} for speedup in (2.0, 3.08, 3.1)]
    assert choice(3.0, epochs, 2) == "epoch 2 is kept, the best on dev within 3 % of 3x"
    assert choice(3.0, epochs, 3) == "no epoch is within 3 % of 3x on dev: epoch 3 is kept, the nearest (3.10x)"
