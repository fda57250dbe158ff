"""Batch scoring on Ray: the answers of OnnxPredictor, file by file, and what is refused."""

import shutil
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("ray", reason="Ray is not installed; requirements-ray.lock has it")

from tools.common.errors import UserError
from tools.inference.export_onnx import ExportArguments, export_onnx
from tools.inference.onnx_predictor import OnnxPredictor
from tools.inference.score_parquet import ScoreArguments, score
from tools.runtime.argument_parser import parse

WORDS = ["good", "bad", "film", "a", "very", "the", "plot", "was", "seen", "it"]
ROWS = {"a": 70, "b": 1, "c": 0, "d": 33}
"""File -> rows."""


def texts_of(name: str) -> list[str]:
    return [f"{WORDS[i % 10]} {name} {WORDS[i * i % 7]} {'bad ' * (i % 3)}" for i in range(ROWS[name])]


def write_texts(folder):
    folder.mkdir()
    for name, rows in ROWS.items():
        columns = {"number": pa.array(range(rows)), "text": pa.array(texts_of(name), pa.string())}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="module")
def exported(saved_model, tmp_path_factory):
    directory = tmp_path_factory.mktemp("ray") / "exported"
    export_onnx(ExportArguments(model_path=saved_model, output=directory))
    return directory


def score_folder(exported, folder, output, *flags: str) -> None:
    arguments = ["--MODEL_PATH", exported, "--INPUT", folder, "--OUTPUT", output, "--BATCH_SIZE", 1, *flags]
    score(parse([ScoreArguments], "", [str(argument) for argument in arguments]))


def test_files_have_the_answers_of_their_rows_and_missing_files_are_added(exported, tmp_path):
    folder, output = write_texts(tmp_path / "texts"), tmp_path / "answers"
    score_folder(exported, folder, output)
    predictor = OnnxPredictor(exported)
    for name in ROWS:
        answers = pq.read_table(output / f"{name}.parquet").to_pylist()
        for answer, expected in zip(answers, predictor(texts_of(name)), strict=True):
            assert answer == expected | {"score": pytest.approx(expected["score"], abs=1e-6)}
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in output.iterdir()}
    (output / "a.parquet").unlink()
    score_folder(exported, folder, output)
    after = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in output.iterdir()}
    assert after.keys() == before.keys() and after["a.parquet"][0] == before["a.parquet"][0]
    assert [name for name in ("b", "c", "d") if after[f"{name}.parquet"] != before[f"{name}.parquet"]] == []
    pq.write_table(pa.table({"text": ["bad film", "good"]}), folder / "b.parquet")
    score_folder(exported, folder, output)
    assert pq.read_table(output / "b.parquet").num_rows == 2
    assert (output / "d.parquet").stat().st_mtime_ns == before["d.parquet"][1]
    with pytest.raises(UserError, match="another model or setting"):
        score_folder(exported, folder, output, "--INT8")


def test_a_second_call_may_name_the_same_job_otherwise(exported, tmp_path, monkeypatch):
    """Its answers may lie in the model's folder; neither batches nor paths nor the default column change them."""
    (tmp_path / "texts").mkdir()
    pq.write_table(pa.table({"text": ["good", "bad film"]}), tmp_path / "texts" / "a.parquet")
    model = shutil.copytree(exported, tmp_path / "exported")
    score_folder(model, tmp_path / "texts", model / "answers")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.modules["ray"], "init", None)  # nothing is left to score
    again = ["--TEXT_COLUMNS", "text", "--BATCH_SIZE", "2"]
    score_folder("exported", "texts", "exported/answers", *again)


def test_a_missing_text_is_refused_before_ray_starts(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["ray"], "init", None)
    columns = {"other": [None, None, None], "text": ["good", None, "bad"]}
    write = pq.ParquetWriter(tmp_path / "a.parquet", pa.schema([("other", pa.null()), ("text", pa.string())]))
    with write as file:
        for _ in range(2):
            file.write_table(pa.table(columns, file.schema))
    with pytest.raises(UserError, match=r"a\.parquet: 2 rows have no text in column 'text'"):
        score_folder(exported, tmp_path, tmp_path / "answers")
    assert not (tmp_path / "answers").exists()


def test_a_missing_text_in_a_file_without_statistics_is_refused_when_it_is_scored(exported, tmp_path):
    (tmp_path / "texts").mkdir()
    table = pa.table({"text": ["good", None]})
    pq.write_table(table, tmp_path / "texts" / "a.parquet", write_statistics=False)
    with pytest.raises(UserError, match=r"texts: .*a string, a pair .*got None"):
        score_folder(exported, tmp_path / "texts", tmp_path / "answers")
    assert [file.name for file in (tmp_path / "answers").iterdir()] == ["job.json"]


def test_a_wrong_model_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "texts").mkdir()
    pq.write_table(pa.table({"text": ["good"]}), tmp_path / "texts" / "a.parquet")
    with pytest.raises(UserError, match="not a directory that export_onnx wrote"):
        score_folder(tmp_path / "no_model", tmp_path / "texts", tmp_path / "answers", "--TEXT_COLUMNS", "text")
    assert not (tmp_path / "answers").exists()


@pytest.mark.parametrize("wrong", ["empty folder", "no parquet", "other column", "same folder"])
def test_wrong_folders_are_refused_before_ray_starts(exported, tmp_path, monkeypatch, wrong):
    monkeypatch.setattr(sys.modules["ray"], "init", None)
    if wrong == "no parquet":
        (tmp_path / "a.parquet").write_bytes(b"no parquet")
    elif wrong == "other column":
        pq.write_table(pa.table({"sentence": ["good"]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=str(tmp_path)):
        score_folder(exported, tmp_path, tmp_path if wrong == "same folder" else tmp_path / "answers")
    assert not (tmp_path / "answers").exists()
