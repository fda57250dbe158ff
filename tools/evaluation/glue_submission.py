"""GLUE prediction files: those of the published code, and those that the GLUE server takes."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tools.common.atomic_files import atomic_write
from tools.common.errors import UserError
from tools.data.tasks import TABLE, Task

HEADER = "index\tprediction"


class ServerFile(NamedTuple):
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
    """Writes a header, then index<TAB>prediction in ascending order of the index: the published format."""
    lines = [f"{row_ids[position]}\t{predictions[position]}" for position in np.argsort(row_ids)]
    with atomic_write(file) as temporary:
        temporary.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")


def server_file(folder: Path, task: Task, split: str) -> Path:
    """The file of a test set in a submission.

    Raises:
        UserError: the task or split is no part of one.
    """
    if (task.name, split) not in SERVER_FILES:
        raise UserError(f"{task.name} {split} is no part of a GLUE submission")
    return folder / SERVER_FILES[task.name, split].name


def write_server_file(folder: Path, task: Task, split: str, row_ids: np.ndarray, predictions: np.ndarray) -> Path:
    """Writes a test set's predictions as the GLUE server wants them, and returns the file."""
    if not task.label_names:
        labels = [f"{value:.3f}" for value in np.clip(predictions, 0, 5)]
    else:
        labels = [_server_labels(task)[prediction] for prediction in predictions]
    file = server_file(folder, task, split)
    write_predictions(file, row_ids, labels)
    return file


def zip_if_complete(folder: Path) -> Path | None:
    """Checks the files in `folder` and zips them to submission.zip, once all are there; otherwise None.

    Raises:
        UserError: a file has the wrong number of rows, indices or labels.
    """
    files = [folder / server.name for server in SERVER_FILES.values()]
    if not all(file.exists() for file in files):
        return None
    for (task, _), server in SERVER_FILES.items():
        _check(folder / server.name, TABLE[task], server.rows)
    archive = folder / "submission.zip"
    with atomic_write(archive) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as zipped:
        for file in files:
            zipped.write(file, file.name)
    return archive


def _check(file: Path, task: Task, rows: int) -> None:
    """Raises UserError unless the file holds exactly the rows and labels that the server expects."""
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    indices, labels = zip(*(line.split("\t") for line in lines), strict=True)
    if header != HEADER or indices != tuple(map(str, range(rows))):
        wanted = f"indices 0 to {rows - 1} were expected"
        raise UserError(f"{file} has {len(lines)} rows where {wanted}; predict all of test")
    for number, label in enumerate(labels):
        is_score = label.replace(".", "", 1).isdigit() and 0 <= float(label) <= 5
        if not (label in _server_labels(task) if task.label_names else is_score):
            raise UserError(f"{file}, row {number}: '{label}' is no prediction for {task.name}")


def _server_labels(task: Task) -> list[str]:
    """What the server calls each label of a classification."""
    return list(task.label_names) if task.name in NAMED_LABELS else [str(label) for label in range(task.outputs)]
