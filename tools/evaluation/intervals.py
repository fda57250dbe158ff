"""Differences of scores with bootstrap intervals."""

from __future__ import annotations

import numpy as np
from scipy.stats import bootstrap

from tools.evaluation.metrics import score

CONFIDENCE = 0.95
RESAMPLES = 1000


def paired_difference(
    metric: str, labels: np.ndarray, before: np.ndarray, after: np.ndarray, documents: np.ndarray | None = None
) -> dict[str, float]:
    """How much the metric changes from one model's logits to another's on the same examples.

    Args:
        labels: [N].
        before, after: logits of the two models, [N, labels].
        documents: what each example was cut from, [N]: examples of one document are drawn together, because they are
            not independent (default: each example by itself).

    Returns:
        `difference`, and `low` and `high` of its 95 % interval: percentiles of 1,000 resamples of the examples, which
        both models share. With fewer than two examples or documents all three are the difference.
    """

    def difference(rows: np.ndarray) -> float:
        return score([metric], labels[rows], after[rows])[metric] - score([metric], labels[rows], before[rows])[metric]

    rows = np.arange(len(labels))
    groups = rows if documents is None else np.unique(documents, return_inverse=True)[1]
    rows_of = np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(groups))[:-1])
    if len(rows_of) < 2:  # which SciPy refuses
        return dict.fromkeys(("difference", "low", "high"), difference(rows))
    interval = bootstrap(
        [np.arange(len(rows_of))],
        lambda drawn: difference(np.concatenate([rows_of[group] for group in drawn])),
        vectorized=False,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=0,
    ).confidence_interval
    return {"difference": difference(rows), "low": float(interval.low), "high": float(interval.high)}
