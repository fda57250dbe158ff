"""One run at a time in a directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.common.errors import UserError


@contextmanager
def locked(directory: Path, wait: bool = False) -> Iterator[None]:
    """Holds the directory for this process; the system lets go of it however the process ends.

    Args:
        wait: until another process that has it lets go.

    Raises:
        UserError: another process has it, and `wait` is not set; the message names its pid.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            file.seek(0)
            raise UserError(
                f"process {file.read().strip()} is running in {directory}; wait for it, or use another --DATA_SEED or "
                "--BACKBONE_NAME"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
