"""What is pinned is what is installed, and it can do what the project needs of it."""

import importlib.metadata
import importlib.util
import re

import numpy as np
import pytest
import transformers
from safetensors.numpy import save_file
from transformers.modeling_tf_pytorch_utils import convert_tf_weight_name_to_pt_weight_name as torch_name

from models import TFAdapLeRForSequenceClassification
from tests import tiny
from tests.compare import assert_close
from tools.common.paths import ROOT

PIN = re.compile(r"^([\w.-]+)(?:\[\w+\])?==([^\s;]+)", re.MULTILINE)


REQUIREMENTS = ["requirements.txt", "requirements-onnx.txt", "requirements-ray.txt", "tests/requirements.txt"]


@pytest.mark.parametrize("requirements", REQUIREMENTS)
def test_lock_holds_the_pins_and_hashes(requirements):
    pins = dict(PIN.findall((ROOT / requirements).read_text()))
    lock = (ROOT / requirements).with_suffix(".lock").read_text()
    locked = dict(PIN.findall(lock))
    assert pins and pins.items() <= locked.items()
    assert all("--hash=sha256:" in package for package in re.split(r"\n(?=\w)", lock)[1:])


def test_transformers_is_the_pinned_one_and_has_tensorflow_models():
    assert transformers.__version__ == importlib.metadata.version("transformers")
    assert f"\ntransformers=={transformers.__version__}\n" in (ROOT / "requirements.txt").read_text()
    assert "dummy" not in transformers.TFBertModel.__module__


def test_torch_weights_load_without_torch(tmp_path):
    assert importlib.util.find_spec("torch") is None
    model = tiny.make_model(converted=False)
    tensors = {}
    for variable in model.weights:
        name, transpose = torch_name(variable.name, tf_weight_shape=variable.shape)
        value = variable.numpy()
        tensors[name] = np.ascontiguousarray(value.T if transpose.name == "SIMPLE" else value)
    assert "bert.encoder.layer.0.attention.self.query.weight" in tensors
    model.config.save_pretrained(tmp_path)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    loaded = TFAdapLeRForSequenceClassification.from_pretrained(tmp_path)
    for one, other in zip(model.weights, loaded.weights, strict=True):
        assert_close(other.numpy(), one.numpy(), 0, one.name)
