"""Reading one file of rows, of any known kind; imports no TensorFlow."""

from __future__ import annotations

import csv
import glob
from pathlib import Path

import datasets

from tools.common.errors import UserError

READERS = {".txt": "text", ".jsonl": "json", ".json": "json", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
"""Ending of a file -> name of the `datasets` builder that reads it."""


def read_file(file: Path) -> datasets.Dataset:
    """All rows of a file of any known kind; of a .txt, its lines as column `text`.

    Raises:
        UserError: it cannot be read.
    """
    if reader_of(file) is None:
        raise UserError(f"cannot read {file}: its ending is none of {', '.join(READERS)} (or these with .gz)")
    options = {"keep_default_na": False} if reader_of(file) == "csv" else {}  # "None" and "NA" are words
    if ".tsv" in file.suffixes:
        options |= {"delimiter": "\t", "quoting": csv.QUOTE_NONE}  # as GLUE's
    try:
        return datasets.load_dataset(reader_of(file), data_files=glob.escape(str(file)), split="train", **options)
    except Exception as error:
        cause = error.__cause__ or error
        raise UserError(f"cannot read {file}: {type(cause).__name__}: {cause}") from error


def reader_of(file: Path) -> str | None:
    """Name of the `datasets` builder that reads the file, by its ending."""
    ending = next((s for s in reversed(file.suffixes) if s != ".gz"), "")
    return READERS.get(ending)
