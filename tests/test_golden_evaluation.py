"""Saliencies and evaluation figures against the published system's arrays."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.compare import assert_close
from tests.golden import GOLDEN, inputs, load, make_model, set_thresholds
from tools.data.examples import Examples
from tools.evaluation.evaluate import predict, published_speedup
from tools.explanations.saliencies import gradient_x_input, saliency_matrix


def test_saliencies():
    arrays = load("4_saliency_a")
    actual = gradient_x_input(make_model(converted=False), inputs(), arrays["labels"])
    assert_close(actual, arrays["asrun/L2/None"], 2e-4 * arrays["asrun/L2/None"].max())


def test_trimmed_batches_give_the_same_saliencies():
    model, arrays = make_model(converted=False), load("4_saliency_a")
    examples = examples_of(inputs(), arrays["labels"])
    assert_close(saliency_matrix(model, examples, 24, 2), arrays["asrun/L2/None"], 2e-4 * arrays["asrun/L2/None"].max())


def examples_of(padded: dict, labels: np.ndarray) -> Examples:
    lengths = padded["attention_mask"].sum(axis=1)
    ragged = {
        name: tf.RaggedTensor.from_tensor(padded[name], lengths=lengths) for name in ("input_ids", "token_type_ids")
    }
    return Examples(np.arange(len(labels)), **ragged, labels=labels, pad_id=0)


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.mark.parametrize("eta", ["eta025", "etalin", "etarand", "etatiny"])
def test_evaluation(model, eta):
    arrays = load("8_eval_a")
    expected = json.loads((GOLDEN / "8_eval_a.json").read_text())[eta]
    set_thresholds(model, eta, "th1")
    predictions = predict(model, examples_of(arrays, arrays["labels"]), batch_size=7)
    assert_close(predictions.logits, arrays[f"{eta}/logits"], 2e-5)
    assert np.array_equal(predictions.lengths[:, 1:], arrays[f"{eta}/true_lengths12"])
    assert np.array_equal(predictions.last_contributions, arrays[f"{eta}/lengths13"][:, 12])
    assert published_speedup(predictions) == pytest.approx(expected["SPEEDUP (TOTAL)"], rel=1e-9)
    accuracy = (predictions.logits.argmax(axis=1) == arrays["labels"]).mean()
    assert accuracy == expected["accuracy"]
