"""A trace of words through the layers as plain text, as coloured text, and as a web page."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from string import Template

DROPPED = "·"
BOLD, DIM, RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
PAGE = Path(__file__).with_name("token_page.html")

Show = Callable[[str, bool, float], str]
"""(word, whether it is left, contribution as a share of the layer's largest) -> the word as a view shows it."""


def as_text(trace: dict) -> str:
    """One line per layer, with a dot in place of each dropped word."""
    return _lines(trace, lambda word, alive, _: word if alive else DROPPED)


def as_coloured_text(trace: dict) -> str:
    """One line per layer for a terminal: words left are bold on green, the brighter the more they contribute."""

    def show(word: str, alive: bool, share: float) -> str:
        green = 22 + 6 * round(3 * share)  # of the 256 colours: dark green to bright
        return f"{BOLD}\x1b[38;5;231;48;5;{green}m{word}{RESET}" if alive else f"{DIM}{word}{RESET}"

    return _lines(trace, show)


def as_page(trace: dict) -> str:
    """A self-contained page without scripts: each layer's words, and every number in a table."""

    def show(word: str, alive: bool, share: float) -> str:
        text = html.escape(word)
        return f'<mark style="--weight:{round(100 * share)}%">{text}</mark>' if alive else f"<del>{text}</del>"

    layers = range(len(trace["lengths"]) - 1)
    items = [
        f"<li><p>{trace['lengths'][layer + 1]} tokens left</p><p class=words>{_words(trace, layer, show)}</p></li>"
        for layer in layers
    ]
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        label=html.escape(trace["label"]),
        score=f"{trace['score']:.2f}",
        tokens=trace["lengths"][0],
        text=" ".join(html.escape(word["word"]) for word in trace["words"]),
        layers="\n".join(items),
        layer_names="".join(f"<th scope=col>layer {layer + 1}</th>" for layer in layers),
        rows="\n".join(map(_table_row, trace["words"])),
    )


def _table_row(word: dict) -> str:
    cells = f"<th scope=row>{html.escape(word['word'])}</th><td>{word['start']} to {word['end']}</td>"
    entered = True
    for alive, contribution in zip(word["alive"], word["contributions"], strict=True):
        number = f"{contribution:.3f}" if alive else f"{contribution:.3f}, dropped"
        cells += f"<td>{number}</td>" if entered else "<td><span class=gone>gone</span></td>"
        entered = alive
    return f"<tr>{cells}</tr>"


def _lines(trace: dict, show: Show) -> str:
    entered, *lengths = trace["lengths"]
    lines = [f"input ({entered:3d}): {' '.join(word['word'] for word in trace['words'])}"]
    for layer, length in enumerate(lengths):
        lines.append(f"{layer + 1:5d} ({length:3d}): {_words(trace, layer, show)}")
    return "\n".join([*lines, f"prediction: {trace['label']} ({trace['score']:.2f})"])


def _words(trace: dict, layer: int, show: Show) -> str:
    """The words of a layer, each shown by `show`."""
    words = trace["words"]
    largest = max((word["contributions"][layer] for word in words), default=0.0) or 1.0
    return " ".join(show(word["word"], word["alive"][layer], word["contributions"][layer] / largest) for word in words)
