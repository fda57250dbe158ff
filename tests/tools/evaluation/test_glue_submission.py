"""GLUE files: names, labels, and a zip that is checked before it is written."""

import shutil
import zipfile

import numpy as np
import pytest

from tools.common.errors import UserError
from tools.data.tasks import TABLE
from tools.evaluation.glue_submission import SERVER_FILES, write_predictions, write_server_file, zip_if_complete


def test_published_format(tmp_path):
    write_predictions(tmp_path / "p.tsv", np.array([2, 0, 1]), np.array([1, 0, 1]))
    assert (tmp_path / "p.tsv").read_text() == "index\tprediction\n0\t0\n1\t1\n2\t1\n"


def predictions(task, rows: int) -> np.ndarray:
    return np.arange(rows) % task.outputs if task.label_names else np.linspace(-0.5, 5.5, rows)


@pytest.fixture(scope="module")
def all_files(tmp_path_factory):
    """A folder with every file of a submission, of as many rows as the server wants."""
    folder = tmp_path_factory.mktemp("submission")
    for (name, split), server in SERVER_FILES.items():
        task = TABLE[name]
        write_server_file(folder, task, split, np.arange(server.rows), predictions(task, server.rows))
    return folder


def test_server_labels(tmp_path):
    lines = {}
    for name in ("sst2", "stsb", "mnli", "rte", "qnli", "wnli"):
        file = write_server_file(tmp_path, TABLE[name], "test", np.arange(3), predictions(TABLE[name], 3))
        lines[file.name] = [line.split("\t")[1] for line in file.read_text().splitlines()[1:]]
    assert lines == {
        "SST-2.tsv": ["0", "1", "0"],
        "STS-B.tsv": ["0.000", "2.500", "5.000"],
        "MNLI-m.tsv": ["entailment", "neutral", "contradiction"],
        "RTE.tsv": ["entailment", "not_entailment", "entailment"],
        "QNLI.tsv": ["entailment", "not_entailment", "entailment"],
        "WNLI.tsv": ["0", "1", "0"],
    }


def test_zip_once_all_are_there(all_files, tmp_path):
    shutil.copytree(all_files, tmp_path, dirs_exist_ok=True)
    (tmp_path / "AX.tsv").unlink()
    assert zip_if_complete(tmp_path) is None
    shutil.copy(all_files / "AX.tsv", tmp_path)
    with zipfile.ZipFile(zip_if_complete(tmp_path)) as archive:
        assert sorted(archive.namelist()) == sorted(server.name for server in SERVER_FILES.values())


@pytest.mark.parametrize("damage", ["0\t7\n", ""], ids=["wrong label", "missing rows"])
def test_a_wrong_file_is_not_zipped(all_files, tmp_path, damage):
    shutil.copytree(all_files, tmp_path, dirs_exist_ok=True)
    lines = (tmp_path / "WNLI.tsv").read_text().splitlines(keepends=True)
    (tmp_path / "WNLI.tsv").write_text(lines[0] + damage + "".join(lines[2:]))
    with pytest.raises(UserError, match=r"WNLI\.tsv"):
        zip_if_complete(tmp_path)
    assert not (tmp_path / "submission.zip").exists()


def test_other_tasks_are_no_part_of_it(tmp_path):
    with pytest.raises(UserError, match="imdb test"):
        write_server_file(tmp_path, TABLE["imdb"], "test", np.arange(1), np.arange(1))
