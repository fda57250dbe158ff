"""Metrics against cases counted by hand."""

import numpy as np
import pytest

from tools.evaluation.metrics import (
    METRICS,
    SAME_ROUNDED_VALUE,
    answers,
    constant_score,
    fnc_relative,
    fnc_score,
    related_accuracy,
    same_answers,
    score,
)

#                     right  wrong  related  stance  wrong
FNC_LABELS = np.array([0, 0, 1, 2, 3])
FNC_ANSWERS = np.array([0, 2, 1, 3, 0])


def test_fnc_by_hand():
    # 0.25 for the unrelated one, 0 for the false alarm, 1 for the right stance, 0.25 for merely related, 0
    assert fnc_score(FNC_LABELS, FNC_ANSWERS) == 1.5
    assert fnc_relative(FNC_LABELS, FNC_ANSWERS) == 1.5 / 3.5
    assert related_accuracy(FNC_LABELS, FNC_ANSWERS) == 3 / 5


def test_binary_metrics_by_hand():
    labels, predictions = np.array([1, 1, 1, 0, 0]), np.array([1, 1, 0, 1, 0])
    assert METRICS["accuracy"](labels, predictions) == 3 / 5
    assert METRICS["f1"](labels, predictions) == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert METRICS["matthews"](labels, predictions) == pytest.approx((2 * 1 - 1 * 1) / np.sqrt(3 * 3 * 2 * 2))


def test_macro_f1_is_the_mean_over_labels():
    labels, predictions = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1])
    assert METRICS["macro_f1"](labels, predictions) == pytest.approx((2 / 3 + 2 / 4 + 0) / 3)


def test_correlations():
    labels, logits = np.array([0.0, 1, 2, 5]), np.array([[0.1], [0.2], [0.4], [9.0]])
    assert score(["spearman", "pearson"], labels, logits)["spearman"] == pytest.approx(1)
    expected = np.corrcoef(labels, logits[:, 0])[0, 1]
    assert score(["pearson"], labels, logits)["pearson"] == pytest.approx(expected)
    assert score(["spearman", "pearson"], labels, np.ones((4, 1))) == {"spearman": 0, "pearson": 0}
    assert score(["spearman", "pearson"], labels[:1], logits[:1]) == {"spearman": 0, "pearson": 0}


def test_the_best_constant_answer():
    labels = np.array([0, 1, 1, 2, 1])
    assert constant_score("accuracy", labels, 3) == 3 / 5 and constant_score("matthews", labels, 3) == 0
    binary = np.array([1, 1, 0])
    assert constant_score("f1", binary, 2) == pytest.approx(2 * 2 / (2 * 2 + 1)) == METRICS["f1"](binary, np.ones(3))
    assert constant_score("spearman", np.array([1.0, 2.0]), 1) == 0


def test_answers():
    assert answers(np.array([[0.1, 2.0], [3.0, 1.0]])).tolist() == [1, 0]
    assert answers(np.array([[0.1], [3.0]])).tolist() == [0.1, 3.0]


def test_values_of_a_regression_are_the_same_within_a_tolerance():
    before, after = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([[0.0], [1.00005], [2.02], [np.nan]])
    assert same_answers(before, after).tolist() == [True, True, False, False]
    assert same_answers(before, after, SAME_ROUNDED_VALUE).tolist() == [True, True, True, False]
    rounded = np.array([[0.0], [1.04], [2.2], [3.0]])
    assert same_answers(before, rounded, SAME_ROUNDED_VALUE).tolist() == [True, True, False, True]
    labels = np.array([[0.1, 2.0], [3.0, 1.0]])
    assert same_answers(labels, np.array([[0.0, 9.0], [1.0, 1.1]])).tolist() == [True, False]
