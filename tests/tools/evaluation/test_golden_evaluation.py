"""Saliencies and evaluation figures against the published system's arrays."""

import json

import numpy as np
import pytest

from tests import golden_quantities as quantities
from tests.golden import GOLDEN, load, make_model
from tests.golden_quantities import assert_golden
from tools.evaluation.evaluate import published_speedup


def test_saliencies():
    assert_golden(quantities.saliencies())


def test_trimmed_batches_give_the_same_saliencies():
    assert_golden(quantities.saliencies_of_trimmed_batches())


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.mark.parametrize("eta", quantities.EVALUATION_CASES)
def test_evaluation(model, eta):
    arrays = load("8_eval_a")
    published = json.loads((GOLDEN / "8_eval_a.json").read_text())[eta]
    predictions = quantities.evaluation(model, eta)
    assert_golden({f"8_eval_a/{eta}/logits": predictions.logits})
    assert np.array_equal(predictions.lengths[:, 1:], arrays[f"{eta}/true_lengths12"])
    assert np.array_equal(predictions.last_contributions, arrays[f"{eta}/lengths13"][:, 12])
    assert published_speedup(predictions) == pytest.approx(published["SPEEDUP (TOTAL)"], rel=1e-9)
    accuracy = (predictions.logits.argmax(axis=1) == arrays["labels"]).mean()
    assert accuracy == published["accuracy"]
