"""All stages of every task: on a few hundred real examples where the data lies beside, on tiny files otherwise."""

import json
import os
from pathlib import Path

import pytest

from tests.tiny_task import run, write_backbone
from tests.tools.data.test_tasks import ORDINARY, SHARED, write
from tools.common.paths import TaskPaths
from tools.data.tasks import TABLE

BACKBONE = Path(os.environ.get("ADAPLER_TEST_BACKBONE", Path.home() / ".cache/adapler/minilm"))
REAL = ("sst2", "mrpc", "imdb", "hatexplain", "ag_news", "scitail", "fnc", "movie_rationales")

pytestmark = pytest.mark.slow


def run_all_stages(task: str, backbone: Path, data: Path, flags: str) -> TaskPaths:
    command = f"run_files/run_task.sh {task} 3 --BACKBONE {backbone} --DATA_DIR {data} --EPOCHS 1 {flags}"
    result = run(command)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "FLOPs speedup" in result.stdout
    where = TaskPaths(backbone.name, 3, task)
    (log,) = json.loads(where.fine_tuning_log.read_text())
    assert set(TABLE[task].metrics) <= set(log["validation"])
    return where


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data sets are not beside the project")
@pytest.mark.skipif(not BACKBONE.is_dir(), reason=f"no real backbone at {BACKBONE}; set ADAPLER_TEST_BACKBONE")
@pytest.mark.parametrize("task", REAL)
def test_real_data(task):
    where = run_all_stages(task, BACKBONE, SHARED, "--MAX_LENGTH 64 --MAX_TRAIN_EXAMPLES 200 --MAX_EVAL_EXAMPLES 100")
    evaluations = [json.loads(file.read_text()) for file in where.logs.glob("evaluation_run*.json")]
    agreement = evaluations[0]["validation"]["lr_mode"]
    assert agreement["examples"] == agreement["same_lengths"]


def test_custom_files_without_a_test_file(tmp_path):
    texts = "\n".join(f'"a {"good" if i % 3 else "bad"} film number {i}",{"yes" if i % 3 else "no"}' for i in range(60))
    for split in ("train", "validation"):
        (tmp_path / f"{split}.csv").write_text(f"review,liked\n{texts}\n")
    backbone = write_backbone(tmp_path / "tiny_custom")
    flags = "--MAX_LENGTH 16 --TEXT_COLUMNS review --LABEL_COLUMN liked"
    command = f"run_files/run_task.sh custom 3 --BACKBONE {backbone} --DATA_DIR {tmp_path} --EPOCHS 1 {flags}"
    result = run(f"echo kept > {tmp_path}/log; {command} >> {tmp_path}/log 2>&1")
    log = (tmp_path / "log").read_text()
    assert result.returncode == 0, log[-3000:]
    assert log.startswith("kept") and "FLOPs speedup" in log


@pytest.mark.parametrize("task", sorted({*ORDINARY} - {*REAL, "ax"}))
def test_tiny_files(task, tmp_path):
    backbone = write_backbone(tmp_path / f"tiny_{task}")
    write(TABLE[task], tmp_path / "data", rows=60)
    run_all_stages(task, backbone, tmp_path / "data", "--MAX_LENGTH 16")
