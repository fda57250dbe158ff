"""Figures of how many unmarked words each method keeps (false positive rate) by layer.

Takes result files that tools/evaluate_rationales.py --SAVE wrote; writes <OUTPUT>/<task>_rationales.png and, beside
each, the numbers in it as .csv.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.results.figures import draw_lines, results_and_output, write_figure
from tools.results.result_files import kind


def plot_rationales(result: dict, output: Path) -> Path:
    """The figure of one result; every method keeps as many words in a layer as AdapLeR did."""
    return write_figure(output / f"{result['task']}_rationales", rows(result), _draw)


def rows(result: dict) -> list[dict]:
    """One row a method and layer, counted from 1."""
    return [
        {"series": method, "layer": layer, **means}
        for method, layers in result["layers"].items()
        for layer, means in enumerate(layers, start=1)
    ]


def _draw(axes, given: list[dict]) -> None:
    draw_lines(axes, given, "layer", "fpr")
    axes.set(xlabel="layer", ylabel="false positive rate")
    axes.set_xticks(sorted({row["layer"] for row in given}))
    axes.set_ylim(bottom=0)


def main() -> None:
    results, output = results_and_output(__doc__)
    for result in results:
        if kind(result) == "rationales":
            print(plot_rationales(result, output))


if __name__ == "__main__":
    main()
