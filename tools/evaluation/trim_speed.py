"""After training towards a speedup: trims the model to it on dev, and says what it costs."""

from __future__ import annotations

import numpy as np

from tools.data.examples import Examples
from tools.data.tasks import Task
from tools.evaluation.evaluate import Predictions, evaluation_summary, flops_speedup, predict, scored_rows
from tools.evaluation.intervals import paired_difference
from tools.runtime.arguments import ALLOWED_LOSS, TARGET_TOLERANCE

LOWEST_SCALE, HIGHEST_SCALE = 0.25, 4.0
HALVINGS = 8
NOTHING_DROPPED = 1.01


def trim(model, dev: Examples, batch_size: int, target: float) -> float:
    """Multiplies the thresholds by the factor that gives the target FLOPs speedup on dev; returns the factor.

    The factor is found by bisection, from 1/4 to 4 on a logarithmic scale. It becomes a part of eta.
    """

    def speedup(scale: float) -> float:
        return flops_speedup(model, predict(model, dev, batch_size, f"eta x {scale:.3f}", eta_scale=scale))

    low, high, scale = np.log(LOWEST_SCALE), np.log(HIGHEST_SCALE), 1.0
    for _ in range(HALVINGS):
        reached = speedup(scale)
        if abs(reached / target - 1) < 0.005:
            break
        low, high = (np.log(scale), high) if reached < target else (low, np.log(scale))
        scale = float(np.exp((low + high) / 2))
    encoder = model.bert.encoder
    encoder.eta.assign(encoder.thresholds(scale))
    return scale


def compare_with_fine_tuned(
    task: Task, model, dev: Examples, fine_tuned: Predictions, predictions: Predictions
) -> dict[str, float]:
    """Speedup, score, fine-tuned score, and their difference with its 95 % interval, on dev."""
    rows = scored_rows(task, dev)
    metric = task.primary_metric
    documents = None if dev.documents is None else dev.documents[rows]
    logits = fine_tuned.logits[rows], predictions.logits[rows]
    difference = paired_difference(metric, dev.labels[rows], *logits, documents)
    summary = evaluation_summary(task, model, dev, predictions)
    return {"speedup": summary["speedup"], "score": summary[metric], "metric": metric, **difference}


def verdict(target: float, comparison: dict) -> list[str]:
    """The sentence that a run ends with, then its warnings."""
    points = [100 * comparison[name] for name in ("difference", "low", "high")]
    fine_tuned = comparison["score"] - comparison["difference"]
    speed = f"{comparison['speedup']:.2f}x of {target:g}x asked"
    scores = f"{comparison['metric']} {comparison['score']:.4f}, fine-tuned {fine_tuned:.4f}"
    lines = ["{}; {}, difference {:+.1f} points, 95 % from {:+.1f} to {:+.1f}".format(speed, scores, *points)]
    if comparison["speedup"] < NOTHING_DROPPED:
        lines.append("warning: the model drops no tokens; train for more steps, or raise --SPEEDUP_LEARNING_RATE")
    elif abs(comparison["speedup"] / target - 1) > TARGET_TOLERANCE:
        tolerance = f"{100 * TARGET_TOLERANCE:g} %"
        lines.append(f"warning: the speedup is not within {tolerance} of the {target:g}x asked for; train longer")
    if comparison["high"] - comparison["low"] > 2 * ALLOWED_LOSS:
        lines.append("warning: the dev set is too small to tell a difference of a point; more dev examples help")
    return lines
