"""The table of tasks: every fact about a data set, each in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tools.errors import UserError


@dataclass(frozen=True)
class Task:
    """One data set.

    Attributes:
        text_columns: one column, or two for sentence pairs.
        label_names: names by label id.
        metrics: names known to `tools.metrics`; the first is the primary one, which chooses checkpoints.
        hub: `datasets.load_dataset` arguments (path, and what else it takes), or None.
        splits: our split -> the hub's; a split missing here does not exist.
        held_out: validation rows cut from train where none is published; never more than a twentieth of fewer rows
            than `published_train`.
        convert: raw hub row -> row with text and label columns, where the hub's schema differs.
        class_weights: factor of each label in the loss.
        generated: the project makes this data set itself (see `tools.demo_task`).
    """

    name: str
    text_columns: tuple[str, ...]
    label_names: tuple[str, ...]
    metrics: tuple[str, ...]
    hub: Mapping[str, str] | None = None
    splits: Mapping[str, str] | None = None
    held_out: int = 0
    published_train: int = 0
    convert: Callable[[dict], dict] | None = None
    class_weights: tuple[float, ...] | None = None
    generated: bool = False
    label_column: str = "label"

    @property
    def primary_metric(self) -> str:
        return self.metrics[0]

    def held_out_rows(self, train_rows: int) -> int:
        """Validation rows to cut from a local train split of `train_rows`."""
        return self.held_out if train_rows >= self.published_train else min(self.held_out, train_rows // 20)


ALL_SPLITS = {"train": "train", "validation": "validation", "test": "test"}


def majority_label(row: dict) -> dict:
    """HateXplain's raw rows: the annotators' majority (a three-way tie is label 0, as published), tokens joined."""
    if "label" in row:
        return row
    labels = row["annotators"]["label"]
    majority = max(set(labels), key=labels.count)
    return {
        **row,
        "label": majority if labels.count(majority) > 1 else 0,
        "text": " ".join(row["post_tokens"]),
    }


TABLE = {
    task.name: task
    for task in (
        Task(
            "demo",
            text_columns=("text",),
            label_names=("negative", "positive"),
            metrics=("accuracy",),
            splits=ALL_SPLITS,
            generated=True,
        ),
        # GLUE: https://huggingface.co/datasets/nyu-mll/glue; metrics as the GLUE server reports them
        Task(
            "sst2",
            text_columns=("sentence",),
            label_names=("negative", "positive"),
            metrics=("accuracy",),
            hub={"path": "nyu-mll/glue", "name": "sst2"},
            splits=ALL_SPLITS,
        ),
        Task(
            "mrpc",
            text_columns=("sentence1", "sentence2"),
            label_names=("not_equivalent", "equivalent"),
            metrics=("f1", "accuracy"),
            hub={"path": "nyu-mll/glue", "name": "mrpc"},
            splits=ALL_SPLITS,
        ),
        # https://huggingface.co/datasets/stanfordnlp/imdb; no validation split: 4,096 rows of train, as published
        Task(
            "imdb",
            text_columns=("text",),
            label_names=("neg", "pos"),
            metrics=("accuracy",),
            hub={"path": "stanfordnlp/imdb"},
            splits={"train": "train", "test": "test"},
            held_out=4096,
            published_train=25000,
        ),
        # https://huggingface.co/datasets/Hate-speech-CNERG/hatexplain (the hub's parquet conversion: no loader script)
        Task(
            "hatexplain",
            text_columns=("text",),
            label_names=("hatespeech", "normal", "offensive"),
            metrics=("accuracy",),
            hub={"path": "Hate-speech-CNERG/hatexplain", "revision": "refs/convert/parquet"},
            splits=ALL_SPLITS,
            convert=majority_label,
        ),
    )
}


def get_task(name: str) -> Task:
    """The task's row.

    Raises:
        UserError: there is no such task.
    """
    if name not in TABLE:
        raise UserError(f"unknown task '{name}'; tasks are {', '.join(sorted(TABLE))}")
    return TABLE[name]
