"""OnnxPredictor and predict.py on an exported directory: what they answer, and what they refuse."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from models import AdapLeRPredictor
from run_files.predict import PredictArguments, _load_predictor, predict
from tests.tiny_task import run, run_here
from tests.tools.inference.exports import TEXTS, changed_copy, export_model
from tools.common.errors import UserError
from tools.common.paths import ROOT
from tools.inference.onnx_predictor import OnnxPredictor
from tools.inference.text_scorer import TextScorer
from tools.runtime.argument_parser import parse

PAIRS = [("good film", "a very bad plot was seen"), ["it", ""], {"text": "the film", "text_pair": "was a good film"}]


def assert_same_answers(answers: list[dict], expected: list[dict]) -> None:
    for ours, theirs in zip(answers, expected, strict=True):
        assert ours.keys() == theirs.keys()
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-5)
        assert {name: ours[name] for name in ours if name != "score"} == {
            k: v for k, v in theirs.items() if k != "score"
        }


@pytest.mark.parametrize("spans", [False, True])
@pytest.mark.parametrize("eta_scale", [None, 0.0, 1.3])
def test_answers_are_those_of_tensorflow(saved_model, exported, spans, eta_scale):
    expected = AdapLeRPredictor(saved_model, eta_scale=eta_scale)(TEXTS, spans)
    assert_same_answers(OnnxPredictor(exported, eta_scale=eta_scale)(TEXTS, spans), expected)
    assert_same_answers(OnnxPredictor(exported, 2, eta_scale)(iter(TEXTS), spans), expected)


@pytest.mark.parametrize("config", [{"num_labels": 1}, {"num_labels": 4}], ids=["regression", "four labels"])
def test_label_counts(saved_model, tmp_path, config):
    directory = changed_copy(saved_model, tmp_path / "model", **config)
    predictor = OnnxPredictor(export_model(directory, tmp_path / "exported"))
    assert_same_answers(predictor(TEXTS), AdapLeRPredictor(directory)(TEXTS))


def test_plain_bert(saved_model, tmp_path):
    directory = changed_copy(saved_model, tmp_path / "model", plain=True)
    with pytest.raises(UserError, match=r"--CONTRIBUTIONS has no use for .*a plain BERT"):
        export_model(directory, tmp_path / "none", contributions=True)
    exported = export_model(directory, tmp_path / "exported")
    assert_same_answers(OnnxPredictor(exported)(TEXTS, spans=True), AdapLeRPredictor(directory)(TEXTS, spans=True))
    assert "eta_scale" not in [value.name for value in onnx.load(exported / "model.onnx").graph.input]
    with pytest.raises(UserError, match="plain BERT"):
        OnnxPredictor(exported, eta_scale=1.0)
    with pytest.raises(ValueError, match="plain BERT"):
        AdapLeRPredictor(directory, eta_scale=1.0)


def test_int8_has_the_same_answers_in_every_batch(exported):
    shared = OnnxPredictor(exported, precision="int8")(TEXTS, spans=True)
    alone = [OnnxPredictor(exported, 1, precision="int8")([text], spans=True)[0] for text in TEXTS]
    assert_same_answers(shared, alone)
    assert shared[0]["score"] != OnnxPredictor(exported)(TEXTS)[0]["score"]


@pytest.mark.parametrize("columns", [["premise", "hypothesis"], None], ids=["pairs", "unknown"])
def test_pairs(saved_model, tmp_path, columns):
    directory = changed_copy(saved_model, tmp_path / "model", text_columns=columns)
    predictor, expected = OnnxPredictor(export_model(directory, tmp_path / "exported")), AdapLeRPredictor(directory)
    texts = PAIRS if columns else [*PAIRS, *TEXTS]
    assert_same_answers(predictor(texts, spans=True), expected(texts, spans=True))


@pytest.mark.parametrize("texts", [np.array(TEXTS, object), TEXTS], ids=["array", "list"])
def test_batches_of_columns_are_scored_for_engines(exported, texts):
    """Columns as Ray, Beam and Spark have them; the others are handed on."""
    answers = TextScorer(["text"], directory=exported)({"text": texts, "row": np.arange(len(TEXTS))})
    expected = OnnxPredictor(exported)(TEXTS)
    assert answers["label"].tolist() == [answer["label"] for answer in expected] and "text" not in answers
    assert answers["lengths"].tolist() == [answer["lengths"] for answer in expected]
    assert answers["row"].tolist() == list(range(len(TEXTS)))


def test_one_text_and_no_texts(exported):
    predictor = OnnxPredictor(exported)
    assert predictor("good film") == predictor(["good film"]) == predictor({"text": "good film"})
    assert predictor([]) == []


def test_streams(exported):
    predictor = OnnxPredictor(exported, batch_size=2)
    read = []
    texts = (read.append(number) or TEXTS[number % 5] for number in range(1000))
    assert next(predictor.stream(texts)) == predictor(TEXTS[0])[0]
    assert len(read) == 2 * predictor.BATCHES_AHEAD


WRONG_TEXTS = [[("a", "b", "c")], [3], [None], [["a"]], [{"text": 3}], [{}], [{"a": "b"}], [("a", "b")], ("a", "b")]


@pytest.mark.parametrize("wrong", WRONG_TEXTS, ids=repr)
def test_wrong_texts_are_refused_as_by_tensorflow(saved_model, exported, wrong):
    with pytest.raises(ValueError) as expected:
        AdapLeRPredictor(saved_model)(wrong)
    with pytest.raises(ValueError, match=re.escape(str(expected.value))):
        OnnxPredictor(exported)(wrong)


@pytest.mark.parametrize("eta_scale", [float("nan"), float("inf"), -0.1, "fast", True])
def test_wrong_eta_scales_are_refused(exported, eta_scale):
    with pytest.raises(UserError, match="eta_scale"):
        OnnxPredictor(exported, eta_scale=eta_scale)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_ids": [[2, 99, 3]]}, "token ids from 2 to 99"),
        ({"input_ids": [[2, -1, 3]]}, "token ids from -1 to 3"),
        ({"token_type_ids": [[0, 2, 0]]}, "token type ids"),
        ({"attention_mask": [[0, 1, 1]]}, r"\[CLS\]"),
        ({"attention_mask": [[1, 1]]}, "one shape"),
        (
            {name: [[0] * 17] for name in ("input_ids", "token_type_ids")} | {"attention_mask": [[1] * 17]},
            "16 positions",
        ),
        ({name: np.zeros((1, 0)) for name in ("input_ids", "attention_mask", "token_type_ids")}, "hold tokens"),
    ],
)
def test_wrong_arrays_are_refused(exported, changes, message):
    inputs = {"input_ids": [[2, 7, 3]], "attention_mask": [[1, 1, 1]], "token_type_ids": [[0, 0, 0]]}
    with pytest.raises(UserError, match=message):
        OnnxPredictor(exported).run(inputs | changes)


def damaged(exported: Path, directory: Path, file: str, content: bytes | None) -> Path:
    shutil.copytree(exported, directory)
    (directory / file).unlink()
    if content is not None:
        (directory / file).write_bytes(content)
    return directory


@pytest.mark.parametrize("file", ["model.onnx", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", [None, b"", b"\x00{ no model"])
def test_damaged_directories_are_refused(exported, tmp_path, file, content):
    with pytest.raises(UserError, match=str(tmp_path)):
        OnnxPredictor(damaged(exported, tmp_path / "damaged", file, content))


@pytest.mark.parametrize("change", ["opset", "operator"])
def test_a_model_of_a_later_onnx_is_refused(exported, tmp_path, change):
    model = onnx.load(exported / "model.onnx")
    if change == "opset":
        model.opset_import[0].version = 99
    else:
        model.graph.node[0].op_type = "LaterOperator"
    directory = damaged(exported, tmp_path / "later", "model.onnx", model.SerializeToString())
    with pytest.raises(UserError, match=r"cannot run .*newer onnxruntime"):
        OnnxPredictor(directory)


def test_batches_of_nothing_are_refused(exported):
    with pytest.raises(ValueError, match="batch_size is 0"):
        OnnxPredictor(exported, batch_size=0)


def test_wrong_precisions_and_directories_are_refused(exported, tmp_path):
    with pytest.raises(UserError, match="float16"):
        OnnxPredictor(exported, precision="float16")
    with pytest.raises(UserError, match="nothing here"):
        OnnxPredictor(tmp_path / "nothing here")


NO_TENSORFLOW = """
import sys
from tools.inference.onnx_predictor import OnnxPredictor
from tools.inference.text_scorer import TextScorer
OnnxPredictor(sys.argv[1])("good film")
print(sorted({name.split(".")[0] for name in sys.modules} & {"tensorflow", "transformers", "datasets"}))
"""


def test_the_predictor_imports_no_tensorflow(exported):
    done = subprocess.run([sys.executable, "-c", NO_TENSORFLOW, exported], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def classify(model_path: Path, folder: Path, name: str, *flags: str) -> list[dict]:
    arguments = ["--MODEL_PATH", model_path, "--INPUT", folder / "in.txt", "--OUTPUT", folder / name, *flags]
    predict(parse([PredictArguments], "", [str(argument) for argument in arguments]))
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_predict_takes_an_exported_directory(saved_model, exported, tmp_path):
    (tmp_path / "in.txt").write_text("\n".join(TEXTS) + "\n")
    expected = classify(saved_model, tmp_path, "tensorflow.jsonl")
    assert_same_answers(classify(exported, tmp_path, "onnx.jsonl"), expected)
    parts = [classify(exported, tmp_path, f"{part}.jsonl", "--SHARD", f"{part}/2") for part in (1, 2)]
    assert_same_answers(parts[0] + parts[1], expected)
    slower = classify(exported, tmp_path, "all.jsonl", "--ETA_SCALE", "0")
    assert sum(slower[1]["lengths"]) > sum(expected[1]["lengths"])
    int8 = OnnxPredictor(exported, precision="int8")(TEXTS)
    assert [answer["score"] for answer in classify(exported, tmp_path, "int8.jsonl", "--INT8")] == [
        pytest.approx(answer["score"], abs=1e-6) for answer in int8
    ]
    for flags in (["--INT8"], ["--THREADS", "1"]):
        with pytest.raises(UserError, match=f"{flags[0]} needs a model exported to ONNX"):
            classify(saved_model, tmp_path, "refused.jsonl", *flags)


@pytest.mark.parametrize(("flags", "threads"), [([], 0), (["--THREADS", "3"], 3)])
def test_predict_passes_the_number_of_threads(exported, flags, threads):
    arguments = parse([PredictArguments], "", ["--MODEL_PATH", str(exported), "--INPUT", "i", "--OUTPUT", "o", *flags])
    _, predictor = _load_predictor(arguments)
    assert predictor.session.get_session_options().intra_op_num_threads == threads


def test_predict_names_the_package_that_an_exported_model_needs(exported, tmp_path, monkeypatch):
    (tmp_path / "in.txt").write_text("good film\n")
    monkeypatch.delitem(sys.modules, "tools.inference.onnx_predictor")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"package onnxruntime: .*requirements-onnx\.lock"):
        classify(exported, tmp_path, "out.jsonl")


def test_predict_imports_no_tensorflow_for_an_exported_directory(exported, tmp_path):
    (tmp_path / "in.txt").write_text("good film\n")
    files = f"--MODEL_PATH {exported} --INPUT {tmp_path}/in.txt --OUTPUT {tmp_path}/out.jsonl"
    done = run(f"python -X importtime run_files/predict.py {files}")
    assert done.returncode == 0 and (tmp_path / "out.jsonl").exists()
    modules = set(re.findall(r"\| +(\w+)$", done.stderr, re.MULTILINE))
    assert "onnxruntime" in modules and not modules & {"tensorflow", "tf_keras", "transformers", "datasets", "pandas"}


def test_predict_refuses_a_damaged_export_in_one_sentence(exported, tmp_path):
    (tmp_path / "in.txt").write_text("good film\n")
    directory = damaged(exported, tmp_path / "damaged", "model.onnx", b"no model")
    files = f"--MODEL_PATH {directory} --INPUT {tmp_path}/in.txt --OUTPUT {tmp_path}/out.jsonl"
    done = run_here(f"python run_files/predict.py {files}")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ONNX Runtime") and done.stderr.count("error: ") == 1
