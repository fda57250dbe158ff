"""Metrics of predictions, by scikit-learn and SciPy; those of the Fake News Challenge by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

SAME_VALUE = 1e-4
"""Largest difference between two values of a regression that are the same answer."""

SAME_ROUNDED_VALUE = 0.05
"""The same where int8 or bfloat16 rounds: a hundredth of the range of STS-B's labels."""

UNRELATED = 0
"""FNC-1's label of a body that has nothing to do with its headline; the others are stances."""


def fnc_score(labels: np.ndarray, predictions: np.ndarray) -> float:
    """The Fake News Challenge's score: a quarter for related or unrelated, three quarters more for the right stance.

    An unrelated pair is worth 0.25 in all, a related one 1.
    """
    related, said_related = labels != UNRELATED, predictions != UNRELATED
    exact = related & (labels == predictions)
    return float(0.25 * (related == said_related).sum() + 0.75 * exact.sum())


def fnc_relative(labels: np.ndarray, predictions: np.ndarray) -> float:
    """FNC-1 score over that of perfect answers."""
    return fnc_score(labels, predictions) / fnc_score(labels, labels)


def related_accuracy(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Accuracy of related against unrelated."""
    return accuracy_score(labels != UNRELATED, predictions != UNRELATED)


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": accuracy_score,
    "f1": f1_score,
    "macro_f1": lambda labels, predictions: f1_score(labels, predictions, average="macro", zero_division=0),
    "matthews": matthews_corrcoef,
    "pearson": lambda labels, predictions: pearsonr(labels, predictions).statistic if len(labels) > 1 else np.nan,
    "spearman": lambda labels, predictions: spearmanr(labels, predictions).statistic,
    "fnc_relative": fnc_relative,
    "fnc_score": fnc_score,
    "related_accuracy": related_accuracy,
}
"""name -> function of (labels, predictions), each [N]."""


def answers(logits: np.ndarray) -> np.ndarray:
    """Predictions from logits [N, labels]: the best label, or the value itself where there is one output."""
    return logits[:, 0] if logits.shape[1] == 1 else logits.argmax(axis=-1)


def constant_score(metric: str, labels: np.ndarray, outputs: int) -> float:
    """The best score of a model that answers every example alike.

    Args:
        outputs: number of labels, or 1 for a regression, whose best constant answer correlates with nothing.
    """
    if outputs == 1:
        return 0.0
    return max(float(METRICS[metric](labels, np.full_like(labels, label))) for label in range(outputs))


def same_answers(before: np.ndarray, after: np.ndarray, tolerance: float = SAME_VALUE) -> np.ndarray:
    """Which rows of two arrays of logits, [N, labels] each, give the same answer: bool [N].

    Args:
        tolerance: largest difference of the values, where there is one output; otherwise the best labels are compared.
    """
    if before.shape[1] == 1:
        return np.abs(answers(after) - answers(before)) <= tolerance
    return answers(after) == answers(before)


def score(names: Sequence[str], labels: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Metrics of one split: labels [N], logits [N, labels] -> {name: value}, in the order of `names`.

    A correlation of constant predictions, or of a single example, is undefined and counts as 0.
    """
    predictions = answers(logits)
    values = {name: float(METRICS[name](labels, predictions)) for name in names}
    return {name: 0.0 if np.isnan(value) else value for name, value in values.items()}
