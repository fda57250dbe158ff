"""What a program of one task and seed does around its work: devices, seeds, the lock, the run record.

A program parses its arguments before it imports TensorFlow, so that --help and a wrong flag answer at once:

    if __name__ == "__main__":
        ARGUMENTS = parse(STAGES["fine_tune"], __doc__)
    import tensorflow as tf
    ...
    if __name__ == "__main__":
        run_stage("fine_tune", ARGUMENTS, fine_tune)
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import tf_keras as keras

from tools.common.atomic_files import clear_leftovers, move_aside
from tools.common.errors import UserError
from tools.common.locks import locked
from tools.common.paths import TaskPaths
from tools.runtime import devices, run_record
from tools.runtime.program import errors_as_a_sentence
from tools.runtime.run import Run
from tools.runtime.run_record import FINISHED, SCORES, RunRecord


def run_stage(stage: str, arguments: Any, work: Callable[[Run], None]) -> None:
    """Prepares the process for a stage, does the work and exits.

    run.json in the run's folder under logs/ says what the run was and how it ended.
    Exit code 2 for input that the user can fix, 130 and 143 after SIGINT and SIGTERM, 1 for any other failure.
    """
    with errors_as_a_sentence():
        mixed_precision = getattr(arguments, "mixed_precision", False)
        devices.configure_devices(arguments.gpu, mixed_precision, arguments.deterministic)
        strategy = devices.strategy(arguments.multi_gpu)
        run = Run.of(stage, arguments)
        print(f"{stage}: " + " ".join(f"{name.upper()}={value}" for name, value in run.settings.items()), flush=True)
        if not devices.is_chief():
            run = run.seen_through(devices.private_view(run.paths.root))
        with _locked(run.paths.root), strategy.scope(), _recorded(run):
            keras.utils.set_random_seed(run.seed)
            keras.backend.experimental.enable_tf_random_generator()  # the state of dropout can be saved
            work(run)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Holds the run's directory; a run that fails on its input leaves no directory that it made itself."""
    is_new = not root.exists()
    with locked(root):
        try:
            yield
        except UserError:
            files = [file.name for file in root.rglob("*") if file.is_file()]
            if is_new and set(files) <= {".lock", "run.json"}:
                shutil.rmtree(root)
                with suppress(OSError):  # unless other runs are there
                    root.parent.rmdir()
                    root.parent.parent.rmdir()
            raise


def _clear_leftovers(paths: TaskPaths) -> None:
    """Clears models/, logs/ and data/, where stages write; programs that do not hold the lock may write beside them.

    The record of a finished training comes back if a kill ended the one that should replace it before an epoch.
    """
    for earlier in list(paths.logs.glob("**/.*.old/*")):
        killed = earlier.parent.with_name(earlier.name)
        if _is_unchanged(earlier, killed):
            shutil.rmtree(killed, ignore_errors=True)
    for folder in sorted({path.relative_to(paths.root).parts[0] for path in paths.all}):
        clear_leftovers(paths.root / folder)


def _is_unchanged(earlier: Path, folder: Path) -> bool:
    """Whether the files that a training wrote are still there, because the later one scored no epoch."""
    return (earlier / SCORES).exists() and not (folder / SCORES).exists()


def _is_interrupted(folder: Path, exit_state: str | None) -> bool:
    """Whether --RESUME can continue a run: it has a backup, or it has epochs and did not end."""
    has_epochs = (folder / SCORES).exists() and exit_state not in (None, FINISHED)
    return has_epochs or (folder / "backup" / "checkpoint").exists()


def _require_no_interrupted_stage_3(paths: TaskPaths) -> None:
    """Raises UserError if an interrupted stage 3 waits for the present stage 1, which a new one would replace."""
    for folder in sorted(paths.run_folder("train_adapler").glob("*")):
        if _is_interrupted(folder, run_record.read(folder / "run.json")["exit"]):
            raise UserError(
                f"{folder} holds an interrupted stage 3, which a new stage 1 would leave without its weights; add "
                "--RESUME to continue it, or delete this folder to start again"
            )


@contextmanager
def _recorded(run: Run) -> Iterator[None]:
    """Writes run.json before and after the block, with how it ended.

    An earlier run's folder gives way to the new run's; it comes back if the new run fails on its input, or a training
    ends in any way, before an epoch is done.

    Raises:
        UserError: the folder holds an interrupted run that --RESUME was not given for, or that had other arguments.
    """
    _clear_leftovers(run.paths)
    if run.stage == "fine_tune" and not run.resume:
        _require_no_interrupted_stage_3(run.paths)
    record, earlier = RunRecord(run.stage, run.settings, run.folder), None
    if not run.resume:
        if _is_interrupted(run.folder, record.earlier["exit"]):
            raise UserError(
                f"{run.folder} holds an interrupted run; add --RESUME to continue it, or delete this folder to start "
                "again"
            )
        earlier = move_aside(run.folder)  # nothing of an earlier run may pass for this run's
    elif record.changed_settings():
        flags = ", ".join(f"--{name.upper()}" for name in record.changed_settings())
        raise UserError(f"--RESUME: {record.file} was asked for another {flags}; give the same, or leave --RESUME out")
    record.write()
    try:
        yield
        record.write(FINISHED)
    except BaseException as error:
        is_refused = isinstance(error, UserError) and not (run.folder / SCORES).exists()
        if earlier and (is_refused or _is_unchanged(earlier, run.folder)):
            shutil.rmtree(run.folder)
            os.replace(earlier, run.folder)
        else:
            with suppress(OSError):  # the disk may be full
                record.write(str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}")
        raise
    finally:
        if earlier:
            shutil.rmtree(earlier.parent)
