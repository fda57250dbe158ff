"""One run of a stage: everything that is known about it once its arguments are parsed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tools.common import paths
from tools.common.errors import UserError
from tools.common.paths import TaskPaths
from tools.common.task_names import CUSTOM
from tools.data.rows import DataOptions, make_custom_task
from tools.data.tasks import Task, get_task, hold_out
from tools.runtime import fine_tuning_log
from tools.runtime.arguments import DEFAULT_MAX_LENGTH, RowArguments, TaskArguments
from tools.runtime.checkpoints import resolve_backbone, saved_max_length


@dataclass(frozen=True)
class Run:
    """What a stage works on; built once per process.

    Attributes:
        stage: name of the stage.
        arguments: an instance of the stage's argument groups.
        task: the task, with --HOLD_OUT already applied.
        paths: where its files are.
        backbone: hub id or directory of the backbone, which is also its tokenizer's.
        max_length: most tokens of an example.
    """

    stage: str
    arguments: Any
    task: Task
    paths: TaskPaths
    backbone: str
    max_length: int

    @classmethod
    def of(cls, stage: str, arguments: Any) -> Run:
        """The run that a stage's arguments describe.

        Raises:
            UserError: there is no such task or data directory, a custom task's files are unusable, or columns are given
                for another task.
        """
        task = make_task(arguments)
        require_custom_columns(arguments)
        backbone = resolve_backbone(arguments.task, arguments.backbone)
        name = arguments.backbone_name or paths.backbone_name(backbone)
        model_path = getattr(arguments, "model_path", None)
        run_paths = TaskPaths(name, arguments.data_seed, arguments.task)
        trained = None
        if model_path:
            trained = saved_max_length(model_path)
            model_paths = TaskPaths.of(model_path)
            if model_paths and model_paths.task == arguments.task:  # files about a model stay with the run that made it
                run_paths = model_paths
                trained = trained or fine_tuning_log.max_length(run_paths)
        max_length = arguments.max_length or trained or DEFAULT_MAX_LENGTH
        return cls(stage, arguments, task, run_paths, backbone, max_length)

    @property
    def seed(self) -> int:
        return self.arguments.data_seed

    @property
    def data_options(self) -> DataOptions:
        """Which rows the run reads."""
        return data_options(self.arguments.data_dir, self.arguments)

    @cached_property
    def folder(self) -> Path:
        """Where the run leaves run.json, scores, TensorBoard's events and its backup."""
        if self.stage == "train_adapler":
            return self.paths.adapler_run(self.arguments.model_name)
        if self.stage == "store_saliencies" and self.arguments.split != "train":  # the summary is of train's
            return self.paths.run_folder(f"{self.stage}_{self.arguments.split}")
        return self.paths.run_folder(self.stage, getattr(self.arguments, "model_path", None))

    @property
    def resume(self) -> bool:
        """Whether the run continues an interrupted one."""
        return getattr(self.arguments, "resume", False)

    @property
    def settings(self) -> dict[str, Any]:
        """Every argument as JSON, with the values that defaults depend on filled in."""
        resolved = {"backbone": self.backbone, "backbone_name": self.paths.name, "max_length": self.max_length}
        return json.loads(json.dumps(asdict(self.arguments) | resolved, default=str))

    def seen_through(self, root: Path) -> Run:
        """The same run with its files under another root."""
        return replace(self, paths=self.paths.seen_through(root))


def require_custom_columns(data: TaskArguments) -> None:
    """Raises UserError if columns are named for a task that has its own."""
    is_named = {
        "--TEXT_COLUMNS": data.text_columns is not None,
        "--LABEL_COLUMN": data.label_column != TaskArguments.label_column,
    }
    if data.task != CUSTOM and any(is_named.values()):
        flags = " and ".join(name for name, given in is_named.items() if given)
        raise UserError(f"{flags}: only --TASK {CUSTOM} takes columns, {data.task} has its own; leave the flag out")


def data_options(data_dir: Path | None, rows: RowArguments) -> DataOptions:
    """The rows that the arguments choose."""
    return DataOptions(data_dir, rows.max_train_examples, rows.max_eval_examples, rows.split_by_body)


def make_task(data: TaskArguments) -> Task:
    """The task that --TASK names, or that a user's own files make; with --HOLD_OUT, its splits moved.

    Raises:
        UserError: there is no such task or data directory, or a custom task's files are unusable.
    """
    if data.data_dir is not None and not data.data_dir.is_dir():
        raise UserError(f"--DATA_DIR {data.data_dir} is not a directory")
    if data.task == CUSTOM:
        task = make_custom_task(data.data_dir, data.text_columns or ["text"], data.label_column)
    else:
        task = get_task(data.task)
    held_out_rows = getattr(data, "hold_out", None)
    return hold_out(task, held_out_rows) if held_out_rows else task
