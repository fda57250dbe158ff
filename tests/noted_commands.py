"""Runs the scripts of run_files/ with an interpreter that notes the stages' commands instead of running them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.tiny_task import run

FINE_TUNED, ADAPLER = "fine_tuned.h5", "adapler.h5"
"""What the stages that train seem to print last; AdapLeR's has the name of --SAVE_NAME, if that is given."""

INTERPRETER = r"""#!/usr/bin/env bash
if [[ " $REAL_MODULES " == *" $2 "* ]]; then
  exec "$REAL" "$@"
fi
(printf '%s\t' "$@"; echo) >> "$COMMANDS"
case "$*" in
  *run_classification_bert.py*) printf "progress\nfine_tuned.h5\n" ;;
  *run_classification_w_lr.py*)
    [[ "$*" =~ .*--SAVE_NAME\ ([a-z0-9_]+) ]]
    echo "${BASH_REMATCH[1]:-adapler}.h5"
    ;;
  *choose_model*) printf "a table\nsearch_2\n" ;;
esac
"""


def noted_commands(
    command: str, folder: Path, *real_modules: str, **environment: str
) -> tuple[subprocess.CompletedProcess, list[list[str]]]:
    """Runs a shell command; gives how it ended and the words of the stages' commands, without the interpreter.

    Args:
        folder: an empty one.
        real_modules: what the script runs with `python -m` that is not replaced, beside the selection of flags.
    """
    interpreter, commands = folder / "python", folder / "commands"
    interpreter.write_text(INTERPRETER)
    interpreter.chmod(0o755)
    environment |= {"PYTHON": str(interpreter), "REAL": sys.executable, "COMMANDS": str(commands)}
    done = run(command, REAL_MODULES=" ".join(("tools.runtime.forward_flags", *real_modules)), **environment)
    lines = commands.read_text().splitlines() if commands.exists() else []
    return done, [line.rstrip("\t").split("\t") for line in lines]


def stage_names(commands: list[list[str]]) -> list[str]:
    """The programs of the commands, without folder and package."""
    return [words[1].split(".")[-1] if words[0] == "-m" else Path(words[0]).stem for words in commands]
