"""Selects the flags that a stage accepts, for run_files/run_task.sh, which forwards extra flags to every stage.

    python -m tools.runtime.forward_flags STAGE --FLAG value ...

prints the stage's part, each argument followed by a zero byte. With `check` for STAGE it prints nothing, but fails if a
flag is unknown to every stage of the run, is one that run_task.sh sets itself, has a malformed value, or contradicts
another. `check_try` is the same for a setting that run_files/search.sh compares: stage 3 and the speed dial get it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from tools.runtime.argument_parser import field_names, parse
from tools.runtime.arguments import STAGES

PIPELINE = ["fine_tune", "store_saliencies", "train_adapler", "choose_eta_scale", "evaluate", "summarize"]
"""The stages that run_files/run_task.sh and search.sh run."""

TRY = ["train_adapler", "choose_eta_scale"]
"""The stages that get a setting which search.sh compares with others."""

CHECKS = {"check": PIPELINE, "check_try": TRY}

NOT_WITH_TARGET = "choose_eta_scale"
"""The stage that a run with a target speedup leaves out, because stage 3 trims the model to the target."""

SET_BY_PIPELINE = {"task", "data_seed", "model_path", "split"}
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


def check(arguments: Sequence[str], stages: Sequence[str] = PIPELINE) -> None:
    """Checks flags and values before the first stage starts.

    Args:
        stages: those that get the flags.

    Raises:
        SystemExit: with code 2 and a usage message, for what is unknown, malformed or contradictory.
    """
    usage = argparse.ArgumentParser(prog="run_files", usage="run_task.sh TASK SEED [--FLAG value ...]")
    for argument in arguments[:1] + [each for each in arguments if re.match(r"-[^-\d.]", each)]:
        if not argument.startswith("--"):
            usage.error(f"{argument} is not a flag")
    flags = [argument.split("=")[0] for argument in arguments if argument.startswith("--")]
    has_target = "target_speedup" in map(_flag_name, flags)
    known_to_the_run = set().union(*(field_names(STAGES[stage]) for stage in PIPELINE))
    reason = "in a run with a target speedup" if has_target else "among the settings that search.sh compares"
    stages = [stage for stage in stages if not (has_target and stage == NOT_WITH_TARGET)]
    if "target" in map(_flag_name, flags):
        usage.error("--TARGET takes no value; the flag for a speedup is --TARGET_SPEEDUP")
    known = set().union(*(field_names(STAGES[stage]) for stage in stages))
    for flag in flags:
        if _flag_name(flag) in SET_BY_PIPELINE:
            usage.error(f"the script sets {flag} itself (TASK and SEED are its first arguments); leave it out")
        if _flag_name(flag) not in known:
            where = f" {reason}; leave it out" if _flag_name(flag) in known_to_the_run else ""
            usage.error(f"no stage accepts {flag}{where}")
    for stage in stages:
        parse(STAGES[stage], "", accepted_flags(stage, arguments), complete=False)


def _flag_name(argument: str) -> str:
    return argument.removeprefix("--").split("=")[0].lower()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.runtime.forward_flags",
        usage="%(prog)s STAGE [--FLAG value ...]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    stages = [*STAGES, *CHECKS]
    parser.add_argument("stage", metavar="STAGE", choices=stages, help=f"one of: {', '.join(stages)}")
    stage, arguments = parser.parse_args(sys.argv[1:2]).stage, sys.argv[2:]  # the other arguments are the stages'
    if stage in CHECKS:
        check(arguments, CHECKS[stage])
    else:
        for accepted in accepted_flags(stage, arguments):
            print(accepted, end="\0")


if __name__ == "__main__":
    main()
