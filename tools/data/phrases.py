"""Train splits whose rows are sentences and phrases of them, as SST-2's: which rows are whole, and which are a part.

Rows cut at random for validation are mostly phrases: shorter than a test set's sentences, and parts of sentences that
are trained on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def whole_texts(texts: Sequence[str]) -> list[int]:
    """Numbers, ascending, of the texts that are no run of words of another text; of equal texts, the first."""
    parts: set[str] = set()
    whole = []
    for number in sorted(range(len(texts)), key=lambda number: -len(texts[number].split())):
        if _normal(texts[number]) not in parts:
            whole.append(number)
            parts |= _runs(texts[number])
    return sorted(whole)


def texts_outside(texts: Sequence[str], sentences: Iterable[str]) -> list[int]:
    """Numbers, ascending, of the texts that are no run of words of any of the sentences."""
    parts = set().union(*map(_runs, sentences))
    return [number for number, text in enumerate(texts) if _normal(text) not in parts]


def _normal(text: str) -> str:
    return " ".join(text.split())


def _runs(text: str) -> set[str]:
    """Every run of words of a text, at least one word long."""
    words = text.split()
    return {" ".join(words[start:end]) for start in range(len(words)) for end in range(start + 1, len(words) + 1)}
