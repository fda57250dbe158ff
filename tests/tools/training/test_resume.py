"""A run that is killed and resumed ends with the weights of one that was not."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.inject_faults import content, same
from tests.tiny_task import NAME, run, write_backbone, write_sst2
from tools.common.paths import ROOT, TaskPaths
from tools.runtime.run_record import RunRecord, read, seconds

FINE_TUNE = "run_files/run_classification_bert.py --EPOCHS 3"
TRAIN = "run_files/run_classification_w_lr.py --EPOCHS 3"
RUNS = {
    "run_GAMMA0.5_PHI0.01": "--GAMMA 0.5 --PHI 0.01 --SPEEDUP_LEARNING_RATE 0.1",
    "run_TARGET1.3": "--TARGET_SPEEDUP 1.3 --GROUP_BY_LENGTH",
}
"""Name of the model that a run of stage 3 leaves -> the run's flags."""
SALIENCIES = "tools/store_saliencies.py"


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    root = tmp_path_factory.mktemp("resume")
    dropout = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    backbone, data = write_backbone(root / NAME, **dropout), write_sst2(root / "data")
    return f"--TASK sst2 --DATA_SEED 3 --BACKBONE {backbone} --DATA_DIR {data} --MAX_LENGTH 16 --DETERMINISTIC"


def files(directory) -> TaskPaths:
    """The run's paths under another ADAPLER_DIRECTORY than this process has."""
    where = TaskPaths(NAME, 3, "sst2")
    return where.seen_through(directory / NAME / "3" / "sst2")


def kill_when(command: str, directory, condition) -> None:
    arguments = [sys.executable, *command.split()]
    environment = {**os.environ, "ADAPLER_DIRECTORY": str(directory)}
    process = subprocess.Popen(
        arguments, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not condition():
        time.sleep(0.01)
    assert process.poll() is None, "it ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def assert_same_weights(one, other):
    one, other = content(one), content(other)
    assert len(one) > 10 and same(one, other)


def test_the_time_of_a_resumed_run_has_its_attempts_in_it(tmp_path):
    killed = RunRecord("fine_tune", {"data_seed": 1, "resume": False}, tmp_path)
    killed.write()
    later = time.time() + 50
    os.utime(killed.file, (later, later))
    resumed = RunRecord("fine_tune", {"data_seed": 1, "resume": True}, tmp_path)
    resumed.write("finished")
    assert 45 < seconds(read(resumed.file)) < 60


@pytest.fixture(scope="module")
def whole(flags, tmp_path_factory):
    """Where stages 1 and 2 ran without an interruption."""
    directory = tmp_path_factory.mktemp("whole")
    for command in (f"{FINE_TUNE} {flags} --RESHUFFLE", f"{SALIENCIES} {flags}"):
        completed(command, directory)
    return directory


def completed(command: str, directory) -> str:
    """Runs a command that succeeds; gives what it printed."""
    done = run(f"python {command}", ADAPLER_DIRECTORY=str(directory))
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.ci
def test_fine_tuning_killed_and_resumed_is_as_never_killed(flags, whole, tmp_path):
    command, first, second = f"{FINE_TUNE} {flags} --RESHUFFLE", files(whole), files(tmp_path)
    kill_when(command, tmp_path, (second.run_folder("fine_tune") / "backup" / "checkpoint").exists)
    assert "0 of 3 epochs are finished" not in completed(f"{command} --RESUME", tmp_path)
    for epoch in (1, 2, 3):
        assert_same_weights(first.fine_tuned(epoch), second.fine_tuned(epoch))
    assert first.fine_tuning_log.read_text() == second.fine_tuning_log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run_GAMMA0.5_PHI0.01", pytest.param("run_TARGET1.3", marks=pytest.mark.ci)])
def test_adapler_killed_and_resumed_is_as_never_killed(flags, whole, tmp_path, name):
    """Also the feedback towards a target, without which the thresholds of a resumed run would be others."""
    command, first, second = f"{TRAIN} {RUNS[name]} {flags} --RESHUFFLE", files(whole), files(tmp_path)
    shutil.copytree(first.root, second.root, ignore=shutil.ignore_patterns("adaptive_lr", "train_adapler"))
    completed(command, whole)
    kill_when(command, tmp_path, (second.adapler_run(name) / "backup" / "checkpoint").exists)
    resumed, expected = completed(f"{command} --RESUME", tmp_path), log(first, name)
    assert "0 of 3 epochs are finished" not in resumed
    assert_same_weights(first.adapler_last(name), second.adapler_last(name))
    assert len(expected["epochs"]) == 3 and log(second, name) == expected

    again = completed(f"{command} --RESUME", tmp_path)
    assert "3 of 3 epochs are finished" in again and log(second, name) == expected
    assert again.splitlines()[-1] == resumed.splitlines()[-1]
    other = run(f"python {command} --RESUME --LEARNING_RATE 0.1", ADAPLER_DIRECTORY=str(tmp_path))
    assert other.returncode == 2 and "another --LEARNING_RATE" in other.stderr


def log(paths: TaskPaths, name: str) -> dict:
    """What a run of stage 3 logged: its epochs, the chosen one, and how it was trimmed to its target."""
    values = json.loads(paths.adapler_log(name).read_text())
    del values["settings"]
    return values
