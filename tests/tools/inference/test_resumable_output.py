"""Which answers of an earlier run a folder keeps."""

import json

import pytest

from tools.common.errors import UserError
from tools.inference.resumable_output import keep_job


@pytest.fixture
def folder(tmp_path):
    """Texts a and b, and the answers to both from an earlier run."""
    files = [tmp_path / "texts" / name for name in ("a", "b")]
    (tmp_path / "texts").mkdir()
    for file in files:
        file.write_text("text")
    keep_job(tmp_path / "answers", {"model": "m"}, files)
    for file in files:
        (tmp_path / "answers" / file.name).write_text("answer")
    return tmp_path / "answers", files


def test_answers_stay_until_their_file_is_changed(folder):
    output, (a, b) = folder
    keep_job(output, {"model": "m"}, [a, b])
    assert (output / "a").exists() and (output / "b").exists()
    a.write_text("another text")
    keep_job(output, {"model": "m"}, [a])
    assert not (output / "a").exists() and (output / "b").exists()
    keep_job(output, {"model": "m"}, [a, b])
    assert (output / "b").exists()
    (output / "job.json").write_text(json.dumps({"model": "m"}))  # of an earlier version: the files are not known
    keep_job(output, {"model": "m"}, [b])
    assert not (output / "b").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"texts": 3}'])
def test_a_damaged_job_is_refused(folder, content):
    output, files = folder
    (output / "job.json").write_text(content)
    with pytest.raises(UserError, match=r"job\.json is damaged: .*name another --OUTPUT"):
        keep_job(output, {"model": "m"}, files)
    assert (output / "a").exists()


def test_answers_of_another_or_of_no_job_are_refused(folder):
    output, files = folder
    for job in ({}, {"model": "n"}):
        with pytest.raises(UserError, match="another model or setting"):
            keep_job(output, job, files)
    (output / "job.json").unlink()
    with pytest.raises(UserError, match=r"a exists without .*job\.json"):
        keep_job(output, {"model": "m"}, files)
    assert (output / "a").exists()
