"""Reading one file of rows, of any known kind; imports no TensorFlow."""

from __future__ import annotations

import csv
import glob
import gzip
import itertools
import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tools.common.errors import UserError

if TYPE_CHECKING:
    import datasets

READERS = {".txt": "text", ".jsonl": "json", ".json": "json", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
"""Ending of a file -> name of the `datasets` builder that reads it."""

STREAMED = (".txt", ".jsonl", ".csv", ".tsv", ".parquet")
"""Endings of the files whose rows are read one by one, without `datasets` and its cache."""

TSV = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
"""How a .tsv differs from a .csv, as GLUE's."""


def read_file(file: Path) -> datasets.Dataset:
    """All rows of a file of any known kind; of a .txt, its lines as column `text`.

    Raises:
        UserError: it cannot be read.
    """
    import datasets  # here, because it takes half a second, and stream_file mostly does without

    ending = _known_ending(file)
    options = {"keep_default_na": False} if READERS[ending] == "csv" else {}  # "None" and "NA" are words
    if ending == ".tsv":
        options |= TSV
    try:
        return datasets.load_dataset(READERS[ending], data_files=glob.escape(str(file)), split="train", **options)
    except Exception as error:
        cause = error.__cause__ or error
        raise UserError(f"cannot read {file}: {type(cause).__name__}: {cause}") from error


def stream_file(file: Path) -> Iterator[dict]:
    """The rows of `read_file` one by one; each value of a .csv or .tsv is a string.

    Raises:
        UserError: it cannot be read.
    """
    ending = _known_ending(file)
    if ending not in STREAMED:
        yield from read_file(file)
        return
    newline = "" if READERS[ending] == "csv" else None
    try:
        if ending == ".parquet":
            yield from _parquet_rows(file)
            return
        with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8-sig", newline=newline) as lines:
            yield from _parsed(lines, ending)
    except (OSError, EOFError, zlib.error, ValueError, csv.Error) as error:
        raise UserError(f"cannot read {file}: {type(error).__name__}: {error}") from error


def find_text_columns(
    file: Path, trained: Sequence[str] | None, named: Sequence[str] | None = None, hint: str = ""
) -> list[str]:
    """The columns that hold a file's texts.

    Args:
        trained: those that the model was trained on; a file's only column stands for an only one, whatever its name,
            but not in a .csv or .tsv, whose first line could be a text.
        named: those that the user named, which go before.
        hint: what the message of a missing column ends with.

    Raises:
        UserError: the file cannot be read, has no rows, or lacks a column.
    """
    names = list(next(stream_file(file), {}))
    if not names:
        raise UserError(f"{file} has no rows")
    columns = list(named or trained or ["text"])
    if len(names) == len(columns) == 1 and not named and READERS[_known_ending(file)] != "csv":
        columns = names
    missing = [column for column in columns if column not in names]
    if missing:
        which = ", which the model was trained on" if trained and not named else ""
        raise UserError(f"{file} has no column {', '.join(missing)}{which}; it has {', '.join(names)}{hint}")
    return columns


def stream_texts(file: Path, columns: Sequence[str], start: int = 0) -> Iterator[str | tuple[str, ...]]:
    """The text of each row from `start` on, or its texts if there are several columns.

    Raises:
        UserError: the file cannot be read, or a row has no text, or half of a character in it.
    """
    for index, row in enumerate(itertools.islice(stream_file(file), start, None), start):
        texts = tuple(row.get(column) for column in columns)
        for column, text in zip(columns, texts, strict=True):
            if not (isinstance(text, str) and is_unicode(text)):
                raise UserError(
                    f"{file}: row {index} (from 0): column '{column}' holds {text!r:.100} where a text was expected"
                )
        yield texts[0] if len(texts) == 1 else texts


def is_unicode(text: str) -> bool:
    """Whether a text can be encoded; JSON's escapes can hold half of a pair of surrogates, which cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parquet_rows(file: Path) -> Iterator[dict]:
    import pyarrow.parquet as pq  # here, because it takes half a second

    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches():
            yield from batch.to_pylist()


def _parsed(lines: Iterator[str], ending: str) -> Iterator[dict]:
    if ending == ".txt":
        yield from ({"text": line.rstrip("\n")} for line in lines)
    elif ending == ".jsonl":
        for row in (json.loads(line) for line in lines if line.strip()):
            if not isinstance(row, dict):
                raise ValueError(f"an object of columns was expected in each line, got {row!r:.100}")
            yield row
    else:
        csv.field_size_limit(sys.maxsize)
        rows = csv.DictReader(lines, strict=True, **(TSV if ending == ".tsv" else {}))
        for row in rows:
            if None in row:
                raise ValueError(f"line {rows.line_num} has more fields than the first line")
            yield row


def _known_ending(file: Path) -> str:
    ending = next((suffix for suffix in reversed(file.suffixes) if suffix != ".gz"), "")
    if ending not in READERS:
        raise UserError(f"cannot read {file}: its ending is none of {', '.join(READERS)} (or these with .gz)")
    return ending
