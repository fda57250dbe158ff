"""What every stage does around its work: settings, devices, seeds, the run's record, errors as one sentence."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import tf_keras as keras

from tools import devices, paths
from tools.data import DataOptions, make_custom_task
from tools.errors import UserError
from tools.files import clear_leftovers
from tools.lock import locked
from tools.paths import TaskPaths
from tools.run_record import RunRecord
from tools.settings import MAX_LENGTH, make_parser
from tools.tasks import CUSTOM, Task, get_task, hold_out

BAD_INPUT = 2
FAILED = 1


def run_stage(stage: str, description: str, work: Callable[[argparse.Namespace, TaskPaths], None]) -> None:
    """Parses the stage's flags, prepares the process, does the work and exits.

    What the run was and how it ended stays in run.json in its folder under logs/.
    Exit code 2 for input that the user can mend, 130 and 143 after SIGINT and SIGTERM, 1 for anything else that failed.
    """
    settings = _parse(stage, description)
    with _errors_in_a_sentence():
        devices.use_devices(settings)
        strategy = devices.strategy(settings.multi_gpu)
        where = _resolve(settings)
        _print_settings(stage, settings)
        if not devices.is_chief():
            where = where.seen_through(devices.private_view(where.root))
        with locked(where.root), strategy.scope(), _recorded(stage, settings, where):
            clear_leftovers(where.root)
            for directory in where.all:
                directory.mkdir(parents=True, exist_ok=True)
            keras.utils.set_random_seed(settings.data_seed)
            keras.backend.experimental.enable_tf_random_generator()  # dropout's state can be saved
            work(settings, where)


def _parse(stage: str, description: str) -> argparse.Namespace:
    """The command line's settings; MAX_LENGTH, if it takes one, is the model's own where it was not given."""
    from tools.checkpoints import saved_max_length

    settings = make_parser(stage, description).parse_args()
    if "max_length" in settings and settings.max_length is None:
        settings.max_length = saved_max_length(getattr(settings, "model_path", None)) or MAX_LENGTH
    return settings


@contextmanager
def _recorded(stage: str, settings: argparse.Namespace, where: TaskPaths) -> Iterator[None]:
    """Writes run.json before and after the block, with how it ended."""
    record = RunRecord(stage, settings, run_folder(stage, settings, where))
    if not getattr(settings, "resume", False):
        shutil.rmtree(record.file.parent, ignore_errors=True)  # of an earlier run nothing may be taken for this one's
    elif record.earlier["settings"] and not record.same_settings_as_before():
        raise UserError(f"--RESUME: {record.file} was asked for other settings; give the same, or leave it out")
    record.write()
    try:
        yield
    except BaseException as error:
        with suppress(OSError):  # as far as the disk still allows it
            record.write(str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}")
        raise
    record.write("finished")


def run_folder(stage: str, settings: argparse.Namespace, where: TaskPaths) -> Path:
    """Where a stage's run leaves what it tells about itself."""
    if stage == "train_adapler":
        return where.adapler_run(settings.save_name, settings.gamma, settings.phi)
    return where.run_folder(stage, getattr(settings, "model_path", None))


def _stop(number: int, _frame) -> None:
    """Ends the process in good order, as a shell expects of one that a signal stopped."""
    print(f"stopped by {signal.Signals(number).name}; what is finished is kept", file=sys.stderr)
    sys.exit(128 + number)


def run_program(program: str, description: str, work: Callable[[argparse.Namespace], None]) -> None:
    """As `run_stage`, for a program that has no task, and so no folder to leave a record in."""
    settings = _parse(program, description)
    with _errors_in_a_sentence():
        work(settings)


@contextmanager
def _errors_in_a_sentence() -> Iterator[None]:
    """Ends the process with a sentence and a code for what the user can mend, what the system refuses and signals."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        yield
    except (UserError, OSError) as error:  # OSError: a full disk, a directory that cannot be written
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(BAD_INPUT if isinstance(error, UserError) else FAILED)


def task_of(settings: argparse.Namespace) -> Task:
    """The task that --TASK names, or that a user's own files make; with --HOLD_OUT, its splits moved."""
    rows = getattr(settings, "hold_out", None)
    if settings.task != CUSTOM:
        task = get_task(settings.task)
    elif "text_columns" in settings:
        task = make_custom_task(settings.data_dir, settings.text_columns or ["text"], settings.label_column)
    else:
        raise UserError(f"--TASK {CUSTOM} is for the stages; this program knows the tasks of the table only")
    return hold_out(task, rows) if rows else task


def data_options(settings: argparse.Namespace) -> DataOptions:
    """The settings' part that chooses data."""
    return DataOptions(
        settings.data_dir, settings.max_train_examples, settings.max_eval_examples, settings.split_by_body
    )


def eval_batch_size(settings: argparse.Namespace) -> int:
    return settings.eval_batch_size or settings.batch_size


def _resolve(settings: argparse.Namespace) -> TaskPaths:
    """Fills in the settings that depend on others; gives the place of the stage's files."""
    from tools.checkpoints import resolve_backbone

    if settings.task != CUSTOM:
        get_task(settings.task)
    settings.backbone = resolve_backbone(settings.task, settings.backbone)
    settings.backbone_name = settings.backbone_name or paths.backbone_name(settings.backbone)
    if settings.data_dir is not None and not settings.data_dir.is_dir():
        raise UserError(f"--DATA_DIR {settings.data_dir} is not a directory")
    run = TaskPaths.of(settings.model_path) if getattr(settings, "model_path", None) else None
    if run and run.task == settings.task:  # what is found out about a model stays with its run
        return run
    return TaskPaths(settings.backbone_name, settings.data_seed, settings.task)


def _print_settings(stage: str, settings: argparse.Namespace) -> None:
    print(
        f"{stage}: " + " ".join(f"{name.upper()}={value}" for name, value in vars(settings).items()),
        flush=True,
    )
