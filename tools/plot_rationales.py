"""Figures of how many unmarked words each method keeps (false positive rate) by layer.

Takes result files that tools/evaluate_rationales.py --SAVE wrote; writes <OUTPUT>/<task>_rationales.png and, beside
each, the numbers in it as .csv.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.figures import draw_lines, write_figure
from tools.paths import FIGURES, RESULTS


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="result files (default: all comparisons in results/)")
    parser.add_argument("--OUTPUT", type=Path, default=FIGURES, help="folder for the figures (default: %(default)s)")
    arguments = parser.parse_args()
    for file in arguments.files or sorted(RESULTS.glob("*.json")):
        result = json.loads(file.read_text(encoding="utf-8"))
        if result.get("kind") == "rationales":
            print(plot_rationales(result, arguments.OUTPUT))


if __name__ == "__main__":
    main()
