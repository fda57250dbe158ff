"""Output that an interrupted run can continue: a file of JSON lines, or a folder with a file of answers per input."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from tools.common.atomic_files import write_json
from tools.common.errors import UserError


def file_versions(files: Iterable[Path]) -> dict[str, list[int]]:
    """Path -> size and time of the last change, by which a file that was changed since is known."""
    return {str(file): [file.stat().st_size, file.stat().st_mtime_ns] for file in files}


def files_of(output: Path) -> tuple[Path, Path, Path]:
    """An output, what is written until it is complete, and what the lines in it depend on."""
    return output, output.with_name(f".{output.name}.begun"), output.with_name(f".{output.name}.job.json")


class ResumableOutput:
    """Writes lines to a hidden file beside `path`, which is renamed to `path` when it is complete.

    Args:
        job: what the lines depend on (input, model, settings); lines of another job are discarded.

    Raises:
        UserError: `path` is a directory, or another process is writing it.
    """

    def __init__(self, path: Path, job: dict):
        self.path, self.partial, self.job_file = files_of(path)
        if path.is_dir():
            raise UserError(f"{path} is a directory, not a file to write")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(self.partial, "ab+")  # noqa: SIM115 - held, with its lock, until the last line
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"another process is writing {path}") from error
        if not self._belongs_to(job):
            self.file.truncate(0)
            write_json(self.job_file, job)
        self.done = self._drop_broken_line()

    def write(self, answers: Iterable[dict], total: int) -> None:
        """Appends a line for each answer, with a progress bar, then renames the file."""
        with self.file as file:
            for answer in tqdm(answers, total=total, initial=self.done, unit="text", desc=self.path.name):
                file.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
                file.flush()
            os.fsync(file.fileno())
            os.replace(self.partial, self.path)
            self.job_file.unlink()

    def _belongs_to(self, job: dict) -> bool:
        try:
            return json.loads(self.job_file.read_text(encoding="utf-8")) == job
        except (OSError, ValueError):
            return False

    def _drop_broken_line(self) -> int:
        """Cuts off a last line that the interruption left unfinished, and returns the number of whole lines."""
        self.file.seek(0)
        lengths = [len(line) for line in self.file if line.endswith(b"\n")]
        self.file.truncate(sum(lengths))
        return len(lengths)


def keep_job(output: Path, job: dict, files: Sequence[Path]) -> None:
    """Writes job.json into a folder that gets an answer of the same name for each file.

    Answers that are there already stay if they are of the same job and their file was not changed since.

    Args:
        job: what all answers depend on (model, settings), as JSON.

    Raises:
        UserError: the folder holds answers of another job, or of one that is not known.
    """
    versions, job_file = file_versions(files), output / "job.json"
    earlier = _read_job(job_file)
    if earlier is None:
        unknown = [output / file.name for file in files if (output / file.name).exists()]
        if unknown:
            raise UserError(f"{unknown[0]} exists without {job_file}; name another folder for the answers: --OUTPUT")
        earlier = job
    known = earlier.pop("texts", {})
    if earlier != job:
        raise UserError(f"--OUTPUT {output} holds answers of another model or setting; name another folder")
    for file in files:
        if versions[str(file)] != known.get(str(file)):
            (output / file.name).unlink(missing_ok=True)
    write_json(job_file, job | {"texts": known | versions})


def _read_job(file: Path) -> dict | None:
    """A job.json; None if there is none.

    Raises:
        UserError: it is damaged.
    """
    try:
        job = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(job, dict) or not isinstance(job.get("texts", {}), dict):
            raise ValueError("no job is in it")
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UserError(f"{file} is damaged: {error}; name another --OUTPUT, or delete this folder") from error
    return job
