"""Writing files so that a name never stands over something half-written."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tools.common.errors import UserError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; when the block ends well, the file is synced and renamed to `path`.

    The temporary path keeps the suffix, because some writers choose the format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """As `atomic_write`, for a directory of files: the old one is moved away only when the new one is complete."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with open(file, "rb") as opened:
                    os.fsync(opened.fileno())
        old = move_aside(path)
        os.replace(temporary, path)
        if old is not None:
            shutil.rmtree(old.parent)
        os.chmod(path, 0o755)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def move_aside(path: Path) -> Path | None:
    """Moves a directory into a hidden one beside it, and returns where it is; None if there is no such directory.

    `clear_leftovers` moves it back unless something else has its name by then; the caller removes the hidden one.
    """
    if not path.exists():
        return None
    hidden = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
    os.replace(path, hidden / path.name)
    return hidden / path.name


def link(source: Path, path: Path) -> None:
    """Makes `path` another name of the file `source`, or a copy of it where the file system has no hard links."""
    with atomic_write(path) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def link_directory(source: Path, path: Path) -> None:
    """Makes `path` a directory with the files of `source`; both share what neither replaces later."""
    with atomic_directory(path) as temporary:
        for file in source.iterdir():
            link(file, temporary / file.name)


def file_checksum(path: Path) -> int:
    """CRC-32 of a file's bytes."""
    checksum = 0
    with open(path, "rb") as file:
        while block := file.read(2**20):
            checksum = zlib.crc32(block, checksum)
    return checksum


def clear_leftovers(directory: Path) -> None:
    """Removes what killed processes left half-written under `directory`, which no other process may be writing to.

    A directory that was moved away, with nothing put in its place yet, comes back.
    """
    for old in list(directory.rglob(".*.old")):
        for saved in old.iterdir():
            if not (old.parent / saved.name).exists():
                os.replace(saved, old.parent / saved.name)
        shutil.rmtree(old)
    for part in list(directory.rglob(".*.part*")):
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


def require_free(output: Path) -> None:
    """Makes sure that nothing but an empty directory is at `output`.

    Raises:
        UserError: something is there.
    """
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UserError(f"--OUTPUT {output} exists; name another, or delete it first")


def require_replaceable(output: Path, marker: str) -> None:
    """Makes sure that `output` is free, or a directory of the kind that is going to replace it.

    Args:
        marker: a file that no other kind has.

    Raises:
        UserError: something else is there.
    """
    if not (output / marker).exists():
        require_free(output)


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def write_json_lines(path: Path, values: list) -> None:
    """Writes one JSON line a value."""
    with atomic_write(path) as temporary:
        temporary.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")


def read_json_lines(path: Path) -> list:
    """The values of a file of JSON lines; none if there is no such file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def write_array(path: Path, array: np.ndarray) -> None:
    """Writes a .npy file."""
    with atomic_write(path) as temporary:
        np.save(temporary, array, allow_pickle=False)
