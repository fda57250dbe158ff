"""Exported directories: what is in them, what OnnxPredictor answers, and what it refuses."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from transformers import BertTokenizerFast

from models import AdapLeRPredictor, TFAdapLeRForSequenceClassification
from models.text_classifier import run_model
from run_files.predict import PredictArguments, predict
from tests.tiny_task import WORDS, run, run_here
from tools.common.errors import UserError
from tools.common.paths import ROOT
from tools.inference import onnx_agreement
from tools.inference.export_onnx import ExportArguments, export_onnx
from tools.inference.onnx_predictor import OnnxPredictor
from tools.runtime.argument_parser import parse

TEXTS = ["good film", "a very bad plot was seen", "", "it", "unknown words. of the film", "bad bad bad bad good"]
PAIRS = [("good film", "a very bad plot was seen"), ["it", ""], {"text": "the film", "text_pair": "was a good film"}]
RESULTS = ROOT / "results" / "demo_demo_bert_22.json"


def export_model(model_path: Path, output: Path, **more) -> Path:
    export_onnx(ExportArguments(model_path=model_path, output=output, **more))
    return output


@pytest.fixture(scope="module")
def exported(saved_model, tmp_path_factory):
    return export_model(saved_model, tmp_path_factory.mktemp("onnx") / "exported", results=RESULTS)


def changed_copy(saved_model: Path, directory: Path, plain: bool = False, **config) -> Path:
    """The saved model with other settings; `plain`: a BERT of the same sizes."""
    tokenizer = BertTokenizerFast.from_pretrained(saved_model)
    if plain:
        shutil.copytree(saved_model.parent / "backbone", directory)
    else:
        shutil.copytree(saved_model, directory)
    model = TFAdapLeRForSequenceClassification.from_pretrained(directory, ignore_mismatched_sizes=True, **config)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


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
    exported = export_model(directory, tmp_path / "exported", contributions=True)
    assert_same_answers(OnnxPredictor(exported)(TEXTS, spans=True), AdapLeRPredictor(directory)(TEXTS, spans=True))
    assert "eta_scale" not in [value.name for value in onnx.load(exported / "model.onnx").graph.input]
    with pytest.raises(UserError, match="plain BERT"):
        OnnxPredictor(exported, eta_scale=1.0)


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


def test_wrong_precisions_and_directories_are_refused(exported, tmp_path):
    with pytest.raises(UserError, match="float16"):
        OnnxPredictor(exported, precision="float16")
    with pytest.raises(UserError, match="nothing here"):
        OnnxPredictor(tmp_path / "nothing here")


def test_the_directory_is_complete(exported):
    assert {file.name for file in exported.iterdir()} == {
        "model.onnx",
        "model.int8.onnx",
        "tokenizer.json",
        "config.json",
        "README.md",
    }
    config = json.loads((exported / "config.json").read_text())
    assert config["id2label"] == {"0": "bad", "1": "good"}
    assert (config["max_length"], config["eta_scale"], config["text_columns"]) == (9, 1.0, ["text"])
    run_of_file = json.loads(RESULTS.read_text())
    assert config["results"]["splits"]["test"]["score"] == run_of_file["adapler"]["test"]["accuracy"]
    card = (exported / "README.md").read_text()
    assert f"{run_of_file['adapler']['test']['accuracy']:.4f}" in card
    assert f"{run_of_file['adapler']['test']['speedup']:.2f}x" in card and run_of_file["backbone"] in card


def snippet_of(exported: Path) -> str:
    (code,) = re.findall(r"```python\n(.*?)```", (exported / "README.md").read_text(), re.DOTALL)
    assert code.count("\n") <= 20
    return code


def assert_snippet_runs(exported: Path, python: str) -> None:
    code = snippet_of(exported)
    assert set(re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE)) == {"numpy", "onnxruntime", "tokenizers"}
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run([python, "-c", code], cwd=exported, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    texts = ["a text", "another text"]
    expected = OnnxPredictor(exported, precision="int8")(texts)
    lines = [f"{text} {answer['label']} {answer['lengths']}" for text, answer in zip(texts, expected, strict=True)]
    assert done.stdout.splitlines() == lines


def test_the_cards_snippet_runs(exported):
    assert_snippet_runs(exported, sys.executable)


@pytest.mark.slow
def test_the_cards_snippet_runs_without_tensorflow(exported, tmp_path):
    python = str(tmp_path / "environment" / "bin" / "python")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "environment"], check=True)
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "onnxruntime", "tokenizers", "numpy"],
        capture_output=True,
        text=True,
    )
    if installed.returncode != 0:
        pytest.skip(f"no package index can be reached: {installed.stderr.strip().splitlines()[-1]}")
    assert subprocess.run([python, "-c", "import tensorflow"], capture_output=True).returncode != 0
    assert_snippet_runs(exported, python)


def test_pairs_and_regressions_have_their_own_snippet(saved_model, tmp_path):
    directory = changed_copy(saved_model, tmp_path / "model", num_labels=1, text_columns=["premise", "hypothesis"])
    exported = export_model(directory, tmp_path / "exported")
    done = subprocess.run([sys.executable, "-c", snippet_of(exported)], cwd=exported, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout.startswith("('a text', 'its pair') ")
        and "was exported without" in (exported / "README.md").read_text()
    )


NO_TENSORFLOW = """
import sys
from tools.inference.onnx_predictor import OnnxPredictor
OnnxPredictor(sys.argv[1])("good film")
print(sorted({name.split(".")[0] for name in sys.modules} & {"tensorflow", "transformers", "datasets"}))
"""


def test_the_predictor_imports_no_tensorflow(exported):
    done = subprocess.run([sys.executable, "-c", NO_TENSORFLOW, exported], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_the_program_compares_with_tensorflow_on_given_texts(saved_model, tmp_path):
    (tmp_path / "texts.csv").write_text("index,text\n1,good film\n2,a very bad plot\n3,it was\n")
    flags = f"--MODEL_PATH {saved_model} --output {tmp_path}/exported --TEXTS {tmp_path}/texts.csv --contributions"
    done = run_here(f"python -m tools.inference.export_onnx {flags}")
    assert done.returncode == 0, done.stderr
    assert "on 3 texts" in done.stdout and "largest difference of a logit" in done.stdout
    outputs = onnx.load(tmp_path / "exported" / "model.onnx").graph.output
    assert [output.name for output in outputs] == ["logits", "lengths", "kept_positions", "contributions"]


def decided_model(saved_model: Path, directory: Path, outlier_layer: int | None = None) -> Path:
    """The saved model with both answers equally frequent, and the most certain of them as a custom task beside it.

    Args:
        outlier_layer: a layer that gets a unit that is huge and that nothing reads; int8 rounds its others to 0.
    """
    tokenizer = BertTokenizerFast.from_pretrained(saved_model)
    model = TFAdapLeRForSequenceClassification.from_pretrained(saved_model)
    if outlier_layer is not None:
        block = model.bert.encoder.layer[outlier_layer]
        bias, kernel = block.intermediate.dense.bias.numpy(), 20 * block.bert_output.dense.kernel.numpy()
        bias[0], kernel[0] = 1e4, 0
        block.intermediate.dense.kernel.assign(20 * block.intermediate.dense.kernel)
        block.intermediate.dense.bias.assign(bias)
        block.bert_output.dense.kernel.assign(kernel)
    rng = np.random.default_rng(0)
    texts = sorted({" ".join(rng.choice(WORDS, rng.integers(2, 7))) for _ in range(400)})
    logits = run_model(model, tokenizer(texts, padding=True, return_tensors="np"))["logits"]
    margins = logits[:, 1] - logits[:, 0]
    model.classifier.bias.assign_sub([0, np.median(margins)])
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    order = np.argsort(margins)
    chosen = [(texts[i], "bad") for i in order[:30]] + [(texts[i], "good") for i in order[-30:]]
    lines = "".join(f"{json.dumps({'text': text, 'label': label})}\n" for text, label in chosen)
    for split in ("train", "validation"):
        (directory.parent / f"{split}.jsonl").write_text(lines)
    return directory


def test_a_layer_that_hurts_int8_stays_in_float32_and_the_export_says_so(saved_model, tmp_path, capsys):
    model = decided_model(saved_model, tmp_path / "model", outlier_layer=1)
    exported = export_model(model, tmp_path / "exported", task="custom", data_dir=tmp_path)
    record = json.loads((exported / "config.json").read_text())["int8"]
    assert record["float32_layers"] == [1] and record["low"] > -0.005
    assert (record["task"], record["metric"], record["examples"]) == ("custom", "accuracy", 60)
    said = "Layers 1 (counted from 0) stay in float32: int8 costs too much."
    assert said in (exported / "README.md").read_text() and said in capsys.readouterr().out
    kernels = {value.name: value.data_type for value in onnx.load(exported / "model.int8.onnx").graph.initializer}
    kinds = [kernels[f"layer_{layer}.output.dense.kernel"] for layer in range(3)]
    assert kinds == [onnx.TensorProto.INT8, onnx.TensorProto.FLOAT, onnx.TensorProto.INT8]


def test_all_layers_are_in_int8_where_the_score_stays(saved_model, tmp_path):
    model = decided_model(saved_model, tmp_path / "model")
    exported = export_model(model, tmp_path / "exported", task="custom", data_dir=tmp_path, max_eval_examples=10)
    record = json.loads((exported / "config.json").read_text())["int8"]
    assert record["float32_layers"] == [] and record["examples"] == 10
    assert "All layers are int8." in (exported / "README.md").read_text()


def test_a_task_of_other_labels_is_refused(saved_model, tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,x\nb,y\nc,z\n")
    (tmp_path / "validation.csv").write_text("text,label\na,x\n")
    with pytest.raises(UserError, match="3 outputs, the model has 2"):
        export_model(saved_model, tmp_path / "exported", task="custom", data_dir=tmp_path)
    assert not (tmp_path / "exported").exists()


@pytest.mark.parametrize(
    ("output", "flags", "message"),
    [
        ("file/exported", "", "cannot write"),
        ("full", "", "full exists"),
        ("exported", "--TEXTS {tmp_path}/none.txt", "none.txt"),
        ("exported", "--RESULTS {tmp_path}/full/file", "full/file"),
        ("exported", "--MODEL_PATH {tmp_path}/none", "none"),
    ],
)
def test_the_program_refuses_in_one_sentence(saved_model, tmp_path, output, flags, message):
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("{}")
    flags = f"--MODEL_PATH {saved_model} --OUTPUT {tmp_path}/{output} {flags.format(tmp_path=tmp_path)}"
    done = run_here(f"python -m tools.inference.export_onnx {flags}")
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2 and message in error and "Traceback" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"file", "full"}


@pytest.mark.parametrize("wrong", ["logits", "lengths"])
def test_a_disagreement_leaves_nothing(saved_model, tmp_path, monkeypatch, wrong):
    right = OnnxPredictor.run

    def disagreeing(self, inputs):
        outputs = right(self, inputs)
        return outputs | {wrong: outputs[wrong] + (1 if wrong == "lengths" else np.float32(2e-4))}

    monkeypatch.setattr(OnnxPredictor, "run", disagreeing)
    with pytest.raises(UserError, match="disagrees with TensorFlow on the text"):
        export_model(saved_model, tmp_path / "exported")
    assert not list(tmp_path.iterdir())


def test_ties_are_counted_and_at_least_one_text_is_compared(saved_model, exported, monkeypatch):
    model = TFAdapLeRForSequenceClassification.from_pretrained(saved_model)
    assert "left out 0 ties" in onnx_agreement.compare(model, exported, TEXTS)
    monkeypatch.setattr(onnx_agreement, "TIE", 1.0)
    with pytest.raises(UserError, match="no text was compared"):
        onnx_agreement.compare(model, exported, ["a very bad plot was seen"])


def test_an_earlier_export_is_replaced_only_by_a_whole_one(saved_model, tmp_path):
    exported = export_model(saved_model, tmp_path / "exported")
    before = (exported / "model.onnx").read_bytes()
    with pytest.raises(UserError, match="none"):
        export_model(saved_model, exported, texts=tmp_path / "none.txt")
    assert (exported / "model.onnx").read_bytes() == before
    export_model(saved_model, exported)
    assert [path.name for path in tmp_path.iterdir()] == ["exported"]


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
    with pytest.raises(UserError, match="--INT8 needs a model exported to ONNX"):
        classify(saved_model, tmp_path, "int8.jsonl", "--INT8")


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
