"""AdapLeR beside what a user would pick instead: a table, and a figure of score against time."""

from __future__ import annotations

import pandas

from tools.common.markdown import markdown
from tools.results.result_files import LAYOUT

SIZES = ("1", "8", "32")
"""Batch sizes that were timed."""
BATCHES = {"1": "one text at a time", "32": "batches of 32"}
"""Batch size -> its title in the figure."""
DRAWN = {"TensorFlow, float32": "o", "ONNX Runtime, int8": "^"}
"""Engine and precision of the points in the figure -> marker."""

RING = {"color": "black", "marker": "o", "markersize": 12, "fillstyle": "none"}
FRONT = {"color": "0.6", "linewidth": 1}
ONE_POINT = {"color": "0.3", "linewidth": 1.5, "linestyle": ":"}
NUMBERS = {"AdapLeR": " (eta_scale)", "first layers": " (how many)", "first tokens": " (how many)"}
"""Method -> what the numbers beside its points are."""
DEEPEST = 7
"""Points below plain BERT at which a panel of the figure ends."""

ENGINE = {"engine": "{engine}", "precision": "{precision}"}
POINT = {"method": "{method}", "setting": "{setting}"} | ENGINE
POINT |= {
    "FLOPs speedup": "{flops_speedup:.2f}x",
    "score": "{score:.4f}",
    "difference (95 %)": "{difference:+.4f} ({low:+.4f} to {high:+.4f})",
    "ms per text, batch 1: p50 / p99": "{batch_1[p50]:.2f} / {batch_1[p99]:.2f}",
    "batch 8": "{batch_8[p50]:.2f} / {batch_8[p99]:.2f}",
    "batch 32": "{batch_32[p50]:.2f} / {batch_32[p99]:.2f}",
    "all texts, batch 1, 8, 32": "{over_all[1]:.2f}, {over_all[8]:.2f}, {over_all[32]:.2f}",
    "peak memory (MiB)": "{memory_mb:.0f}",
    "start (s)": "{startup_seconds:.1f}",
    "file (MB)": "{file_mb:.1f}",
    "Pareto front": "{front}",
}
DIAL = {
    "eta_scale": "{eta_scale:g}",
    "FLOPs speedup": "{flops_speedup:.2f}x",
    "validation score": "{score:.4f}",
    "ms per text": "{milliseconds:.2f}",
}
FIXED = (
    {"tokens": "{tokens}", "batch": "{batch}", "method": "{method}"} | ENGINE | {"ms per text": "{milliseconds:.2f}"}
)
AGREEMENT = (
    "On validation, ONNX Runtime in float32 gives the labels of TensorFlow's lr_mode on {float32[labels]:.2%} of the "
    "examples and all of its lengths on {float32[lengths]:.2%}; the largest difference of a logit is "
    "{float32[largest_logit_difference]:.1e}. int8 gives the same label on {int8[labels]:.2%}; its score differs from "
    "that of float32 by {int8[difference]:+.4f} (95 %: {int8[low]:+.4f} to {int8[high]:+.4f})."
)


def tables(result: dict) -> str:
    """All numbers of a comparison as Markdown."""
    parts = [table(result), AGREEMENT.format(**result["agreement"])]
    parts += ["The dial in int8, in batches of 32 validation texts:", markdown(result["dial"], DIAL)]
    parts += ["Batches without padding:", markdown(result["fixed_lengths"], FIXED)]
    return "\n\n".join(parts)


def table(result: dict) -> str:
    """The compared models as Markdown, in their order."""
    return markdown(frame(result).to_dict("records"), POINT)


