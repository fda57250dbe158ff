"""Data sets whose published files are not one table a split."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import datasets

from tools.common.errors import UserError
from tools.data.files import stream_file


def read_fnc(folder: Path, split: str) -> datasets.Dataset:
    """The Fake News Challenge's <split>_stances.csv joined with <split>_bodies.csv.

    Returns:
        rows of Headline, articleBody and Stance.
    """
    files = [_existing(folder / f"{split}_{part}.csv") for part in ("bodies", "stances")]
    return _cached(fnc_rows, files)


def fnc_rows(files: tuple[str, ...], stamp: tuple) -> Iterator[dict]:
    """Rows of `read_fnc`; a stance without its body is an error."""
    bodies = {row["Body ID"]: row["articleBody"] for row in stream_file(Path(files[0]))}
    for number, row in enumerate(stream_file(Path(files[1]))):
        if row["Body ID"] not in bodies:
            raise UserError(f"{files[1]}, row {number} (from 0): no body {row['Body ID']!r} in {files[0]}")
        yield {"Headline": row["Headline"], "articleBody": bodies[row["Body ID"]], "Stance": row["Stance"]}


def read_movies(folder: Path, split: str) -> datasets.Dataset:
    """ERASER's movie reviews: movies.tar.gz as published.

    Returns:
        rows of text (words separated by spaces), classification, and spans, the evidence as [start, end) word indices.
    """
    return _cached(movie_rows, [_existing(folder / "movies.tar")], split=split)


def movie_rows(files: tuple[str, ...], stamp: tuple, split: str) -> Iterator[dict]:
    """Rows of `read_movies`."""
    with tarfile.open(files[0]) as archive:
        members = {member.name: member for member in archive if member.isfile()}
        texts = {name: archive.extractfile(member).read().decode() for name, member in members.items()}
    for line in texts[f"movies/{split}.jsonl"].splitlines():
        row = json.loads(line)
        evidence = [span for group in row["evidences"] for span in group]
        yield {
            "text": " ".join(texts[f"movies/docs/{row['annotation_id']}"].split()),
            "classification": row["classification"],
            "spans": sorted([span["start_token"], span["end_token"]] for span in evidence),
        }


def _cached(rows, files: list[Path], **arguments) -> datasets.Dataset:
    """The rows as a data set that `datasets` keeps on disk until a file changes."""
    # tuples, because `datasets` takes lists for shards
    stamp = tuple((file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    keywords = {"files": tuple(str(file.resolve()) for file in files), "stamp": stamp, **arguments}
    try:
        return datasets.Dataset.from_generator(rows, gen_kwargs=keywords)
    except datasets.exceptions.DatasetGenerationError as error:
        cause = error.__cause__ or error
        where = f"{files[0].parent}: {type(cause).__name__}: {cause}"
        raise (cause if isinstance(cause, UserError) else UserError(f"cannot read {where}")) from error


def _existing(file: Path) -> Path:
    """The file, or the same with .gz."""
    for candidate in (file, file.with_name(f"{file.name}.gz")):
        if candidate.exists():
            return candidate
    raise UserError(f"no file {file} (or with .gz)")
