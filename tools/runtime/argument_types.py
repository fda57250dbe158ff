"""Types of command-line arguments: numbers of a range, names of splits, parts of an input."""

from __future__ import annotations

import argparse
import math
from typing import ClassVar


class _Number:
    """A number that is checked when it is made.

    Attributes:
        allowed: what the message of a refused value says.
    """

    allowed: ClassVar[str]

    def __new__(cls, text: str | float):
        try:
            value = super().__new__(cls, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text} is not {cls.allowed}") from error
        if not math.isfinite(value) or not cls.is_allowed(value):
            raise argparse.ArgumentTypeError(f"{text} is not {cls.allowed}")
        return value

    @staticmethod
    def is_allowed(value: float) -> bool:
        """Whether the value is in the type's range."""
        return True


class PositiveInt(_Number, int):
    """An integer of at least 1."""

    allowed = "an integer of at least 1"

    @staticmethod
    def is_allowed(value: int) -> bool:
        return value >= 1


class NonNegativeInt(_Number, int):
    """An integer of at least 0."""

    allowed = "an integer of at least 0"

    @staticmethod
    def is_allowed(value: int) -> bool:
        return value >= 0


class TokenCount(_Number, int):
    """A number of tokens that leaves room for [CLS], one token and [SEP]."""

    allowed = "an integer of at least 3"

    @staticmethod
    def is_allowed(value: int) -> bool:
        return value >= 3


class FiniteFloat(_Number, float):
    """A number, but neither NaN nor infinite."""

    allowed = "a finite number"


class PositiveFloat(_Number, float):
    """A finite number above 0."""

    allowed = "a finite number above 0"

    @staticmethod
    def is_allowed(value: float) -> bool:
        return value > 0


class NonNegativeFloat(_Number, float):
    """A finite number of at least 0."""

    allowed = "a finite number of at least 0"

    @staticmethod
    def is_allowed(value: float) -> bool:
        return value >= 0


class Fraction(_Number, float):
    """A number from 0 to 1."""

    allowed = "a number from 0 to 1"

    @staticmethod
    def is_allowed(value: float) -> bool:
        return 0 <= value <= 1


class Split(str):
    """The name of a split; `val`, the published short name, means validation."""

    names = ("train", "validation", "test", "validation_mismatched", "test_mismatched")

    def __new__(cls, text: str):
        name = "validation" if text == "val" else text
        if name not in cls.names:
            raise argparse.ArgumentTypeError(f"'{text}' is not one of {', '.join(cls.names)}")
        return super().__new__(cls, name)


class Shard(tuple):
    """One part of an input, written I/N: (I, N) with 1 <= I <= N."""

    def __new__(cls, text: str):
        number, _, parts = text.partition("/")
        if not (number.isdigit() and parts.isdigit() and 1 <= int(number) <= int(parts)):
            raise argparse.ArgumentTypeError(f"{text} is not I/N with I from 1 to N, such as 2/8")
        return super().__new__(cls, (int(number), int(parts)))
