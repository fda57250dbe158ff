"""The serving recipe: the documented folders, configurations and requests fit what the exports write."""

import json
import re

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from tokenizers import Tokenizer
from transformers import BertTokenizerFast

from models import TFAdapLeRForSequenceClassification
from tests.compare import assert_close
from tests.tiny_task import write_backbone
from tools.common.paths import ROOT
from tools.inference.export_onnx import ExportArguments, export_onnx
from tools.inference.export_saved_model import export

PAGE = (ROOT / "tools/inference/README.md").read_text()
TYPES = {"tensor(int64)": "INT64", "tensor(float)": "FP32"}


def block(language: str, start: str) -> str:
    """The code block of a language that begins with `start`."""
    (code,) = [code for code in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if code.startswith(start)]
    return code


def documented_files(root: str) -> set[str]:
    """Paths of a folder's tree, as the page draws it."""
    tree = re.search(rf"^    {root}/\n((?:     +\S+\n)+)", PAGE, re.MULTILINE)[1]
    folders, paths = {2: root}, set()
    for line in tree.splitlines():
        name = line.strip()
        depth = len(line) - 4 - len(name)
        path = f"{folders[depth]}/{name.rstrip('/')}"
        folders[depth + 2] = path
        paths.add(path)
    return paths


def files_of(folder) -> set[str]:
    return {str(path.relative_to(folder.parent)) for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def twelve_layers(tmp_path_factory):
    """A model of the documented sizes, and its export."""
    root = tmp_path_factory.mktemp("serving")
    backbone = write_backbone(root / "backbone", num_hidden_layers=12)
    model = TFAdapLeRForSequenceClassification.from_pretrained(backbone)
    model.to_AdapLeR()
    model.bert.encoder.eta.assign(np.linspace(0.4, 0.9, 12))
    model.save_pretrained(root / "model")
    BertTokenizerFast.from_pretrained(backbone).save_pretrained(root / "model")
    export_onnx(ExportArguments(model_path=root / "model", output=root / "exported"))
    return model, root / "exported"


@pytest.mark.parametrize("file", ["model.onnx", "model.int8.onnx"])
def test_tritons_folder_and_config_fit_the_graph(twelve_layers, tmp_path, file):
    version = tmp_path / "triton" / "sst2" / "1"
    version.mkdir(parents=True)
    config = block("protobuf", "name")
    (version.parent / "config.pbtxt").write_text(config)
    (version / "model.onnx").write_bytes((twelve_layers[1] / file).read_bytes())
    assert files_of(tmp_path / "triton") - {"triton/sst2"} == documented_files("triton") - {"triton/sst2"}
    session = onnxruntime.InferenceSession(version / "model.onnx", providers=["CPUExecutionProvider"])
    parts = re.search(r"^input \[(.*?)^\]\noutput \[(.*?)^\]", config, re.DOTALL | re.MULTILINE)
    for part, values in zip(parts.groups(), (session.get_inputs(), session.get_outputs()), strict=True):
        documented = re.findall(r'\{ name: "(\w+)" data_type: TYPE_(\w+) dims: \[ (.*?) \] \}', part)
        dims = [[-1 if isinstance(size, str) else size for size in value.shape] for value in values]
        assert [shape[0] for shape in dims] == [-1] * len(values)  # max_batch_size stands for the first
        expected = [(value.name, TYPES[value.type], shape[1:]) for value, shape in zip(values, dims, strict=True)]
        assert [(name, kind, json.loads(f"[{sizes}]")) for name, kind, sizes in documented] == expected


def test_the_request_of_the_inference_protocol_is_answered(twelve_layers):
    model, exported = twelve_layers
    request = json.loads(block("json", '{\n  "inputs"'))
    assert {tensor["datatype"] for tensor in request["inputs"]} == {"INT64"}
    inputs = {tensor["name"]: np.reshape(tensor["data"], tensor["shape"]) for tensor in request["inputs"]}
    session = onnxruntime.InferenceSession(exported / "model.onnx", providers=["CPUExecutionProvider"])
    logits, lengths = session.run([tensor["name"] for tensor in request["outputs"]], inputs)
    expected = model({name: tf.constant(values, tf.int32) for name, values in inputs.items()}, lr_mode=True)
    assert_close(logits, expected.logits, 1e-5)
    assert np.array_equal(lengths, np.stack(expected.lengths, axis=1))


def test_tensorflow_servings_folder_and_request_fit_the_saved_model(saved_model, tmp_path):
    model = TFAdapLeRForSequenceClassification.from_pretrained(saved_model)
    export(model, BertTokenizerFast.from_pretrained(saved_model), tmp_path / "serving" / "sst2" / "1")
    assert documented_files("serving") <= files_of(tmp_path / "serving")
    extra = tmp_path / "serving" / "sst2" / "1" / "assets.extra"
    assert json.loads((extra / "config.json").read_text())["id2label"] == {"0": "bad", "1": "good"}
    long, short = Tokenizer.from_file(str(extra / "tokenizer.json")).encode_batch(["good " * 99, "bad"])
    assert len(long.ids) == len(short.ids) == model.longest_input and sum(short.attention_mask) == 3
    signature = tf.saved_model.load(tmp_path / "serving" / "sst2" / "1").signatures["serving_default"]
    instances = json.loads(block("json", '{\n  "instances"'))["instances"]
    inputs = {name: tf.constant([row[name] for row in instances], tf.int32) for name in instances[0]}
    outputs = signature(**inputs)
    sizes = {"batch": len(instances), "length": 4, "labels": 2, "layers": 3}
    documented = {}
    for names, kind, shape in re.findall(r"^\| (`.*?) \| (\w+) \| \[(.*?)\] \|$", PAGE, re.MULTILINE):
        for name in re.findall(r"`(\w+)`", names):
            documented[name] = (kind, [sizes[size] for size in shape.split(", ")])
    assert {name: (value.dtype.name, list(value.shape)) for name, value in (inputs | outputs).items()} == documented
    for spec in signature.structured_input_signature[1].values():
        assert spec.shape.as_list() == [None, None]
    expected = model(inputs, lr_mode=True)
    assert_close(outputs["logits"], expected.logits, 1e-5)
    assert np.array_equal(outputs["lengths"], np.stack(expected.lengths, axis=1))
