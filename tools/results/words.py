"""Lists of names and spans of values, as sentences have them."""

from __future__ import annotations


def listing(names: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def duration(seconds: float) -> str:
    """Minutes, or hours from two hours on."""
    return f"{seconds / 3600:.1f} hours" if seconds >= 7200 else f"{seconds / 60:.0f} minutes"


def span(values: dict[str, float], number: str) -> str:
    """The smallest and the largest value, with their tasks."""
    ordered = sorted((value, task) for task, value in values.items())
    ends = dict.fromkeys((ordered[0], ordered[-1]))  # one, if there is one value
    return " to ".join(f"{number.format(value)} ({task})" for value, task in ends)
