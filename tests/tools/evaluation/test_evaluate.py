"""What a model predicts for a split."""

import numpy as np
import pytest
import tf_keras as keras

from tests import tiny
from tests.golden_quantities import examples_of
from tests.machine import needs_bfloat16
from tools.evaluation.evaluate import predict


@pytest.fixture
def bfloat16():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    yield
    keras.mixed_precision.set_global_policy("float32")


@needs_bfloat16
def test_logits_of_a_plain_model_in_bfloat16_can_be_stored(bfloat16, tmp_path):
    """NumPy reads a stored bfloat16 array as raw bytes, which have no order."""
    examples = examples_of(tiny.inputs(), np.zeros(len(tiny.LENGTHS), np.int32))
    predictions = predict(tiny.make_model(converted=False), examples, 4)
    np.savez(tmp_path / "stored.npz", logits=predictions.logits)
    with np.load(tmp_path / "stored.npz", allow_pickle=False) as stored:
        assert stored["logits"].dtype == np.float32
        assert np.array_equal(stored["logits"].argmax(axis=-1), predictions.logits.argmax(axis=-1))
