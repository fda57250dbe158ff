"""A trace of words through the layers as plain text, as coloured text, and as a web page."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from pathlib import Path

DROPPED = "·"
BOLD, DIM, RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
PAGE = Path(__file__).with_name("token_page.html")
DIGITS = string.digits + string.ascii_lowercase

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


def as_page(traces_by_scale: dict[float, list[dict]], own_scale: float) -> str:
    """A self-contained page: a slider over eta_scale shows which words each layer runs on, the answer and the speedup.

    Args:
        traces_by_scale: the traces of the same examples at each eta_scale, in ascending order.
        own_scale: the model's eta_scale, where the slider starts.
    """
    scales = list(traces_by_scale)
    texts = []
    for examples in zip(*traces_by_scale.values(), strict=True):
        words = [word["word"] for word in examples[0]["words"]]
        texts.append({"words": words, "steps": [_step(example) for example in examples]})
    start = min(range(len(scales)), key=lambda index: abs(scales[index] - own_scale))
    data = json.dumps({"scales": scales, "start": start, "texts": texts}, separators=(",", ":"))
    page = PAGE.read_text(encoding="utf-8")
    return page.replace("$data", data.replace("<", "\\u003c"))  # so that no text ends the script


def _step(trace: dict) -> dict:
    """One position of the slider; `passed` has a digit a word: the layers that it is left in, in base 36."""
    passed = "".join(DIGITS[sum(word["alive"])] for word in trace["words"])
    numbers = {"score": round(trace["score"], 3), "speedup": round(trace["speedup"], 2)}
    return {"label": trace["label"], **numbers, "lengths": trace["lengths"], "passed": passed}


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
