"""What stage 1 left for the others: dev scores by epoch."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np

from tools.common.errors import UserError
from tools.common.paths import TaskPaths
from tools.data.examples import Examples
from tools.data.tasks import Task
from tools.runtime import run_record
from tools.runtime.run_record import FINISHED

SALIENCY_EPOCHS = 3
"""From how many of the best epochs saliencies are taken."""


def best_epochs(task: Task, log: list[dict]) -> list[int]:
    """Epochs (from 1) by primary dev score, the best first, the earlier first among equals."""
    scores = [entry["validation"][task.primary_metric] for entry in log]
    return [int(i) + 1 for i in np.argsort(-np.array(scores), kind="stable")]


def read(task: Task, paths: TaskPaths) -> list[dict]:
    """The log, [{split: {metric: value}}] by epoch.

    Raises:
        UserError: stage 1 has not run to its end here, or its log is damaged.
    """
    command = _command(task, paths)
    state = run_record.read(paths.run_folder("fine_tune") / "run.json")["exit"]
    if state not in (FINISHED, None):  # None: weights of elsewhere, with their log alone
        raise UserError(f"stage 1 has not run to its end ({state}); continue it: {command} ... --RESUME")
    try:
        log = json.loads(paths.fine_tuning_log.read_text(encoding="utf-8"))
        best_epochs(task, log)
    except FileNotFoundError as error:
        raise UserError(f"no {paths.fine_tuning_log}; run {command} first") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{paths.fine_tuning_log} is damaged ({error}); run {command} again") from error
    return log


def checksum(log: list[dict]) -> int:
    """CRC-32 of the scores, by which what later stages made of a stage 1 is told from what they make of a new one."""
    return zlib.crc32(json.dumps(log, sort_keys=True).encode())


def require_same_dev(paths: TaskPaths, dev: Examples) -> None:
    """Raises UserError if stage 1 scored other validation examples, whose scores `dev`'s cannot be compared with."""
    inputs = paths.run_folder("fine_tune") / "inputs.json"
    if not inputs.exists():  # weights of elsewhere have their log alone
        return
    if json.loads(inputs.read_text(encoding="utf-8"))["dev examples"] != dev.checksum():
        raise UserError(
            "stage 1 was scored on other validation examples; give the flags of its data (--MAX_LENGTH, "
            "--MAX_EVAL_EXAMPLES, --HOLD_OUT, --SPLIT_BY_BODY), or run it again"
        )


def max_length(paths: TaskPaths) -> int | None:
    """The MAX_LENGTH of stage 1, if it ran here."""
    return run_record.read(paths.run_folder("fine_tune") / "run.json")["settings"].get("max_length")


def best_score(task: Task, log: list[dict]) -> float:
    """The best epoch's primary dev score."""
    return max(entry["validation"][task.primary_metric] for entry in log)


def best_weights(task: Task, paths: TaskPaths, log: list[dict]) -> Path:
    """The best epoch's weights.

    Raises:
        UserError: they are gone.
    """
    weights = paths.fine_tuned(best_epochs(task, log)[0])
    if not weights.exists():
        raise UserError(f"no {weights}, the weights of the best fine-tuned epoch; run {_command(task, paths)} again")
    return weights


def _command(task: Task, paths: TaskPaths) -> str:
    return f"python ./run_files/run_classification_bert.py --TASK {task.name} --DATA_SEED {paths.seed}"


def saliency_epochs(task: Task, paths: TaskPaths) -> list[int]:
    """The epochs whose saliencies train AdapLeR: the three best, or all if there are fewer."""
    return best_epochs(task, read(task, paths))[:SALIENCY_EPOCHS]
