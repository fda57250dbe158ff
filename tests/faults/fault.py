"""A small fault in the sources, with the tests that should notice it."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """A change of one place in the sources, and the tests that should notice it, in pytest's spelling."""

    name: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]
