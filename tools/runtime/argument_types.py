"""Types of command-line arguments: numbers of a range, names of splits, parts of an input."""

from __future__ import annotations

import argparse
import math


class _Number:
    """A finite number that is checked when it is made; a subclass names the lowest and highest value that it allows."""

    def __init_subclass__(cls, lowest: float = -math.inf, above: float = -math.inf, highest: float = math.inf):
        cls.lowest, cls.above, cls.highest = lowest, above, highest

    def __new__(cls, text: str | float):
        try:
            value = super().__new__(cls, text)
            is_allowed = math.isfinite(value) and max(cls.lowest, cls.above) <= value <= cls.highest
        except ValueError:
            is_allowed = False
        if not is_allowed or value == cls.above:
            raise argparse.ArgumentTypeError(f"{text} is not {cls.__doc__.rstrip('.').lower()}")
        return value


class PositiveInt(_Number, int, lowest=1):
    """An integer of at least 1."""


class NonNegativeInt(_Number, int, lowest=0):
    """An integer of at least 0."""


class Seed(_Number, int, lowest=0, highest=2**32 - 1):
    """An integer from 0 to 2**32 - 1."""


class TokenCount(_Number, int, lowest=3):
    """An integer of at least 3: [CLS], a token and [SEP]."""


class FiniteFloat(_Number, float):
    """A finite number."""


class PositiveFloat(_Number, float, above=0.0):
    """A finite number above 0."""


class NonNegativeFloat(_Number, float, lowest=0.0):
    """A finite number of at least 0."""


class Fraction(_Number, float, lowest=0.0, highest=1.0):
    """A number from 0 to 1."""


class Split(str):
    """The name of a split; `val`, the published short name, means validation."""

    names = ("train", "validation", "test", "validation_mismatched", "test_mismatched")

    def __new__(cls, text: str):
        name = "validation" if text == "val" else text
        if name not in cls.names:
            raise argparse.ArgumentTypeError(f"'{text}' is not one of {', '.join(cls.names)}")
        return super().__new__(cls, name)


class Name(str):
    """The name of a file or folder."""

    def __new__(cls, text: str):
        if "/" in text or text in ("", ".", ".."):
            raise argparse.ArgumentTypeError(f"'{text}' is not a name without '/'")
        return super().__new__(cls, text)


class Shard(str):
    """One part of an input, written I/N with 1 <= I <= N."""

    def __new__(cls, text: str):
        number, _, parts = text.partition("/")
        if not (number.isdigit() and parts.isdigit() and 1 <= int(number) <= int(parts)):
            raise argparse.ArgumentTypeError(f"{text} is not I/N with I from 1 to N, such as 2/8")
        shard = super().__new__(cls, text)
        shard.number, shard.parts = int(number), int(parts)
        return shard
