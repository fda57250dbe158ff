"""A trace of words through the layers, as plain text, coloured text, and a page of its own."""

from __future__ import annotations

import html

DROPPED = "·"
BOLD, DIM, RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def as_text(trace: dict) -> str:
    """One line a layer, with a dot in place of each dropped word."""
    return _lines(trace, lambda word, alive, _: word if alive else DROPPED)


def as_coloured_text(trace: dict) -> str:
    """One line a layer for a terminal: words left are bold, on a green the brighter the more they contribute."""

    def show(word: str, alive: bool, contribution: float) -> str:
        if not alive:
            return f"{DIM}{word}{RESET}"
        green = 22 + 6 * round(3 * contribution)  # of the 256 colours: dark green to bright
        return f"{BOLD}\x1b[38;5;231;48;5;{green}m{word}{RESET}"

    return _lines(trace, show)


def _lines(trace: dict, show) -> str:
    words = trace["words"]
    lines = [f"input ({trace['lengths'][0]:3d}): {' '.join(word['word'] for word in words)}"]
    for layer, length in enumerate(trace["lengths"][1:]):
        largest = max((word["contributions"][layer] for word in words), default=0.0) or 1.0
        shown = [show(w["word"], w["alive"][layer], w["contributions"][layer] / largest) for w in words]
        lines.append(f"{layer + 1:5d} ({length:3d}): {' '.join(shown)}")
    return "\n".join([*lines, f"prediction: {trace['label']} ({trace['score']:.2f})"])


def as_page(trace: dict) -> str:
    """A page of one file, without scripts: each layer's words, and every number in a table."""
    entered, *layers = trace["lengths"]
    items = "\n".join(_layer(trace, layer, length) for layer, length in enumerate(layers))
    words = " ".join(html.escape(word["word"]) for word in trace["words"])
    body = (
        f'<article aria-labelledby="prediction"><h2 id="prediction">Prediction: {html.escape(trace["label"])} '
        f"({trace['score']:.2f})</h2>\n<p>The input has {entered} tokens: {words}</p>\n<ol>\n{items}\n</ol>\n"
        f"{_table(trace)}\n</article>"
    )
    return PAGE.format(body=body)


def _layer(trace: dict, layer: int, length: int) -> str:
    largest = max((word["contributions"][layer] for word in trace["words"]), default=0.0) or 1.0
    shown = []
    for word in trace["words"]:
        text = html.escape(word["word"])
        if word["alive"][layer]:
            weight = round(100 * word["contributions"][layer] / largest)
            shown.append(f'<mark style="--weight:{weight}%">{text}</mark>')
        else:
            shown.append(f"<del>{text}</del>")
    return f"<li><p>{length} tokens left</p><p class=words>{' '.join(shown)}</p></li>"


def _table(trace: dict) -> str:
    layers = range(len(trace["lengths"]) - 1)
    head = "".join(f"<th scope=col>layer {layer + 1}</th>" for layer in layers)
    rows = []
    for word in trace["words"]:
        cells = "".join(
            f"<td>{word['contributions'][layer]:.3f}{'' if word['alive'][layer] else ', dropped'}</td>"
            if layer == 0 or word["alive"][layer - 1]
            else "<td><span class=gone>gone</span></td>"
            for layer in layers
        )
        place = f"{word['start']} to {word['end']}"
        rows.append(f"<tr><th scope=row>{html.escape(word['word'])}</th><td>{place}</td>{cells}</tr>")
    body = "\n".join(rows)
    return (
        "<details><summary>Contribution of each word at each layer</summary>\n<div tabindex=0 role=region "
        "aria-label=\"Contributions\"><table><caption>A word's contribution is its best word piece's; characters count "
        f"from 0.</caption>\n<thead><tr><th scope=col>word</th><th scope=col>characters</th>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table></div></details>"
    )


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tokens left per layer</title>
<style>
:root {{ color-scheme: light dark; --kept: #1f9d5c; --gone: #6b6b6b; }}
@media (prefers-color-scheme: dark) {{ :root {{ --gone: #9a9a9a; }} }}
body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
li > p:first-child {{ margin-bottom: 0; color: var(--gone); font-size: 0.85rem; }}
.words {{ margin-top: 0; }}
mark {{ background: color-mix(in srgb, var(--kept) calc(15% + 0.4 * var(--weight)), Canvas); color: CanvasText;
  font-weight: 600; border-radius: 0.2em; padding: 0 0.25em; }}
del, .gone {{ color: var(--gone); }}
summary:focus-visible, [tabindex]:focus-visible {{ outline: 3px solid var(--kept); outline-offset: 2px; }}
[role=region] {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 0.15rem 0.6rem; border-bottom: 1px solid var(--gone); text-align: left; }}
</style>
</head>
<body>
<main>
<h1>Tokens left per layer</h1>
<p>Marked words are left, the stronger the colour the larger their contribution; struck words have been dropped.</p>
{body}
</main>
</body>
</html>
"""
