"""What an evaluation stores of each example, in logs/flops_per_example/."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from tools.common.atomic_files import atomic_write
from tools.data.examples import Examples
from tools.data.tasks import Task
from tools.evaluation.evaluate import Predictions, flops_per_example, scored_rows


@dataclass(frozen=True)
class ExampleResults:
    """The columns of the file.

    Attributes:
        row_ids: each example's row in its split, int64 [N].
        labels: int32 [N], or float32 for a regression; -1 where unknown.
        scored: the examples that the primary metric counts, bool [N].
        logits: float32 [N, labels].
        lengths: tokens of the input, then those that each layer ran on, float64 [N, L+1].
        bert, model: FLOPs of plain BERT on the unpadded input and of the evaluated model, float64 [N].
    """

    row_ids: np.ndarray
    labels: np.ndarray
    scored: np.ndarray
    logits: np.ndarray
    lengths: np.ndarray
    bert: np.ndarray
    model: np.ndarray

    @classmethod
    def of(cls, task: Task, model, examples: Examples, predictions: Predictions) -> ExampleResults:
        """The results of a model's predictions on a split."""
        columns = examples.row_ids, examples.labels, scored_rows(task, examples)
        return cls(*columns, predictions.logits, predictions.lengths, **flops_per_example(model, predictions))

    @classmethod
    def read(cls, file: Path) -> ExampleResults:
        with np.load(file, allow_pickle=False) as columns:
            return cls(*(columns[field.name] for field in fields(cls)))

    def write(self, file: Path) -> None:
        with atomic_write(file) as temporary:
            np.savez(temporary, **asdict(self))
