"""What every stage does around its work: settings, devices, seeds, the run's record, errors as one sentence."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import tensorflow as tf
import tf_keras as keras

from tools import paths
from tools.data import DataOptions, make_custom_task
from tools.errors import UserError
from tools.files import write_json
from tools.paths import TaskPaths
from tools.settings import make_parser
from tools.tasks import CUSTOM, Task, get_task

BAD_INPUT = 2
PACKAGES = ("tensorflow", "tf-keras", "transformers", "datasets", "numpy", "scikit-learn")


def run_stage(stage: str, description: str, work: Callable[[argparse.Namespace, TaskPaths], None]) -> None:
    """Parses the stage's flags, prepares the process, does the work and exits.

    A record of the run (argv, settings, versions, times, how it ended) stays in logs/<stage>_run.json.
    Exit code 2 for input that the user can mend, 1 for anything else that failed.
    """
    settings = make_parser(stage, description).parse_args()
    try:
        where = _resolve(settings)
    except UserError as error:
        sys.exit(_complain(error))
    record = _start_record(stage, settings)
    _print_settings(stage, settings)
    try:
        use_devices(settings)
        for directory in where.all:
            directory.mkdir(parents=True, exist_ok=True)
        keras.utils.set_random_seed(settings.data_seed)
        work(settings, where)
        record["exit"] = "finished"
    except UserError as error:
        record["exit"] = str(error)
        sys.exit(_complain(error))
    except BaseException as error:
        record["exit"] = f"{type(error).__name__}: {error}"
        raise
    finally:
        record["end"] = _now()
        if where.logs.is_dir():
            write_json(where.logs / f"{stage}_run.json", record)


def run_program(program: str, description: str, work: Callable[[argparse.Namespace], None]) -> None:
    """As `run_stage`, for a program that has no task, and so no folder to leave a record in."""
    settings = make_parser(program, description).parse_args()
    try:
        work(settings)
    except UserError as error:
        sys.exit(_complain(error))


def task_of(settings: argparse.Namespace) -> Task:
    """The task that --TASK names, or that a user's own files make."""
    if settings.task == CUSTOM:
        return make_custom_task(settings.data_dir, settings.text_columns or ["text"], settings.label_column)
    return get_task(settings.task)


def data_options(settings: argparse.Namespace) -> DataOptions:
    """The settings' part that chooses data."""
    return DataOptions(settings.data_dir, settings.max_train_examples, settings.max_eval_examples)


def as_json(settings: argparse.Namespace) -> dict:
    """The settings with paths as text."""
    return json.loads(json.dumps(vars(settings), default=str))


def eval_batch_size(settings: argparse.Namespace) -> int:
    return settings.eval_batch_size or settings.batch_size


def distribution(settings: argparse.Namespace) -> tf.distribute.Strategy:
    """Strategy under which to build and train: all visible devices with --MULTI_GPU, else one."""
    return tf.distribute.MirroredStrategy() if settings.multi_gpu else tf.distribute.get_strategy()


def use_devices(settings: argparse.Namespace) -> None:
    """Makes the chosen GPUs visible, and has TensorFlow take their memory as it needs it.

    Raises:
        UserError: there is no such GPU.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if settings.gpu is not None:
        wanted = settings.gpu.split(",")
        if not all(index.isdigit() and int(index) < len(gpus) for index in wanted):
            raise UserError(f"--GPU {settings.gpu}: this machine has {len(gpus)} GPUs; leave the flag out for the CPU")
        gpus = [gpus[int(index)] for index in wanted]
        tf.config.set_visible_devices(gpus, "GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)


def _resolve(settings: argparse.Namespace) -> TaskPaths:
    """Fills in the settings that depend on others."""
    from tools.checkpoints import resolve_backbone

    if settings.task != CUSTOM:
        get_task(settings.task)
    settings.backbone = resolve_backbone(settings.task, settings.backbone)
    settings.backbone_name = settings.backbone_name or paths.backbone_name(settings.backbone)
    if getattr(settings, "split", None) == "val":
        settings.split = "validation"
    if settings.data_dir is not None and not settings.data_dir.is_dir():
        raise UserError(f"--DATA_DIR {settings.data_dir} is not a directory")
    return TaskPaths(settings.backbone_name, settings.data_seed, settings.task)


def _print_settings(stage: str, settings: argparse.Namespace) -> None:
    print(
        f"{stage}: " + " ".join(f"{name.upper()}={value}" for name, value in vars(settings).items()),
        flush=True,
    )


def _start_record(stage: str, settings: argparse.Namespace) -> dict:
    return {
        "stage": stage,
        "argv": sys.argv,
        "settings": as_json(settings),
        **provenance(),
        "devices": [device.name for device in tf.config.list_physical_devices()],
        "start": _now(),
    }


def provenance() -> dict:
    """What a number was measured with: commit, versions, machine."""
    return {
        "commit": _commit(),
        "versions": {name: _version(name) for name in PACKAGES},
        "machine": f"{os.cpu_count()} x {_processor()}, Python {platform.python_version()}",
    }


def _version(package: str) -> str:
    for name in (package, f"{package}-cpu"):
        with suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return "unknown"


def _processor() -> str:
    """The processor's name, or at least its kind."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str | None:
    """The checkout's commit, `+` behind it when files differ from it."""
    try:
        git = ["git", "-C", str(paths.ROOT)]
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _complain(error: UserError) -> int:
    print(f"error: {error}", file=sys.stderr, flush=True)
    return BAD_INPUT
