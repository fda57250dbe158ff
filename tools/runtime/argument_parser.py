"""Typed dataclasses read from the command line, by transformers' HfArgumentParser.

Every flag has its published upper-case spelling and a lower-case one: --MAX_LENGTH and --max_length.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, dataclass_transform

from tools.common.errors import UserError
from tools.common.modules import import_alone


def flag(help: str, default: Any = dataclasses.MISSING) -> Any:
    """A field of an argument group; without a default it is required.

    A list as the default is the default value of a flag that takes several values.
    """
    metadata = {"help": help}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass_transform(kw_only_default=True, field_specifiers=(flag,))
def argument_group(title: str) -> Callable[[type], type]:
    """Decorator: a dataclass of arguments, which `--help` shows under the title."""

    def decorate(group: type) -> type:
        group._argument_group_name = title
        group = dataclasses.dataclass(kw_only=True)(group)
        for field in dataclasses.fields(group):
            field.metadata = {**field.metadata, "aliases": [f"--{field.name.upper()}"]}
        return group

    return decorate


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


def make_parser(groups: Sequence[type], description: str) -> argparse.ArgumentParser:
    """A parser of the argument groups."""
    hf_argparser = import_alone("transformers.hf_argparser")  # the package takes half a second to import
    return hf_argparser.HfArgumentParser(
        list(groups),
        description=description,
        usage="%(prog)s --FLAG value ...",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )


def parse(
    groups: Sequence[type], description: str, command_line: Sequence[str] | None = None, complete: bool = True
) -> Any:
    """The arguments of a command line (default: the process's own).

    Args:
        complete: refuse a command line without a required flag.

    Returns:
        An instance of a dataclass that inherits from all groups.

    Raises:
        SystemExit: with code 2 and a usage message, for arguments that are unknown, malformed or contradictory.
    """
    parser = make_parser(groups, description)
    for action in parser._actions:
        action.required = action.required and complete
    arguments = dataclasses.make_dataclass("Arguments", [], bases=tuple(groups), kw_only=True)
    try:
        return arguments(**vars(parser.parse_args(command_line)))
    except UserError as error:
        parser.error(str(error))


def field_names(groups: Sequence[type]) -> set[str]:
    """The flags of the groups, in lower case."""
    return {field.name for group in groups for field in dataclasses.fields(group)}


def given(arguments: Any, names: Sequence[str]) -> list[str]:
    """Those of the optional flags that do not have their defaults, as they are typed."""
    return [f"--{name.upper()}" for name in names if getattr(arguments, name) != getattr(type(arguments), name)]
