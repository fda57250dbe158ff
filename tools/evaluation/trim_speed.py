"""After training towards a speedup: trims the model to it on dev, and says what it costs."""

from __future__ import annotations

import numpy as np

from models.adapler_encoder import ETA_MAX
from tools.data.examples import Examples
from tools.data.tasks import Task
from tools.evaluation.evaluate import Predictions, evaluation_summary, flops_speedup, predict, scored_rows
from tools.evaluation.intervals import paired_difference
from tools.runtime.arguments import ALLOWED_LOSS, TARGET_TOLERANCE

LOWEST_SCALE, HIGHEST_SCALE = 0.25, 4.0
HALVINGS = 8
TOLERANCE = f"{100 * TARGET_TOLERANCE:g} %"
DROPS_NOTHING = "warning: the model drops no tokens"
AT_BOUND = 0.99
"""Share of the largest threshold from which on a threshold counts as the largest."""


def is_near(speedup: float, target: float) -> bool:
    """Whether a model needs no warning about its speedup."""
    return abs(speedup / target - 1) <= TARGET_TOLERANCE


def trim(model, dev: Examples, batch_size: int, target: float) -> float:
    """Multiplies the thresholds by the factor that gives the target FLOPs speedup on dev; returns the factor.

    The factor is the nearest of a bisection from 1/4 to 4 on a logarithmic scale. It becomes a part of eta.
    """

    def speedup(scale: float) -> float:
        return flops_speedup(model, predict(model, dev, batch_size, f"eta x {scale:.3f}", eta_scale=scale))

    low, high, scale = np.log(LOWEST_SCALE), np.log(HIGHEST_SCALE), 1.0
    distances = {}
    for _ in range(HALVINGS):
        reached = speedup(scale)
        distances[scale] = abs(reached / target - 1)
        if distances[scale] < 0.005:
            break
        low, high = (np.log(scale), high) if reached < target else (low, np.log(scale))
        scale = float(np.exp((low + high) / 2))
    nearest = min(distances, key=distances.get)
    encoder = model.bert.encoder
    encoder.eta.assign(encoder.thresholds(nearest))
    return nearest


def compare_with_fine_tuned(
    task: Task, model, dev: Examples, fine_tuned: Predictions, predictions: Predictions
) -> dict[str, float]:
    """Speedup, score, and its difference from the fine-tuned score with a 95 % interval, on dev.

    `at_bound` says whether all thresholds are as large as they can be.
    """
    rows = scored_rows(task, dev)
    metric = task.primary_metric
    documents = None if dev.documents is None else dev.documents[rows]
    logits = fine_tuned.logits[rows], predictions.logits[rows]
    difference = paired_difference(metric, dev.labels[rows], *logits, documents)
    summary = evaluation_summary(task, model, dev, predictions)
    at_bound = bool((model.bert.encoder.eta.numpy() > AT_BOUND * ETA_MAX).all())
    values = {"speedup": summary["speedup"], "score": summary[metric], "metric": metric, "at_bound": at_bound}
    return values | difference


def choice(target: float, epochs: list[dict], chosen: int) -> str:
    """The sentence on which epoch is kept, from 1, and whether it is near the target."""
    speedup = epochs[chosen - 1]["validation"]["speedup"]
    if is_near(speedup, target):
        return f"epoch {chosen} is kept, the best on dev within {TOLERANCE} of {target:g}x"
    return f"no epoch is within {TOLERANCE} of {target:g}x on dev: epoch {chosen} is kept, the nearest ({speedup:.2f}x)"


def verdict(target: float, comparison: dict) -> list[str]:
    """The sentence that a run ends with, then its warnings."""
    points = [100 * comparison[name] for name in ("difference", "low", "high")]
    fine_tuned = comparison["score"] - comparison["difference"]
    speed = f"{comparison['speedup']:.2f}x of {target:g}x asked"
    scores = f"{comparison['metric']} {comparison['score']:.4f}, fine-tuned {fine_tuned:.4f}"
    lines = ["{}; {}, difference {:+.1f} points, 95 % from {:+.1f} to {:+.1f}".format(speed, scores, *points)]
    if comparison["speedup"] <= 1:
        lines.append(f"{DROPS_NOTHING}; train for more steps, or raise --SPEEDUP_LEARNING_RATE")
    elif not is_near(comparison["speedup"], target):
        advice = "train longer"
        if comparison.get("at_bound") and comparison["speedup"] < target:
            advice = "all thresholds are at their bound, so no eta_scale makes the model faster; ask for less"
        lines.append(f"warning: the speedup is not within {TOLERANCE} of the {target:g}x asked for; {advice}")
    if comparison["low"] < -ALLOWED_LOSS < comparison["high"]:
        lines.append("warning: the dev set is too small to tell whether a point is lost; more dev examples help")
    return lines