def timed_texts(count: int, size: str) -> int:
    """How many texts are timed in batches of a size: all `count` in the largest, a quarter of them in smaller ones."""
    return count if size == SIZES[-1] else max(count // 4, 1)


def milliseconds(point: dict, batch: str) -> float:
    """Milliseconds per text in batches of `batch`: the median of the rounds, each over all texts."""
    return 1000 / point["texts_per_second"][batch]


def frame(result: dict, batch: str = "32") -> pandas.DataFrame:
    """The points of a comparison, with columns for the table.

    These are batch_1, batch_8 and batch_32, the percentiles of milliseconds per text; `time`, the `milliseconds` in
    batches of `batch`, and `over_all`, those of all batch sizes; and `front`, "yes" or "".

    A point is on the Pareto front if no other is at least as fast and as good, and better in one of them.
    """
    points = pandas.DataFrame(result["points"])
    for size in SIZES:
        points[f"batch_{size}"] = [percentiles[size] for percentiles in points["milliseconds"]]
    points["time"] = [milliseconds(point, batch) for point in result["points"]]
    points["over_all"] = [{size: milliseconds(point, size) for size in SIZES} for point in result["points"]]
    ordered = points.sort_values(["time", "score"], ascending=[True, False])
    is_best = ordered["score"] > ordered["score"].cummax().shift(fill_value=-float("inf"))
    points["front"] = is_best.map({True: "yes", False: ""})
    return points


def figure_rows(comparisons: list[dict]) -> pandas.DataFrame:
    """The figure's numbers: scores on test in points, and times, of each comparison and batch size.

    The Pareto front is that of these points.
    """
    names = ["method", "setting", "engine", "precision", "time", "score", "difference", "low", "high", "front"]
    tables = []
    for result in comparisons:
        kinds = [f"{point['engine']}, {point['precision']}" for point in result["points"]]
        points = [point for point, kind in zip(result["points"], kinds, strict=True) if kind in DRAWN]
        for batch in BATCHES:
            table = frame(result | {"points": points}, batch)[names]
            table[["score", "difference", "low", "high"]] *= 100
            subject = f"{result['task']}, {result['backbone']}, seed {result['seed']}"
            tables.append(table.assign(subject=subject, metric=result["metric"], batch=batch))
    return pandas.concat(tables) if tables else pandas.DataFrame()


def figure(table: pandas.DataFrame):
    """Score on test against milliseconds per text: a row of panels a comparison, a panel a batch size.

    A line joins the settings of a method, and each has its number beside it. A ring marks AdapLeR as it was chosen, a
    dotted line what is one point below the fine-tuned model. Bars are 95 % intervals of the differences from it.

    Args:
        table: of `figure_rows`.

    Returns:
        a matplotlib Figure.
    """
    from matplotlib.figure import Figure  # takes a second, which the tables do not need
    from matplotlib.lines import Line2D

    subjects = table["subject"].unique()
    drawing = Figure(figsize=(10.5, 1.5 + 2.4 * len(subjects)), layout="constrained")
    panels = drawing.subplots(len(subjects), len(BATCHES), squeeze=False, sharey="row")
    for row, subject in zip(panels, subjects, strict=True):
        for axes, (batch, title) in zip(row, BATCHES.items(), strict=True):
            points = table[(table["subject"] == subject) & (table["batch"] == batch)]
            draw_points(axes, points)
            axes.set_title(f"{subject}: {title}", fontsize="medium")
        row[0].set_ylabel(f"{points['metric'].iloc[0]} on test, points")
    methods = [method for method in LAYOUT["colours"] if method in set(table["method"])]
    handles = [
        Line2D([], [], color=LAYOUT["colours"][method], linewidth=4, label=f"{method}{NUMBERS.get(method, '')}")
        for method in methods
    ]
    handles += [Line2D([], [], color="0.3", marker=DRAWN[kind], linestyle="", label=kind) for kind in DRAWN]
    handles.append(Line2D([], [], **RING, linestyle="", label="AdapLeR as chosen"))
    handles.append(Line2D([], [], **FRONT, label="Pareto front"))
    handles.append(Line2D([], [], **ONE_POINT, label="one point lost"))
    drawing.legend(handles=handles, fontsize="small", loc="outside lower center", ncols=5)
    drawing.suptitle(
        "Score on test against time per text\n(bars: 95 % interval of the difference from BERT; "
        f"models that lose more than {DEEPEST} points are below the panels)"
    )
    return drawing


def draw_points(axes, points: pandas.DataFrame) -> None:
    """The points of one comparison and batch size with their front, on a logarithmic axis of time."""
    from matplotlib.ticker import LogLocator, NullFormatter

    front = points[points["front"] == "yes"].sort_values("time")
    axes.step(front["time"], front["score"], where="post", zorder=1, **FRONT)
    for (method, engine, precision), group in points.groupby(["method", "engine", "precision"], sort=False):
        style = {"color": LAYOUT["colours"][method], "marker": DRAWN[f"{engine}, {precision}"]}
        errors = (group["difference"] - group["low"]).clip(0), (group["high"] - group["difference"]).clip(0)
        axes.errorbar(group["time"], group["score"], errors, linestyle="", elinewidth=0.7, capsize=2, **style)
        ordered = group.sort_values("time")
        axes.plot(ordered["time"], ordered["score"], color=style["color"], linewidth=0.8, alpha=0.5)
        for point in group.itertuples():
            number = "".join(character for character in point.setting if character in "0123456789.")
            place = {"textcoords": "offset points", "horizontalalignment": "left", "fontsize": 8, "clip_on": True}
            axes.annotate(number, (point.time, point.score), (4, 3), color=style["color"], **place)
            if method == "AdapLeR" and not point.setting:
                axes.plot(point.time, point.score, **RING)
    fine_tuned = (points["score"] - points["difference"]).median()
    axes.axhline(fine_tuned - LAYOUT["task_goals"]["loss"], **ONE_POINT)
    lowest, highest = (points["score"] - points["difference"] + points[end] for end in ("low", "high"))
    axes.set_ylim(max(lowest.min(), fine_tuned - DEEPEST) - 0.5, highest.max() + 0.5)
    axes.margins(x=0.1)
    axes.set(xscale="log", xlabel="milliseconds per text")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
