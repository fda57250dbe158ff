"""Training on two logical devices is training on one."""

import os
import subprocess
import sys

import pytest

from tests.compare import assert_close
from tests.test_pipeline import NAME, write_backbone, write_sst2
from tests.test_resume import files
from tools.inject_faults import content
from tools.paths import ROOT

ON_TWO_CPUS = """
import runpy, sys
import tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    root = tmp_path_factory.mktemp("distribution")
    backbone, data = write_backbone(root / NAME, hidden_dropout_prob=0.0), write_sst2(root / "data")
    # 70 examples in batches of 12: the last has 10, five a device
    return f"--TASK sst2 --DATA_SEED 3 --BACKBONE {backbone} --DATA_DIR {data} --MAX_LENGTH 16 --BATCH_SIZE 12"


def run_on(devices: int, command: str, directory) -> None:
    prefix = [sys.executable] if devices == 1 else [sys.executable, "-c", ON_TWO_CPUS]
    multi = ["--MULTI_GPU"] if devices > 1 else []
    environment = {**os.environ, "ADAPLER_DIRECTORY": str(directory), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*prefix, *command.split(), *multi], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_two_devices_train_like_one(flags, tmp_path):
    commands = [
        "run_files/run_classification_bert.py --EPOCHS 2 --LEARNING_RATE 1e-3",
        "tools/store_saliencies.py",
        "run_files/run_classification_w_lr.py --EPOCHS 2 --GAMMA 0.5 --PHI 0.01 --SPEEDUP_LEARNING_RATE 0.01",
    ]
    found = []
    for devices in (1, 2):
        directory = tmp_path / str(devices)
        for command in commands:
            run_on(devices, f"{command} {flags}", directory)
        where = files(directory)
        found.append((content(where.fine_tuned(2)), content(where.adapler_last("run", 0.5, 0.01))))
    for one, two in zip(*found, strict=True):
        assert one.keys() == two.keys()
        for name, value in one.items():
            if "key/bias" not in name and "score/bias" not in name:  # their gradient is rounding, which Adam blows up
                assert_close(two[name], value, 1e-4, name)
