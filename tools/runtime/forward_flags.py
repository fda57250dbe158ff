"""Selects the flags that a stage accepts, for run_files/run_task.sh, which forwards extra flags to every stage.

    python -m tools.runtime.forward_flags STAGE --FLAG value ...

prints the stage's part, each argument followed by a zero byte. With `check` for STAGE it prints nothing, but fails if a
flag is unknown to every stage, is one that run_task.sh sets itself, has a malformed value, or contradicts another.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tools.runtime.argument_parser import field_names, parse
from tools.runtime.arguments import STAGES

PIPELINE = ["fine_tune", "store_saliencies", "train_adapler", "choose_eta_scale", "evaluate", "summarize"]
"""The stages that run_files/run_task.sh and search.sh run."""

SET_BY_PIPELINE = {"model_path", "split"}
"""Flags that the pipeline sets itself."""


def accepted_flags(stage: str, arguments: Sequence[str]) -> list[str]:
    """The part of `arguments` that the stage accepts: its flags with their values."""
    flags = field_names(STAGES[stage])
    accepted = []
    is_accepted = False
    for argument in arguments:
        if argument.startswith("--"):
            is_accepted = _flag_name(argument) in flags
        if is_accepted:
            accepted.append(argument)
    return accepted


def check(arguments: Sequence[str]) -> None:
    """Checks flags and values before the first stage starts.

    Raises:
        SystemExit: with code 2 and a usage message, for what is unknown, malformed or contradictory.
    """
    usage = argparse.ArgumentParser(prog="run_files", usage="run_task.sh TASK SEED [--FLAG value ...]")
    known = set().union(*(field_names(STAGES[stage]) for stage in PIPELINE)) - SET_BY_PIPELINE
    if arguments and not arguments[0].startswith("--"):
        usage.error(f"{arguments[0]} is not a flag")
    for argument in arguments:
        if argument.startswith("--") and _flag_name(argument) not in known:
            usage.error(f"no stage accepts {argument}")
    for stage in PIPELINE:
        parse(STAGES[stage], "", accepted_flags(stage, arguments), complete=False)


def _flag_name(argument: str) -> str:
    return argument.removeprefix("--").split("=")[0].lower()


if __name__ == "__main__":
    if sys.argv[1] == "check":
        check(sys.argv[2:])
    else:
        for accepted in accepted_flags(sys.argv[1], sys.argv[2:]):
            print(accepted, end="\0")
