"""Bootstrap intervals of differences."""

import numpy as np
import pytest

from tools.common.errors import UserError
from tools.data.tasks import TABLE
from tools.data.windows import PER_DOCUMENT
from tools.evaluation.example_results import ExampleResults
from tools.evaluation.intervals import paired_difference
from tools.evaluation.run_summary import _comparison

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


def test_a_summary_draws_the_windows_of_a_document_together(tmp_path):
    """Of a task of windows, by the windows' row ids, and of the windows with evidence alone."""
    rng, task = np.random.default_rng(0), TABLE["movie_rationales"]
    row_ids = np.concatenate([document * PER_DOCUMENT + np.arange(25) for document in range(40)])
    scored, labels = rng.random(1000) < 0.8, np.zeros(1000, int)
    before, after = np.repeat(WRONG, 1000, axis=0), np.where(np.repeat(rng.random(40) < 0.5, 25)[:, None], RIGHT, WRONG)
    files = tmp_path / "before.npz", tmp_path / "after.npz"
    lengths = np.zeros([1000, 2])
    for file, logits in zip(files, (before, after), strict=True):
        ExampleResults(row_ids, labels, scored, logits, lengths, bert=labels, model=labels).write(file)
    share = float((after[scored].argmax(axis=1) == 0).mean())
    summary = {
        "bert": {"test": {"accuracy": 0.0}},
        "adapler": {"test": {"accuracy": share, "speedup": 2.0}},
    }
    found = _comparison(task, summary, "test", *files)
    arrays = labels[scored], before[scored], after[scored]
    expected = paired_difference("accuracy", *arrays, row_ids[scored] // PER_DOCUMENT)
    assert found.items() >= expected.items() and found["examples"] == scored.sum() and found["constant"] == 1
    alone = paired_difference("accuracy", *arrays)
    assert found["high"] - found["low"] > 3 * (alone["high"] - alone["low"])
    ExampleResults(row_ids, labels, scored, after, lengths + 1, bert=labels, model=labels).write(files[1])
    with pytest.raises(UserError, match="hold other examples"):  # cut at another length
        _comparison(task, summary, "test", *files)
