"""Two logical devices, or two processes, compute what one device does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.compare import assert_close
from tests.inject_faults import content
from tests.tiny_task import NAME, write_backbone, write_sst2
from tests.tools.training.test_resume import files
from tools.common.paths import ROOT

pytestmark = pytest.mark.slow

ON_TWO_CPUS = """
import runpy, sys
import tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
WORKERS = ["run_files/run_multi_worker.sh", "2"]
ONE_DEVICE, TWO_DEVICES, TWO_WORKERS = [sys.executable], [sys.executable, "-c", ON_TWO_CPUS], WORKERS
FINE_TUNE = "run_files/run_classification_bert.py --EPOCHS 2 --LEARNING_RATE 1e-3 --GROUP_BY_LENGTH"
TRAIN = "run_files/run_classification_w_lr.py --EPOCHS 2 --GAMMA 0.5 --PHI 0.01 --SPEEDUP_LEARNING_RATE 0.01"
NAME_OF_MODEL = "run_GAMMA0.5_PHI0.01"
TO_TARGET = "run_files/run_classification_w_lr.py --EPOCHS 3 --TARGET_SPEEDUP 1.2 --SPEEDUP_LEARNING_RATE 0.01"
NAME_OF_TARGET = "run_TARGET1.2"
STAGES = (FINE_TUNE, "tools/store_saliencies.py", TRAIN, TO_TARGET)
NOT_COMPARED = ("key/bias", "score/bias")
"""Their gradient is rounding, which Adam blows up."""


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    root = tmp_path_factory.mktemp("distribution")
    backbone, data = write_backbone(root / NAME, hidden_dropout_prob=0.0), write_sst2(root / "data")
    # 70 examples in batches of 12: the last has 10, five a device
    return f"--TASK sst2 --DATA_SEED 3 --BACKBONE {backbone} --DATA_DIR {data} --MAX_LENGTH 16 --BATCH_SIZE 12"


def start(how: list[str], command: str, directory: Path) -> subprocess.Popen:
    multi = ["--MULTI_GPU"] if how is TWO_DEVICES else []
    environment = {**os.environ, "ADAPLER_DIRECTORY": str(directory), "PYTHONPATH": str(ROOT), "PYTHON": sys.executable}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([*how, *command.split(), *multi], cwd=ROOT, env=environment, **pipes)


def run(how: list[str], command: str, directory: Path) -> None:
    process = start(how, command, directory)
    output = process.communicate()[0]
    assert process.returncode == 0, output[-3000:]


def assert_same_weights(one: Path, other: Path) -> None:
    one, other = content(one), content(other)
    assert one.keys() == other.keys() and len(one) > 10
    for name, value in one.items():
        if not any(part in name for part in NOT_COMPARED):
            assert_close(other[name], value, 1e-4, name)


@pytest.fixture(scope="module")
def on_one_device(flags, tmp_path_factory):
    directory = tmp_path_factory.mktemp("one")
    for command in STAGES:
        run(ONE_DEVICE, f"{command} {flags}", directory)
    return files(directory)


@pytest.mark.parametrize(
    "how",
    [pytest.param(TWO_DEVICES, id="devices", marks=pytest.mark.ci), pytest.param(TWO_WORKERS, id="workers")],
)
def test_two_train_like_one(how, flags, on_one_device, tmp_path):
    for command in STAGES:
        run(how, f"{command} {flags}", tmp_path)
    one, two = on_one_device, files(tmp_path)
    assert_same_weights(one.fine_tuned(2), two.fine_tuned(2))
    saliencies = [np.load(where.saliency_matrix("train", 1)) for where in (one, two)]
    assert_close(*saliencies, 1e-4)
    for name in (NAME_OF_MODEL, NAME_OF_TARGET):
        assert_same_weights(one.adapler_last(name), two.adapler_last(name))
    assert_same_weights(one.adapler(NAME_OF_TARGET), two.adapler(NAME_OF_TARGET))  # the chosen epoch, trimmed
    logs = [json.loads(where.adapler_log(NAME_OF_TARGET).read_text()) for where in (one, two)]
    corrections = [[epoch["correction"] for epoch in log["epochs"]] for log in logs]
    assert corrections[0][-1] != 1 and corrections[1] == pytest.approx(corrections[0], rel=1e-3)


def test_two_devices_evaluate_like_one(flags, on_one_device, tmp_path):
    model = on_one_device.adapler_last(NAME_OF_MODEL)
    command = f"run_files/run_classification_evaluation.py {flags} --MODEL_PATH {model} --LR_MODEL --SPLIT validation"
    lengths = []
    for how in (ONE_DEVICE, TWO_DEVICES):
        directory = tmp_path / str(len(lengths))
        run(how, command, directory)
        with np.load(files(directory).flops_per_example(model, "validation")) as stored:
            lengths.append(stored["lengths"])
    np.testing.assert_array_equal(*lengths)


def test_a_killed_worker_costs_no_more_than_its_epoch(flags, on_one_device, tmp_path):
    command, checkpoint = f"{FINE_TUNE} {flags}", files(tmp_path).run_folder("fine_tune") / "backup" / "checkpoint"
    job = start(TWO_WORKERS, command, tmp_path)
    while job.poll() is None and not checkpoint.exists():
        time.sleep(0.01)
    os.kill(second_worker(job.pid), signal.SIGKILL)
    output = job.communicate(timeout=60)[0]
    assert job.returncode not in (0, None) and "--RESUME" in output
    assert not files(tmp_path).fine_tuned(2).exists(), "it ended before it was killed"
    run(TWO_WORKERS, f"{command} --RESUME", tmp_path)
    assert_same_weights(on_one_device.fine_tuned(2), files(tmp_path).fine_tuned(2))


def second_worker(launcher: int) -> int:
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return next(int(pid) for pid in children if b'"index": 1' in Path(f"/proc/{pid}/environ").read_bytes())
