"""A run that is killed and resumed ends with the weights of one that was not."""

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
TRAIN = "run_files/run_classification_w_lr.py --EPOCHS 3 --GAMMA 0.5 --PHI 0.01 --SPEEDUP_LEARNING_RATE 0.1"
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


@pytest.mark.slow
def test_killed_and_resumed_is_as_never_killed(flags, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    fine_tune, train = f"{FINE_TUNE} {flags} --RESHUFFLE", f"{TRAIN} {flags} --RESHUFFLE"
    for command in (fine_tune, f"{SALIENCIES} {flags}", train):
        done = run(f"python {command}", ADAPLER_DIRECTORY=str(whole))
        assert done.returncode == 0, done.stderr[-2000:]

    first, second = files(whole), files(killed)
    kill_when(fine_tune, killed, lambda: (second.run_folder("fine_tune") / "backup" / "checkpoint").exists())
    done = run(f"python {fine_tune} --RESUME", ADAPLER_DIRECTORY=str(killed))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "0 of 3 epochs are finished" not in done.stdout
    for epoch in (1, 2, 3):
        assert_same_weights(first.fine_tuned(epoch), second.fine_tuned(epoch))
    assert first.fine_tuning_log.read_text() == second.fine_tuning_log.read_text()

    shutil.copytree(first.root / "data", second.root / "data", dirs_exist_ok=True)
    name = "run_GAMMA0.5_PHI0.01"
    kill_when(train, killed, lambda: (second.adapler_run(name) / "backup" / "checkpoint").exists())
    done = run(f"python {train} --RESUME", ADAPLER_DIRECTORY=str(killed))
    assert done.returncode == 0, done.stderr[-2000:]
    assert_same_weights(first.adapler_last(name), second.adapler_last(name))

    again = run(f"python {train} --RESUME", ADAPLER_DIRECTORY=str(killed))
    assert again.returncode == 0 and "3 of 3 epochs are finished" in again.stdout
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[-1]
    other = run(f"python {train} --RESUME --LEARNING_RATE 0.1", ADAPLER_DIRECTORY=str(killed))
    assert other.returncode == 2 and "another --LEARNING_RATE" in other.stderr
