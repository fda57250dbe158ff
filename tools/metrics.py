"""Scores by their standard definitions, through scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": accuracy_score,
    "f1": f1_score,
}
"""name -> function of (labels, predictions)."""


def score(names: Sequence[str], labels: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Metrics of one split: labels [N], logits [N, labels] -> {name: value}, in the order of `names`."""
    predictions = logits.argmax(axis=-1)
    return {name: float(METRICS[name](labels, predictions)) for name in names}
