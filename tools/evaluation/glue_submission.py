"""GLUE prediction files: the published code's, and those that the GLUE server takes."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.common.atomic_files import atomic_write
from tools.common.errors import UserError
from tools.data.tasks import TABLE, Task


@dataclass(frozen=True)
class ServerFile:
    """One file of a submission: its name, and the rows of that test set (https://gluebenchmark.com/faq)."""

    name: str
    rows: int


SERVER_FILES = {
    ("cola", "test"): ServerFile("CoLA.tsv", 1063),
    ("sst2", "test"): ServerFile("SST-2.tsv", 1821),
    ("mrpc", "test"): ServerFile("MRPC.tsv", 1725),
    ("stsb", "test"): ServerFile("STS-B.tsv", 1379),
    ("mnli", "test"): ServerFile("MNLI-m.tsv", 9796),
    ("mnli", "test_mismatched"): ServerFile("MNLI-mm.tsv", 9847),
    ("qnli", "test"): ServerFile("QNLI.tsv", 5463),
    ("qqp", "test"): ServerFile("QQP.tsv", 390965),
    ("rte", "test"): ServerFile("RTE.tsv", 3000),
    ("wnli", "test"): ServerFile("WNLI.tsv", 146),
    ("ax", "test"): ServerFile("AX.tsv", 1104),
}
NAMED_LABELS = ("mnli", "ax", "qnli", "rte")
"""Tasks whose predictions the server wants by name; the others' are numbers."""


def write_predictions(file: Path, row_ids: np.ndarray, predictions: Sequence) -> None:
    """Writes the published format: a header, then index<TAB>prediction by rising index."""
    _write(file, row_ids, [str(prediction) for prediction in predictions])


def server_file(folder: Path, task: Task, split: str) -> Path:
    """The file of a test set in a submission.

    Raises:
        UserError: the task or split is no part of one.
    """
    if (task.name, split) not in SERVER_FILES:
        raise UserError(f"{task.name} {split} is no part of a GLUE submission")
    return folder / SERVER_FILES[task.name, split].name


def write_server_file(folder: Path, task: Task, split: str, row_ids: np.ndarray, predictions: np.ndarray) -> Path:
    """Writes a test set's predictions as the GLUE server wants them, and gives the file."""
    file = server_file(folder, task, split)
    _write(file, row_ids, [_as_server_label(task, prediction) for prediction in predictions])
    return file


def zip_if_complete(folder: Path) -> Path | None:
    """Checks the files in `folder` and zips them to submission.zip, once all are there; otherwise None.

    Raises:
        UserError: a file has the wrong number of rows, indices or labels.
    """
    files = {folder / server.name: (TABLE[task], server) for (task, _), server in SERVER_FILES.items()}
    if not all(file.exists() for file in files):
        return None
    for file, (task, server) in files.items():
        _check(file, task, server.rows)
    archive = folder / "submission.zip"
    with atomic_write(archive) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as zipped:
        for file in files:
            zipped.write(file, file.name)
    return archive


def _check(file: Path, task: Task, rows: int) -> None:
    """Raises UserError unless the file holds exactly the rows and labels that the server expects."""
    header, *lines = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
    if header != ["index", "prediction"] or [line[0] for line in lines] != [str(i) for i in range(rows)]:
        raise UserError(
            f"{file} has {len(lines)} rows where indices 0 to {rows - 1} were expected; predict all of test"
        )
    for number, (_, label) in enumerate(lines):
        if not _allowed(task, label):
            raise UserError(f"{file}, row {number}: '{label}' is no prediction for {task.name}")


def _allowed(task: Task, label: str) -> bool:
    if not task.label_names:
        return label.replace(".", "", 1).isdigit() and 0 <= float(label) <= 5
    names = task.label_names if task.name in NAMED_LABELS else map(str, range(task.outputs))
    return label in set(names)


def _as_server_label(task: Task, prediction: float) -> str:
    if not task.label_names:
        return f"{np.clip(prediction, 0, 5):.3f}"
    return task.label_names[int(prediction)] if task.name in NAMED_LABELS else str(int(prediction))


def _write(file: Path, row_ids: np.ndarray, labels: list[str]) -> None:
    lines = [f"{row_ids[i]}\t{labels[i]}" for i in np.argsort(row_ids)]
    with atomic_write(file) as temporary:
        temporary.write_text("\n".join(["index\tprediction", *lines]) + "\n", encoding="utf-8")
