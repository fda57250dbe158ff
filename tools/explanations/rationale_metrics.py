"""How well chosen words agree with a human rationale, example by example. Everything is counted in words.

For one example of W words (special tokens left out), `truth` bool [W] says which the human marked, `chosen` bool [W]
which a method keeps, `scores` float [W] how important the method finds each.

- true positive rate: marked words that are kept / marked words; that is recall.
- false positive rate: kept words that are not marked / words that are not marked.
- precision: kept words that are marked / kept words; F1 its harmonic mean with recall.
- average precision and ROC-AUC: of the scores, by scikit-learn.

A quantity whose denominator is 0 is NaN, and left out of the mean over examples.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.stats import bootstrap
from sklearn.metrics import average_precision_score, roc_auc_score

CONFIDENCE = 0.95
RESAMPLES = 1000


def agreement(chosen: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """True and false positive rate, precision and F1."""
    hits = float((chosen & truth).sum())
    recall = _share(hits, truth.sum())
    precision = _share(hits, chosen.sum())
    return {
        "tpr": recall,
        "fpr": _share(float((chosen & ~truth).sum()), (~truth).sum()),
        "precision": precision,
        "f1": _share(2 * hits, chosen.sum() + truth.sum()),
    }


def ranking(scores: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Average precision and ROC-AUC; NaN unless some words are marked and some are not."""
    if truth.all() or not truth.any():
        return {"average_precision": np.nan, "roc_auc": np.nan}
    return {
        "average_precision": float(average_precision_score(truth, scores)),
        "roc_auc": float(roc_auc_score(truth, scores)),
    }


def highest(scores: np.ndarray, count: int) -> np.ndarray:
    """The `count` words of the highest scores, the earlier among equals: bool [W]."""
    chosen = np.zeros(len(scores), bool)
    chosen[np.argsort(-scores, kind="stable")[:count]] = True
    return chosen


def by_word(values: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The largest value of each word's pieces.

    Args:
        values: one a token, [n].
        words: word of each token, int [n]; -1 at special tokens.

    Returns:
        one a word that has a token, in order of first appearance, [W].
    """
    inside = words >= 0
    numbers, which = np.unique(words[inside], return_inverse=True)
    largest = np.full(len(numbers), -np.inf)
    np.maximum.at(largest, which, values[inside].astype(float))
    return largest


def mean_with_interval(values: Iterable[float]) -> dict[str, float]:
    """Mean over examples with a bootstrap interval (percentiles), NaNs left out: {mean, low, high, examples}."""
    numbers = np.array([value for value in values if not np.isnan(value)])
    if len(numbers) < 2 or np.ptp(numbers) == 0:
        mean = float(numbers.mean()) if len(numbers) else np.nan
        return {"mean": mean, "low": mean, "high": mean, "examples": len(numbers)}
    interval = bootstrap(
        (numbers,), np.mean, confidence_level=CONFIDENCE, n_resamples=RESAMPLES, method="percentile", rng=0, batch=100
    ).confidence_interval
    low, high = float(interval.low), float(interval.high)
    return {"mean": float(numbers.mean()), "low": low, "high": high, "examples": len(numbers)}


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else np.nan
