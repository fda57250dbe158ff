"""Shell commands beside run_task.sh: the directories of a task, and the quick start."""

import json
import shutil
import subprocess

import pytest

from tests.tiny_task import ROOT, run
from tools.common.paths import TaskPaths
from tools.data.tasks import TABLE


def test_build_task_dirs(tmp_path):
    result = run("cd directory && ./build_task_dirs.sh bert sst2 22", ADAPLER_DIRECTORY=str(tmp_path))
    assert result.returncode == 0, result.stderr[-3000:]
    assert (tmp_path / "bert/22/sst2/models/adaptive_lr").is_dir()
    assert (tmp_path / "bert/22/sst2/data/sals/train").is_dir() and (tmp_path / "bert/22/sst2/logs").is_dir()


def test_a_machine_without_python_is_told_what_is_needed():
    command = [shutil.which("bash"), "-euc", "source run_files/setup_environment.sh none.lock"]
    done = subprocess.run(command, env={"PATH": ""}, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "Python 3.11 to 3.13 is needed" in done.stderr


@pytest.mark.slow
def test_quickstart():
    """The whole demo: BERT reaches 90 % where a bag of words stays under 75 %, and AdapLeR its target of 3x."""
    result = run("run_files/quickstart.sh")
    assert result.returncode == 0, result.stderr[-3000:]
    where = TaskPaths("demo_bert", 22, "demo")
    assert max(entry["validation"]["accuracy"] for entry in json.loads(where.fine_tuning_log.read_text())) >= 0.9
    validation = json.loads(where.summary.read_text())["splits"]["validation"]
    assert validation["speedup"] == pytest.approx(3, rel=0.05)
    assert validation["score"] >= validation["fine_tuned"] - 0.03
    assert TABLE["demo"].label_names[1] in result.stdout
