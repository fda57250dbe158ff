"""A file of JSON lines that is written bit by bit, and carried on where an interrupted run stopped."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from tools.common.atomic_files import write_json
from tools.common.errors import UserError


class ResumableOutput:
    """Lines that become `path` once all are there; until then they wait in a hidden file beside it.

    Args:
        job: what the lines depend on (input, model, settings); lines of another job are not carried on.

    Raises:
        UserError: `path` is a directory, or another process is writing it.
    """

    def __init__(self, path: Path, job: dict):
        self.path = path
        self.partial = path.with_name(f".{path.name}.part")
        self.job_file = path.with_name(f".{path.name}.job.json")
        if path.is_dir():
            raise UserError(f"{path} is a directory, not a file to write")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(self.partial, "ab+")  # noqa: SIM115 - held, with its lock, until the last line
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"another process is writing {path}") from error
        if not self._is_of(job):
            self.file.truncate(0)
            write_json(self.job_file, job)
        self.done = self._drop_broken_line()

    def write(self, answers: Iterable[dict], total: int) -> None:
        """Appends a line for each answer, with a progress bar, then gives the file its name."""
        with self.file as file:
            for answer in tqdm(answers, total=total, initial=self.done, unit="text", desc=self.path.name):
                file.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
                file.flush()
            os.fsync(file.fileno())
            os.replace(self.partial, self.path)
            self.job_file.unlink()

    def _is_of(self, job: dict) -> bool:
        try:
            return json.loads(self.job_file.read_text(encoding="utf-8")) == job
        except (OSError, ValueError):
            return False

    def _drop_broken_line(self) -> int:
        """Cuts off a line that the interruption left unfinished; gives the number of whole lines."""
        whole = lines = 0
        self.file.seek(0)
        for line in self.file:
            if not line.endswith(b"\n"):
                break
            whole, lines = whole + len(line), lines + 1
        self.file.truncate(whole)
        return lines
