"""What every program does around its work: exit codes, and errors as one sentence; imports no TensorFlow."""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tools.common.errors import UserError

BAD_INPUT = 2
FAILED = 1
USER_CAN_FIX = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
}
"""System errors that get a sentence (no space, no permission, no such file); others keep their traceback."""


def run_program(arguments: Any, work: Callable[[Any], None]) -> None:
    """Runs a program that has no folder of its own, with the exit codes of `tools.runtime.stage.run_stage`."""
    with errors_as_a_sentence():
        work(arguments)


def warn_of_cut_texts(count: int) -> None:
    """Says on stderr how many texts a model did not read to their end; nothing if there are none."""
    if count:
        print(f"texts that were too long for the model and were cut at their end: {count}", file=sys.stderr)


def _stop(number: int, _frame) -> None:
    """Ends the process with the exit code that a shell expects after a signal."""
    print(f"stopped by {signal.Signals(number).name}; what was finished is kept", file=sys.stderr)
    sys.exit(128 + number)


@contextmanager
def errors_as_a_sentence() -> Iterator[None]:
    """Ends the process with a sentence and a code for what the user can fix, what the system refuses, and signals."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(BAD_INPUT)
    except OSError as error:
        if error.errno not in USER_CAN_FIX:
            raise
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(FAILED)
