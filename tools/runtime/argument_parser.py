"""Typed dataclasses read from the command line, by transformers' HfArgumentParser.

Every flag has its published upper-case spelling and a lower-case one: --MAX_LENGTH and --max_length.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar, get_type_hints

from transformers import HfArgumentParser

from tools.common.errors import UserError

Arguments = TypeVar("Arguments")


def flag(name: str, help: str, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field with its upper-case spelling and its help; without a default it is required.

    A list as the default is the default value of a flag that takes several values.
    """
    metadata = {"help": help, "aliases": [f"--{name}"]}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


class HelpFormatter(argparse.MetavarTypeHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Help that shows both spellings of a flag, its type and its default."""

    def _format_action_invocation(self, action: argparse.Action) -> str:
        spellings = ", ".join(sorted(option for option in action.option_strings if "-" not in option[2:]))
        if action.nargs in (0, "?"):  # a switch
            return spellings
        return f"{spellings} {self._format_args(action, action.type.__name__)}"

    def _get_help_string(self, action: argparse.Action) -> str:
        if action.default in (None, False, argparse.SUPPRESS):
            return action.help
        return f"{action.help} (default: %(default)s)"


def make_parser(groups: Sequence[type], description: str) -> HfArgumentParser:
    """A parser of dataclasses; each of them is a group of `--help`."""
    return HfArgumentParser(
        list(groups),
        description=description,
        usage="%(prog)s --FLAG value ...",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )


def parse_groups(groups: Sequence[type], description: str, command_line: Sequence[str] | None = None) -> list[Any]:
    """An instance of each dataclass, from a command line (default: the process's own).

    Raises:
        SystemExit: with code 2 and a usage message, for arguments that are unknown, malformed or contradictory.
    """
    parser = make_parser(groups, description)
    values = vars(parser.parse_args(command_line))
    try:
        return [group(**{name: values[name] for name in field_names(group)}) for group in groups]
    except UserError as error:
        parser.error(str(error))


def parse(arguments: type[Arguments], description: str, command_line: Sequence[str] | None = None) -> Arguments:
    """A stage's container of arguments, as `parse_groups` parses them."""
    groups = groups_of(arguments)
    return arguments(*parse_groups(groups, description, command_line))


def groups_of(arguments: type) -> list[type]:
    """The dataclasses that a stage's container holds, in order."""
    return list(get_type_hints(arguments).values())


def field_names(group: type) -> list[str]:
    """The flags of a dataclass, in lower case."""
    return [field.name for field in dataclasses.fields(group)]


def as_dict(arguments: Any) -> dict[str, Any]:
    """All values of a container, by flag in lower case."""
    values: dict[str, Any] = {}
    for group in dataclasses.fields(arguments):
        values |= dataclasses.asdict(getattr(arguments, group.name))
    return values
