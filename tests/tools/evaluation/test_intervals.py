"""Bootstrap intervals of differences."""

import numpy as np
import pytest

from tools.evaluation.intervals import paired_difference

RIGHT, WRONG = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])


def test_one_example_has_an_interval_without_width():
    for labels in (np.array([0]), np.array([0, 0])):
        pair = np.repeat(RIGHT, len(labels), axis=0), np.repeat(WRONG, len(labels), axis=0)
        assert paired_difference("accuracy", labels, *pair) == {"difference": -1, "low": -1, "high": -1}


def test_examples_of_one_document_are_drawn_together():
    """40 documents of 25 equal windows each have the interval of 40 examples, not of 1,000."""
    rng = np.random.default_rng(0)
    documents = rng.permutation(40)
    better = rng.random(40) < 0.5
    windows = np.repeat(np.arange(40), 25)
    before, after = np.repeat(WRONG, 40, axis=0), np.where(better[:, np.newaxis], RIGHT, WRONG)
    labels = np.zeros(1000, int)
    by_document = paired_difference("accuracy", labels, before[windows], after[windows], documents[windows])
    alone = paired_difference("accuracy", labels[:40], before, after)
    naive = paired_difference("accuracy", labels, before[windows], after[windows])
    assert by_document["difference"] == alone["difference"] == naive["difference"] == better.mean()
    width, width_alone, width_naive = (found["high"] - found["low"] for found in (by_document, alone, naive))
    assert width == pytest.approx(width_alone, rel=0.15) and width > 3 * width_naive
