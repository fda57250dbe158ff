"""A converted MiniLM on real sentences: the exported model has TensorFlow's labels and lengths."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from transformers import AutoTokenizer

from models import AdapLeRPredictor, TFAdapLeRForSequenceClassification
from models.text_predictor import as_arrays
from tests.compare import assert_close
from tests.tools.data.test_tasks import SHARED
from tools.data.files import read_file
from tools.inference.export_onnx import ExportArguments, export_onnx
from tools.inference.onnx_predictor import OnnxPredictor

BACKBONE = Path(os.environ.get("ADAPLER_TEST_BACKBONE", Path.home() / ".cache/adapler/minilm"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SHARED.is_dir(), reason="the real data sets are not beside the project"),
    pytest.mark.skipif(not BACKBONE.is_dir(), reason=f"no real backbone at {BACKBONE}; set ADAPLER_TEST_BACKBONE"),
]


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """A converted MiniLM that drops tokens, and its export."""
    tf.keras.utils.set_random_seed(0)
    root = tmp_path_factory.mktemp("real")
    model = TFAdapLeRForSequenceClassification.from_pretrained(BACKBONE, num_labels=2)
    model.config.update({"MAX_LENGTH": 64, "text_columns": ["sentence"]})
    model.to_AdapLeR()
    model.bert.encoder.eta.assign(np.linspace(0.4, 0.9, model.config.num_hidden_layers))
    for predictor in model.bert.encoder.contribution_predictors:
        predictor.score.kernel.assign(50 * predictor.score.kernel)
    model.classifier.kernel.assign(20 * model.classifier.kernel)
    model.save_pretrained(root / "model")
    AutoTokenizer.from_pretrained(BACKBONE).save_pretrained(root / "model")
    export_onnx(ExportArguments(model_path=root / "model", output=root / "exported"))
    return root / "model", root / "exported"


@pytest.fixture(scope="module")
def sentences():
    return read_file(SHARED / "sst2" / "validation.jsonl.gz")["sentence"][:200]


def test_float32_has_the_labels_and_lengths_of_tensorflow(directories, sentences):
    model, exported = directories
    expected = AdapLeRPredictor(model)(sentences, spans=True)
    answers = OnnxPredictor(exported)(sentences, spans=True)
    for name in ("label", "lengths", "spans"):
        assert [answer[name] for answer in answers] == [answer[name] for answer in expected]
    assert_close([answer["score"] for answer in answers], [answer["score"] for answer in expected], 1e-5)
    assert len({json.dumps(answer["lengths"]) for answer in answers}) > 50


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_an_example_has_its_own_answer_in_every_batch(directories, sentences, precision):
    shared = OnnxPredictor(directories[1], 32, precision=precision)
    alone = OnnxPredictor(directories[1], 1, precision=precision)
    for one, other in zip(shared(sentences, spans=True), alone(sentences, spans=True), strict=True):
        assert one["spans"] == other["spans"] and one["lengths"] == other["lengths"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)
    encoded = shared.encode(sentences[:64])
    logits = shared.run(as_arrays(encoded))["logits"]
    for row, sentence in enumerate(sentences[:64]):
        assert_close(alone.run(as_arrays(alone.encode([sentence])))["logits"][0], logits[row], 1e-4)
