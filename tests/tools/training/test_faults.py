"""The fault command itself: whatever happens to a stage, a resumed one ends with the same numbers."""

import json

import pytest

from tests.bad_inputs import KINDS
from tests.inject_faults import FAULTS, STAGES
from tests.tiny_task import run


@pytest.mark.slow
def test_nothing_is_lost(tmp_path):
    file = tmp_path / "faults.json"
    done = run(f"python -m tests.inject_faults --TIMES 2 --SAVE {file}")
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(file.read_text())
    for stage in STAGES:
        found = [fault["fault"] for fault in result["faults"] if fault["stage"] == stage]
        assert found.count("SIGKILL") == 2 and set(found) == set(FAULTS)
    assert any(fault["exit_code"] != 0 for fault in result["faults"])
    assert all(fault["lost"] == [] for fault in result["faults"])
    assert [bad["kind"] for bad in result["bad_inputs"]] == [bad.kind for bad in KINDS]
    assert all(bad["exit_code"] == 2 and bad["message"].startswith("error: ") for bad in result["bad_inputs"])
