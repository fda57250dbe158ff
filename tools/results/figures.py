"""Figures as PNG, each with the numbers in it as CSV beside it."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot

from tools.common.atomic_files import atomic_write
from tools.common.paths import FIGURES, RESULTS
from tools.results.result_files import read_results


def results_and_output(description: str) -> tuple[list[dict], Path]:
    """The command line of a program that draws: the results that it names, and the folder for the figures."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="result files (default: those in results/)")
    parser.add_argument("--OUTPUT", type=Path, default=FIGURES, help="folder for the figures (default: %(default)s)")
    arguments = parser.parse_args()
    return read_results(arguments.files or sorted(RESULTS.glob("*.json"))), arguments.OUTPUT


def write_figure(stem: Path, rows: list[dict], draw: Callable) -> Path:
    """Writes <stem>.csv and <stem>.png.

    Args:
        rows: the numbers, with the same keys in each; `series` names the line that a row belongs to.
        draw: puts the rows into the axes that it is given.

    Returns:
        the picture's file.
    """
    with (
        atomic_write(stem.with_suffix(".csv")) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    draw(axes, rows)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    with atomic_write(stem.with_suffix(".png")) as temporary:
        figure.savefig(temporary, dpi=120, metadata={"Software": None})
    pyplot.close(figure)
    return stem.with_suffix(".png")


def draw_lines(axes, rows: list[dict], x: str, y: str, line: Callable[[str], str] = lambda series: "-") -> None:
    """One line a series, with a dot a row.

    Args:
        x, y: keys of the rows.
        line: series -> its line's style, "" for none.
    """
    for series in dict.fromkeys(row["series"] for row in rows):
        points = [row for row in rows if row["series"] == series]
        axes.plot([p[x] for p in points], [p[y] for p in points], marker="o", linestyle=line(series), label=series)
