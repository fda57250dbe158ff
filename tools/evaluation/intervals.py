"""Differences of scores with bootstrap intervals."""

from __future__ import annotations

import numpy as np
from scipy.stats import bootstrap

from tools.evaluation.metrics import score

CONFIDENCE = 0.95
RESAMPLES = 1000


def paired_difference(metric: str, labels: np.ndarray, before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """How much the metric changes from one model's logits to another's on the same examples.

    Args:
        labels: [N].
        before, after: logits of the two models, [N, labels].

    Returns:
        `difference`, and `low` and `high` of its 95 % interval: percentiles of 1,000 resamples of the examples, which
        both models share. With fewer than two examples all three are the difference.
    """

    def difference(rows: np.ndarray) -> float:
        return score([metric], labels[rows], after[rows])[metric] - score([metric], labels[rows], before[rows])[metric]

    rows = np.arange(len(labels))
    if len(rows) < 2:  # which SciPy refuses
        return dict.fromkeys(("difference", "low", "high"), difference(rows))
    interval = bootstrap(
        *([rows], difference),
        vectorized=False,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=0,
    ).confidence_interval
    return {"difference": difference(rows), "low": float(interval.low), "high": float(interval.high)}
