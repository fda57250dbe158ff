"""Figures of results as PNG, with their numbers as CSV beside them."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import pandas
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from tools.common.atomic_files import atomic_write
from tools.results import alternatives
from tools.results.alternatives import ONE_POINT
from tools.results.rationales import agreement_records
from tools.results.result_files import LAYOUT, Results, aim, by_backbone, is_other_target, tradeoff_name
from tools.results.verdict import task_records

COLOURS = LAYOUT["colours"]
MARKERS = "osD^v<>"
LOSS = LAYOUT["task_goals"]["loss"]


def draw_figures(results: Results, output: Path) -> list[str]:
    """Writes the figures that the results have numbers for; returns their names."""
    drawn = {name: (rows_of(results), draw) for name, (rows_of, draw) in FIGURES.items()}
    comparisons = results.of("alternatives")
    drawn["overview"] = alternatives.figure_rows(comparisons), alternatives.figure
    for result in comparisons:
        name = f"{result['task']}_{result['backbone']}_alternatives"
        drawn[name] = alternatives.figure_rows([result]), alternatives.figure
    for key, runs in by_backbone(results.runs).items():
        drawn[tradeoff_name(*key)] = tradeoff_rows(runs), draw_tradeoff
    drawn = {name: (pandas.DataFrame(rows), draw) for name, (rows, draw) in drawn.items() if len(rows)}
    for name, (table, draw) in drawn.items():
        write_figure(output / name, table, draw)
    return sorted(drawn)


def cost_rows(results: Results) -> list[dict]:
    """Difference on test of each task, and its FLOPs speedup."""
    rows = []
    for record in task_records(results):
        interval = {"mean": record["difference"], "low": record["low"], "high": record["high"]}
        rows.append({"label": f"{record['name']}, {record['speedup']:.1f}x", "method": "AdapLeR", **interval})
    return rows


def draw_cost(table: pandas.DataFrame) -> Figure:
    figure, axes = pyplot.subplots(figsize=(7, 1.4 + 0.4 * len(table)), layout="constrained")
    draw_intervals(axes, table)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.axvline(-LOSS, **ONE_POINT, label="one point lost")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.suptitle(LAYOUT["parts"]["titles"]["cost"])
    axes.set(xlabel="difference in points, 95 % interval")
    return figure


def draw_intervals(axes: pyplot.Axes, table: pandas.DataFrame) -> None:
    """A line of points with intervals, the first row on top."""
    for row in table.iloc[::-1].itertuples():
        errors = [[row.mean - row.low], [row.high - row.mean]]
        axes.errorbar(row.mean, row.label, xerr=errors, fmt="o", color=COLOURS[row.method], capsize=3)


def rationale_rows(results: Results) -> list[dict]:
    """Excess of each method's false positive rate over AdapLeR's, mean over seeds with its interval."""
    records = [record for record in agreement_records(results) if "over" in record]
    return [{**r["over"], "task": r["task"], "label": r["method"], "method": r["method"]} for r in records]


def draw_rationales(table: pandas.DataFrame) -> Figure:
    tasks = table["task"].unique()
    figure, panels = pyplot.subplots(
        1, len(tasks), figsize=(2.5 + 3.5 * len(tasks), 3.2), squeeze=False, sharey=True, layout="constrained"
    )
    for axes, task in zip(panels[0], tasks, strict=True):
        draw_intervals(axes, table[table["task"] == task])
        axes.axvline(0, color=COLOURS["AdapLeR"], label="AdapLeR")
        axes.legend(fontsize="small")
        axes.set(title=task, xlabel="false positive rate minus AdapLeR's, 95 %")
    figure.suptitle("Unmarked words kept beyond AdapLeR's, at equal numbers of words")
    return figure


def tradeoff_rows(runs: list[dict]) -> list[dict]:
    """Each epoch and the chosen points on validation: FLOPs speedup, score and difference from the fine-tuned model.

    Chosen are a run's model and those of the same recipe at other targets. Scores and differences are in points; the
    fine-tuned model is that of the same seed.
    """
    rows = []
    for run in runs:
        metric, chosen = run["metric"], run["splits"]["validation"]
        points = [("fine-tuned", 1.0, chosen["fine_tuned"], {})]
        for tried in run["tried"]:
            epochs = [log["validation"] for log in tried["epochs"]]
            points += [(f"epochs, {aim(tried['settings'])}", log["speedup"], log[metric], {}) for log in epochs]
        recipe = run["settings"]["train_adapler"]
        curve = [t["trimmed"] for t in run["tried"] if "trimmed" in t and is_other_target(t["settings"], recipe)]
        points += [(f"chosen, seed {run['seed']}", p["speedup"], p["score"], p) for p in (chosen, *curve)]
        for series, speedup, score, interval in points:
            ends = {end: 100 * interval[end] for end in ("low", "high") if interval}
            values = {"task": run["task"], "metric": metric, "seed": run["seed"], "series": series}
            scores = {"score": 100 * score, "difference": 100 * (score - chosen["fine_tuned"])}
            rows.append({**values, "speedup": speedup, **scores, **ends})
    return rows


def draw_tradeoff(table: pandas.DataFrame) -> Figure:
    """Differences from the fine-tuned model of the same seed; bars of chosen points stand beside each other."""
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    seeds, named = table["seed"].unique().tolist(), set()
    for (seed, series), points in table.groupby(["seed", "series"], sort=False):
        number, is_first = seeds.index(seed), seed == seeds[0]
        values = {"marker": MARKERS[number % len(MARKERS)], "linestyle": ""}
        values |= {"color": COLOURS["BERT" if series == "fine-tuned" else "AdapLeR"]}
        if series.startswith("chosen"):
            errors = (points["difference"] - points["low"], points["high"] - points["difference"])
            aside = ScaledTranslation((number - (len(seeds) - 1) / 2) / 7, 0, figure.dpi_scale_trans)  # inches
            values |= {"label": series, "transform": axes.transData + aside}
            axes.errorbar(points["speedup"], points["difference"], errors, markersize=9, capsize=4, **values)
        elif is_first or series != "fine-tuned":
            alpha, name = (1, series) if series == "fine-tuned" else (0.4, "epochs of all settings")
            values |= {"label": None if name in named else name}
            named.add(name)
            axes.plot(points["speedup"], points["difference"], alpha=alpha, **values)
    axes.axhline(-LOSS, **ONE_POINT, label="one point lost")
    values = table[["difference", "low", "high"]]
    axes.set_ylim(values.min(axis=None) - 0.5, values.max(axis=None) + 0.5)
    task, metric = table["task"].iloc[0], table["metric"].iloc[0]
    axes.set(title=f"{task}: score on validation against speed", xlabel="FLOPs speedup")
    axes.set(ylabel=f"{metric} minus the fine-tuned model's, points, 95 %")
    axes.legend(fontsize="small")
    return figure


def review_rows(results: Results) -> list[dict]:
    """The first review of the first comparison of reviews: one row a word, with the layers that it passed."""
    rows = []
    for result in results.of("reviews")[:1]:
        review = result["reviews"][0]
        answer = f"written as {review['expected']}, answered {review['label']} ({review['score']:.2f})"
        values = {"answer": answer, "layers": len(review["lengths"]) - 1}
        values |= {"model": f"{result['task']}, {result['backbone']}", "speedup": review["speedup"]}
        rows += [{**values, "word": word["word"], "passed": sum(word["alive"])} for word in review["words"]]
    return rows


def draw_review(table: pandas.DataFrame, columns: int = 96) -> Figure:
    """The review once a layer, in lines of equally wide letters; words that were dropped are pale."""
    first, line, column, places = table.iloc[0], 0, 0, []
    for word in table["word"]:
        if column + len(word) > columns:
            line, column = line + 1, 0
        places.append((line, column))
        column += len(word) + 1
    block, layers = line + 2.8, int(first["layers"])
    figure = pyplot.figure(figsize=(7.3, 0.17 * (block * (layers + 1) + 2)))
    axes = figure.add_axes([0.02, 0.01, 0.96, 0.98])
    axes.set(xlim=(0, columns), ylim=(block * (layers + 1) + 1.6, 0))
    axes.axis("off")
    model, answer = f"AdapLeR ({first['model']})", f"{first['answer']}, {first['speedup']:.1f}x fewer FLOPs"
    title = f"A review through {model}: {answer}"
    axes.text(0, 0.8, title, weight="bold", fontsize=9)
    for layer in range(layers + 1):
        is_left, top = table["passed"] >= layer, 2.6 + layer * block
        name = f"after layer {layer}'s removal" if layer else "input"
        heading = f"{name}: {is_left.sum()} of {len(table)} words"
        axes.text(0, top, heading, color=COLOURS["AdapLeR"], weight="bold", fontsize=9)
        for word, (line, column), stays in zip(table["word"], places, is_left, strict=True):
            colour = "black" if stays else "#d0d0d0"
            axes.text(column, top + 1.1 + line, word, color=colour, family="monospace", fontsize=8.5)
    return figure


FIGURES = {
    "cost": (cost_rows, draw_cost),
    "rationales": (rationale_rows, draw_rationales),
    "review": (review_rows, draw_review),
}
"""Figure -> its numbers of all results, and the function that draws them."""


def write_figure(stem: Path, table: pandas.DataFrame, draw) -> None:
    """Writes <stem>.csv and <stem>.png."""
    with atomic_write(stem.with_suffix(".csv")) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\r\n")
    figure = draw(table)
    with atomic_write(stem.with_suffix(".png")) as temporary:
        figure.savefig(temporary, dpi=120, metadata={"Software": None})
    pyplot.close(figure)
