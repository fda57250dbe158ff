"""What every stage does around its work: settings, devices, seeds, the run's record, errors as one sentence."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import tensorflow as tf
import tf_keras as keras

from tools import paths
from tools.data import DataOptions, make_custom_task
from tools.errors import UserError
from tools.lock import locked
from tools.paths import TaskPaths
from tools.run_record import RunRecord
from tools.settings import make_parser
from tools.tasks import CUSTOM, Task, get_task, hold_out

BAD_INPUT = 2


def run_stage(stage: str, description: str, work: Callable[[argparse.Namespace, TaskPaths], None]) -> None:
    """Parses the stage's flags, prepares the process, does the work and exits.

    What the run was and how it ended stays in run.json in its folder under logs/.
    Exit code 2 for input that the user can mend, 130 and 143 after SIGINT and SIGTERM, 1 for anything else that failed.
    """
    settings = make_parser(stage, description).parse_args()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    record = None
    try:
        where = _resolve(settings)
        _print_settings(stage, settings)
        use_devices(settings)
        with locked(where.root):
            record = RunRecord(stage, settings, run_folder(stage, settings, where))
            if (
                getattr(settings, "resume", False)
                and record.earlier["settings"]
                and not record.same_settings_as_before()
            ):
                raise UserError(f"--RESUME: {record.file} was asked for other settings; give the same, or leave it out")
            for directory in where.all:
                directory.mkdir(parents=True, exist_ok=True)
            record.write()
            keras.utils.set_random_seed(settings.data_seed)
            keras.backend.experimental.enable_tf_random_generator()  # dropout's state can be saved
            work(settings, where)
            record.write("finished")
    except UserError as error:
        _end(record, str(error))
        sys.exit(_complain(error))
    except BaseException as error:
        _end(record, f"{type(error).__name__}: {error}")
        raise


def run_folder(stage: str, settings: argparse.Namespace, where: TaskPaths) -> Path:
    """Where a stage's run leaves what it tells about itself."""
    if stage == "train_adapler":
        return where.adapler_run(settings.save_name, settings.gamma, settings.phi)
    return where.run_folder(stage, getattr(settings, "model_path", None))


def _end(record: RunRecord | None, exit_state: str) -> None:
    """Records a bad end as far as the disk still allows it."""
    if record is not None:
        with suppress(OSError):
            record.write(exit_state)


def _stop(number: int, _frame) -> None:
    """Ends the process in good order, as a shell expects of one that a signal stopped."""
    print(f"stopped by {signal.Signals(number).name}; finished epochs are kept, --RESUME goes on", file=sys.stderr)
    sys.exit(128 + number)


def run_program(program: str, description: str, work: Callable[[argparse.Namespace], None]) -> None:
    """As `run_stage`, for a program that has no task, and so no folder to leave a record in."""
    settings = make_parser(program, description).parse_args()
    try:
        work(settings)
    except UserError as error:
        sys.exit(_complain(error))


def task_of(settings: argparse.Namespace) -> Task:
    """The task that --TASK names, or that a user's own files make; with --HOLD_OUT, its splits moved."""
    if settings.task == CUSTOM:
        return make_custom_task(settings.data_dir, settings.text_columns or ["text"], settings.label_column)
    task, rows = get_task(settings.task), getattr(settings, "hold_out", None)
    return hold_out(task, rows) if rows else task


def data_options(settings: argparse.Namespace) -> DataOptions:
    """The settings' part that chooses data."""
    return DataOptions(
        settings.data_dir, settings.max_train_examples, settings.max_eval_examples, settings.split_by_body
    )


def eval_batch_size(settings: argparse.Namespace) -> int:
    return settings.eval_batch_size or settings.batch_size


def distribution(settings: argparse.Namespace) -> tf.distribute.Strategy:
    """Strategy under which to build and train: all visible GPUs (or logical CPUs) with --MULTI_GPU, else one device."""
    if not settings.multi_gpu:
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def use_devices(settings: argparse.Namespace) -> None:
    """Makes the chosen GPUs visible, has TensorFlow take their memory as it needs it, and sets how it computes.

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
    if settings.mixed_precision:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()


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


def _complain(error: UserError) -> int:
    print(f"error: {error}", file=sys.stderr, flush=True)
    return BAD_INPUT
