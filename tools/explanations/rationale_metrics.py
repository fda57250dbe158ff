"""Agreement of chosen words with a human rationale, example by example. Everything is counted in words.

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

RESAMPLES = 10_000


def agreement(chosen: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """True and false positive rate, precision and F1."""
    hits = (chosen & truth).sum()
    return {
        "tpr": _ratio(hits, truth.sum()),
        "fpr": _ratio((chosen & ~truth).sum(), (~truth).sum()),
        "precision": _ratio(hits, chosen.sum()),
        "f1": _ratio(2 * hits, chosen.sum() + truth.sum()),
    }


def _ratio(part: int, whole: int) -> float:
    return float(part / whole) if whole else np.nan


def ranking(scores: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Average precision and ROC-AUC; NaN unless some words are marked and some are not."""
    metrics = {"average_precision": average_precision_score, "roc_auc": roc_auc_score}
    defined = truth.any() and not truth.all()
    return {name: float(metric(truth, scores)) if defined else np.nan for name, metric in metrics.items()}


def highest(scores: np.ndarray, count: int) -> np.ndarray:
    """The `count` words of the highest scores, the earlier among equals: bool [W]."""
    chosen = np.zeros(len(scores), bool)
    chosen[np.argsort(-scores, kind="stable")[:count]] = True
    return chosen


def by_word(values: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The largest value of each word's pieces.

    Args:
        values: a value per token, [..., n].
        words: word of each token, int [n]; -1 at special tokens.

    Returns:
        a value per word that has a token, in order of first appearance, float [..., W].
    """
    is_word = words >= 0
    numbers, indices = np.unique(words[is_word], return_inverse=True)
    largest = np.full((*values.shape[:-1], len(numbers)), -np.inf)
    np.maximum.at(largest, (..., indices), values[..., is_word].astype(float))
    return largest


def mean_with_interval(values: Iterable[float], documents: np.ndarray | None = None) -> dict[str, float]:
    """Mean over examples, NaNs left out, with its 95 % interval: {mean, low, high, examples}.

    The interval has the percentiles of RESAMPLES resamples.

    Args:
        documents: what each example was cut from, [N]: examples of one document are drawn together, because they are
            not independent (default: each example by itself).
    """
    values = np.array(list(values), float)
    defined = ~np.isnan(values)
    groups = np.arange(len(values)) if documents is None else np.unique(documents, return_inverse=True)[1]
    counts = np.bincount(groups[defined])
    sums, counts = np.bincount(groups[defined], values[defined])[counts > 0], counts[counts > 0]
    low = high = mean = float(sums.sum() / counts.sum()) if len(sums) else np.nan
    if len(sums) > 1:
        interval = bootstrap(
            (sums, counts),
            lambda sums, counts, axis: sums.sum(axis) / counts.sum(axis),
            paired=True,
            n_resamples=RESAMPLES,
            method="percentile",
            rng=0,
            batch=100,
        ).confidence_interval
        low, high = float(interval.low), float(interval.high)
    return {"mean": mean, "low": low, "high": high, "examples": int(defined.sum())}
