"""The export for ONNX Runtime: what it writes, what it checks first, and what it refuses."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from transformers import BertTokenizerFast

from models import TFAdapLeRForSequenceClassification
from models.text_classifier import run_model
from tests.tiny_task import WORDS, run_here
from tests.tools.inference.exports import RESULTS, TEXTS, changed_copy, export_model, results_of
from tools.common.errors import UserError
from tools.inference import int8_score, onnx_agreement
from tools.inference.onnx_predictor import OnnxPredictor
from tools.runtime.checkpoints import weights_checksum


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
    assert "on all training examples of demo (without the 30 that were held out for validation)" in card


@pytest.mark.parametrize(
    "wrong", [{"model": "another.h5"}, {"eta_scale": 1.2}, {"weights": 3}], ids=lambda w: next(iter(w))
)
def test_a_result_file_of_another_model_is_refused(saved_model, tmp_path, wrong):
    results = results_of(saved_model, tmp_path / "results.json", **wrong)
    with pytest.raises(UserError, match=rf"results\.json is of another model: its {next(iter(wrong))} is "):
        export_model(saved_model, tmp_path / "exported", results=results)
    assert not (tmp_path / "exported").exists()


@pytest.mark.parametrize(
    "idle", [{"hold_out": 3}, {"data_dir": Path()}, {"label_column": "l"}, {"max_eval_examples": 3}]
)
def test_flags_of_a_task_need_one(saved_model, tmp_path, idle):
    with pytest.raises(UserError, match=f"--{next(iter(idle)).upper()} has no use without --TASK"):
        export_model(saved_model, tmp_path / "exported", **idle)


def test_a_label_column_needs_a_custom_task(saved_model, tmp_path):
    with pytest.raises(UserError, match="--LABEL_COLUMN: only --TASK custom takes columns"):
        export_model(saved_model, tmp_path / "exported", task="sst2", label_column="l")


def test_int8_keeps_values_of_a_regression_within_a_tolerance(saved_model, tmp_path, capsys):
    directory = changed_copy(saved_model, tmp_path / "model", num_labels=1)
    exported = export_model(directory, tmp_path / "exported")
    assert "int8 gives the same value within 0.05 on " in capsys.readouterr().out
    model = TFAdapLeRForSequenceClassification.from_pretrained(directory)
    model.classifier.bias.assign([1.0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_agreement, "LOGIT_TOLERANCE", 2.0)
        assert "within 0.05 on 0 of 6" in onnx_agreement.compare(model, exported, TEXTS)


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
    said = "Layers 1 (counted from 0) stay in float32: in int8, they could cost 0.5 points or more."
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


@pytest.mark.parametrize(
    "config, message",
    [
        ({"text_columns": ["text"]}, "--TASK mrpc has texts in sentence1 and sentence2, the model was trained on text"),
        (
            {"text_columns": ["sentence1", "sentence2"], "id2label": {0: "bad", 1: "good"}},
            "--TASK mrpc has the labels not_equivalent, equivalent, the model has bad, good",
        ),
    ],
)
def test_the_dev_set_of_another_task_is_refused(saved_model, tmp_path, config, message):
    model = changed_copy(saved_model, tmp_path / "model", **config)
    with pytest.raises(UserError, match=message):
        export_model(model, tmp_path / "exported", task="mrpc", data_dir=tmp_path)


def test_the_dev_set_of_a_custom_task_with_other_labels_is_refused(saved_model, tmp_path):
    decided_model(saved_model, tmp_path / "model")
    model = changed_copy(saved_model, tmp_path / "other", id2label={0: "ham", 1: "spam"})
    with pytest.raises(UserError, match="--TASK custom has the labels bad, good, the model has ham, spam"):
        export_model(model, tmp_path / "exported", task="custom", data_dir=tmp_path)


def test_a_dev_set_that_int8_cannot_be_scored_on_is_refused(saved_model, tmp_path):
    """Hidden labels would all agree, and windows are no whole reviews."""
    (tmp_path / "sst2").mkdir()
    (tmp_path / "sst2" / "validation.jsonl").write_text('{"sentence": "good film", "label": -1}\n' * 3)
    names = {0: "negative", 1: "positive"}
    model = changed_copy(saved_model, tmp_path / "model", text_columns=["sentence"], id2label=names)
    with pytest.raises(UserError, match="3 validation labels are hidden"):
        export_model(model, tmp_path / "exported", task="sst2", data_dir=tmp_path)
    with pytest.raises(UserError, match="windows"):
        export_model(model, tmp_path / "exported", task="movie_rationales", data_dir=tmp_path)


def test_int8_that_could_lose_too_much_says_so(saved_model, tmp_path, monkeypatch):
    """With all layers in float32 as well, because the word embeddings are int8."""
    surely = {"difference": -0.01, "low": -0.02, "high": 0.0}
    monkeypatch.setattr(int8_score, "paired_difference", lambda *_: surely)
    model = decided_model(saved_model, tmp_path / "model")
    exported = export_model(model, tmp_path / "exported", task="custom", data_dir=tmp_path)
    said = "could cost 0.5 points or more. Even so, int8 could cost 0.5 points or more: use model.onnx."
    assert said in (exported / "README.md").read_text()


def test_the_card_of_a_plain_bert_has_scores_without_intervals(saved_model, tmp_path):
    plain = changed_copy(saved_model, tmp_path / "model", plain=True)
    results = json.loads(RESULTS.read_text())
    results["bert"] |= {"model": "model.h5", "weights": weights_checksum(plain)}
    (tmp_path / "results.json").write_text(json.dumps(results))
    exported = export_model(plain, tmp_path / "exported", results=tmp_path / "results.json")
    (row,) = [line for line in (exported / "README.md").read_text().splitlines() if line.startswith("| test")]
    assert f"{results['bert']['test']['accuracy']:.4f}" in row and "to" not in row.split("|")[5]
    results["bert"]["model"] = "bert_demo_3.h5"
    (tmp_path / "results.json").write_text(json.dumps(results))
    with pytest.raises(UserError, match="is of another model: its model is bert_demo_3"):
        export_model(plain, tmp_path / "other", results=tmp_path / "results.json")


def test_exports_cut_long_texts_where_training_cut_them(saved_model, tmp_path):
    directory = changed_copy(saved_model, tmp_path / "model")
    BertTokenizerFast.from_pretrained(directory, truncation_side="left").save_pretrained(directory)
    exported = export_model(directory, tmp_path / "exported")
    text = "good film bad plot it was seen very bad good film a"
    expected = BertTokenizerFast.from_pretrained(directory)(text, truncation=True, max_length=9)["input_ids"]
    assert OnnxPredictor(exported).encode([text])[0].ids == expected
    assert expected != BertTokenizerFast.from_pretrained(saved_model)(text, truncation=True, max_length=9)["input_ids"]


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
