"""What run_files/predict.py refuses, each in a sentence."""

import json
import shutil

import h5py
import pytest

from models import AdapLeRPredictor
from run_files.predict import PredictArguments, predict
from tools.common.errors import UserError
from tools.runtime.argument_types import Shard


@pytest.fixture
def classify(tmp_path):
    """Classifies rows with a model: (directory, rows, more arguments) -> answers."""

    def run(directory, rows=({"text": "good film"},), **more) -> list[dict]:
        (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        files = {"input": tmp_path / "in.jsonl", "output": tmp_path / "out.jsonl"}
        predict(PredictArguments(model_path=directory, **files, **more))
        return [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]

    return run


@pytest.fixture
def copied(saved_model, tmp_path):
    return shutil.copytree(saved_model, tmp_path / "copied")


def test_a_model_without_a_classifier_is_refused(classify, copied):
    with h5py.File(copied / "tf_model.h5", "a") as file:
        del file["classifier"]
        file.attrs["layer_names"] = [
            name for name in file.attrs["layer_names"] if name not in ("classifier", b"classifier")
        ]
    with pytest.raises(UserError, match="lacks 1 weights of this model, the first is 'classifier'"):
        classify(copied)


@pytest.mark.parametrize("file", ["tf_model.h5", "config.json", "tokenizer.json"])
def test_a_directory_that_was_copied_in_part_is_refused(classify, copied, file):
    content = (copied / file).read_bytes()
    (copied / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=f"cannot load .*{copied}"):
        classify(copied)


def test_an_eta_scale_for_a_plain_bert_is_refused(classify, saved_model):
    plain = saved_model.parent / "backbone"
    with pytest.raises(UserError, match=rf"--ETA_SCALE 1\.5 for {plain}: .* plain BERT"):
        classify(plain, eta_scale=1.5)
    assert len(classify(plain)) == 1


@pytest.mark.parametrize("row", [{"text": None}, {"text": 3}, {}, {"other": "good"}])
def test_a_row_without_a_text_is_named(classify, saved_model, row):
    rows = [{"text": "good film"}, {"text": "it"}, row, {"text": "bad film"}]
    with pytest.raises(UserError, match=r"in\.jsonl: row 2 \(from 0\): column 'text' holds"):
        classify(saved_model, rows)


def test_texts_that_were_cut_are_counted(classify, saved_model, capsys):
    classify(saved_model, [{"text": "good film"}, {"text": "good " * 99}, {"text": "bad " * 99}])
    assert "too long for the model and were cut at their end: 2\n" in capsys.readouterr().err
    classify(saved_model)
    assert "too long" not in capsys.readouterr().err


def test_an_output_in_the_models_directory_is_carried_on(copied, tmp_path, monkeypatch):
    """Its own unfinished files are none of the model's."""
    (tmp_path / "in.txt").write_text("good film\n" * 9)
    arguments = PredictArguments(
        model_path=copied, input=tmp_path / "in.txt", output=copied / "out.jsonl", batch_size=1
    )
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="stopped"):
        patch.setattr(AdapLeRPredictor, "run", stopping_after(8, AdapLeRPredictor.run))
        predict(arguments)
    begun = (copied / ".out.jsonl.begun").read_bytes()
    assert begun.count(b"\n") == 8
    with monkeypatch.context() as patch:
        patch.setattr(AdapLeRPredictor, "run", stopping_after(1, AdapLeRPredictor.run))
        predict(arguments)
    assert (copied / "out.jsonl").read_bytes().startswith(begun)


def stopping_after(calls: int, function):
    """The function, which fails when it is called once more."""
    left = iter(range(calls))

    def run(*arguments):
        if next(left, None) is None:
            raise RuntimeError("stopped")
        return function(*arguments)

    return run


def test_a_row_without_a_text_has_its_number_in_the_whole_input(classify, saved_model):
    rows = [{"text": "good film"}] * 5 + [{"text": None}]
    with pytest.raises(UserError, match=r"row 5 \(from 0\)"):
        classify(saved_model, rows, shard=Shard("2/2"))
