"""Figures of results as PNG, with their numbers as CSV beside them."""

from __future__ import annotations

import itertools
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import pandas
from matplotlib import pyplot

from tools.common.atomic_files import atomic_write
from tools.results.result_files import LAYOUT, by_section, run_label


def draw_figures(results: list[dict], output: Path) -> None:
    """Writes <task>_tradeoff, <task>_lengths and <task>_rationales of every task in the results."""
    for (section, task), group in by_section(results):
        for name, figure in LAYOUT["figures"].get(section, {}).items():
            write_figure(output / f"{task}_{name}", ROWS[name](group), **figure, metric=group[0].get("metric"))


def tradeoff_rows(summaries: list[dict]) -> list[dict]:
    """Validation score and FLOPs speedup of BERT, every epoch of every AdapLeR run, and every eta_scale."""
    rows = []
    for summary in summaries:
        points = [("BERT", "fine-tuned", summary["bert"]["validation"])]
        for run in summary["tried"]:
            series = run_label(run["settings"])
            epochs = enumerate(run["epochs"], start=1)
            points += [(series, f"epoch {number}", log["validation"]) for number, log in epochs]
        curve = (summary.get("eta_scales") or {}).get("curve", [])
        points += [("eta scale", f"{point['eta_scale']:g}", point) for point in curve]
        for series, point, values in points:
            row = {"series": f"{series}, {summary['backbone']}, seed {summary['seed']}", "point": point}
            rows.append({**row, "speedup": values["speedup"], "score": values[summary["metric"]]})
    return rows


def length_rows(summaries: list[dict]) -> list[dict]:
    """Mean tokens that each layer of the evaluated model ran on; layer 0 is the input."""
    rows = []
    for summary in summaries:
        series = f"{summary['backbone']}, seed {summary['seed']}"
        lengths = enumerate(summary["adapler"]["validation"]["mean_lengths"])
        rows += [{"series": series, "layer": layer, "tokens": tokens} for layer, tokens in lengths]
    return rows


def rationale_rows(results: list[dict]) -> list[dict]:
    """Agreement with the marked words, by method and layer; every method keeps as many words as AdapLeR."""
    rows = []
    for method, layers in itertools.chain.from_iterable(result["layers"].items() for result in results):
        rows += [{"series": method, "layer": layer, **means} for layer, means in enumerate(layers, start=1)]
    return rows


ROWS = {"tradeoff": tradeoff_rows, "lengths": length_rows, "rationales": rationale_rows}
"""Figure -> the numbers in it; `series` names the line that a row belongs to."""


def write_figure(stem: Path, rows: list[dict], x: str, y: str, labels: list[str], metric: str = "", **_) -> None:
    """Writes <stem>.csv and <stem>.png. Only curves over layers or eta_scale are joined by lines."""
    table = pandas.DataFrame(rows)
    with atomic_write(stem.with_suffix(".csv")) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\r\n")
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for series, points in table.groupby("series", sort=False):
        line = "-" if x == "layer" or series.startswith("eta scale") else ""
        axes.plot(points[x], points[y], marker="o", linestyle=line, label=series)
    axes.set(xlabel=labels[0], ylabel=labels[1].format(metric=metric))
    if x == "layer":
        axes.set(ylim=(0, None), xticks=table[x].unique())
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    with atomic_write(stem.with_suffix(".png")) as temporary:
        figure.savefig(temporary, dpi=120, metadata={"Software": None})
    pyplot.close(figure)
