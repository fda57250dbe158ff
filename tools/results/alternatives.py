"""AdapLeR beside what a user would pick instead: a table, and a figure of score against time."""

from __future__ import annotations

import pandas

from tools.common.markdown import markdown
from tools.results.result_files import LAYOUT

MARKERS = {
    "TensorFlow, float32": "o",
    "TensorFlow, bfloat16": "D",
    "ONNX Runtime, float32": "s",
    "ONNX Runtime, int8": "^",
}
"""Engine and precision -> marker."""

RING = {"color": "black", "marker": "o", "markersize": 12, "fillstyle": "none"}
FRONT = {"color": "0.6", "linewidth": 1}
ONE_POINT = {"color": "0.3", "linewidth": 1.5, "linestyle": ":"}

ENGINE = {"engine": "{engine}", "precision": "{precision}"}
POINT = {"method": "{method}", "setting": "{setting}"} | ENGINE
POINT |= {
    "FLOPs speedup": "{flops_speedup:.2f}x",
    "score": "{score:.4f}",
    "difference (95 %)": "{difference:+.4f} ({low:+.4f} to {high:+.4f})",
    "ms per text, batch 1: p50 / p99": "{batch_1[p50]:.2f} / {batch_1[p99]:.2f}",
    "batch 8": "{batch_8[p50]:.2f} / {batch_8[p99]:.2f}",
    "batch 32": "{batch_32[p50]:.2f} / {batch_32[p99]:.2f}",
    "texts/s, batch 32": "{throughput:.0f}",
    "peak memory (MB)": "{memory_mb:.0f}",
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


def frame(result: dict, batch: str = "32") -> pandas.DataFrame:
    """The points of a comparison, with columns for the table.

    These are batch_1, batch_8 and batch_32, the percentiles of milliseconds per text; `time`, p50 in batches of
    `batch`; `throughput`, texts per second in batches of 32; and `front`, "yes" or "".

    A point is on the Pareto front if no other is at least as fast and as good, and better in one of them.
    """
    points = pandas.DataFrame(result["points"])
    for size in ("1", "8", "32"):
        points[f"batch_{size}"] = [milliseconds[size] for milliseconds in points["milliseconds"]]
    points["time"] = [percentiles["p50"] for percentiles in points[f"batch_{batch}"]]
    points["throughput"] = [rates["32"] for rates in points["texts_per_second"]]
    ordered = points.sort_values(["time", "score"], ascending=[True, False])
    is_best = ordered["score"] > ordered["score"].cummax().shift(fill_value=-float("inf"))
    points["front"] = is_best.map({True: "yes", False: ""})
    return points


def figure(*comparisons: dict):
    """Test score against milliseconds per text in batches of 32, with the 95 % intervals of the differences.

    A panel a comparison. A ring marks AdapLeR as it was chosen, a dotted line what is one point below the fine-tuned
    model.

    Returns:
        a matplotlib Figure.
    """
    from matplotlib.figure import Figure  # takes a second, which the tables do not need
    from matplotlib.lines import Line2D

    rows, columns = -(-len(comparisons) // 2), min(2, len(comparisons))
    drawing = Figure(figsize=(3 + 5 * columns, 0.5 + 3.8 * rows), layout="constrained")
    panels = drawing.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(comparisons) :]:
        axes.axis("off")
    frames = [frame(result) for result in comparisons]
    for axes, points, result in zip(panels, frames, comparisons, strict=False):
        draw_points(axes, points)
        axes.set(title=f"{result['task']}, {result['backbone']}", ylabel=f"test {result['metric']}")
    points = pandas.concat(frames)
    methods = [method for method in LAYOUT["colours"] if method in set(points["method"])]
    handles = [Line2D([], [], color=LAYOUT["colours"][method], linewidth=4, label=method) for method in methods]
    kinds = [kind for kind in MARKERS if kind in set(points["engine"] + ", " + points["precision"])]
    handles += [Line2D([], [], color="0.3", marker=MARKERS[kind], linestyle="", label=kind) for kind in kinds]
    handles.append(Line2D([], [], **RING, linestyle="", label="AdapLeR as chosen"))
    handles.append(Line2D([], [], **FRONT, label="Pareto front"))
    handles.append(Line2D([], [], **ONE_POINT, label="one point lost"))
    drawing.legend(handles=handles, fontsize="small", loc="outside right upper")
    drawing.suptitle("Score against time per text")
    return drawing


def draw_points(axes, points: pandas.DataFrame) -> None:
    """The points of one comparison with their front, on a logarithmic axis of time."""
    from matplotlib.ticker import LogLocator, NullFormatter

    front = points[points["front"] == "yes"].sort_values("time")
    axes.step(front["time"], front["score"], where="post", zorder=1, **FRONT)
    for point in points.itertuples():
        errors = [[max(point.difference - point.low, 0)], [max(point.high - point.difference, 0)]]
        style = {"color": LAYOUT["colours"][point.method], "marker": MARKERS[f"{point.engine}, {point.precision}"]}
        axes.errorbar(point.time, point.score, yerr=errors, elinewidth=0.7, capsize=2, alpha=0.9, **style)
        if point.setting and point.precision == "int8":
            offset, side = ((-5, 4), "right") if point.method == "AdapLeR" else ((5, -9), "left")
            place = {"textcoords": "offset points", "horizontalalignment": side, "fontsize": 7}
            axes.annotate(point.setting, (point.time, point.score), offset, **place)
        if point.method == "AdapLeR" and not point.setting:
            axes.plot(point.time, point.score, **RING)
    axes.axhline((points["score"] - points["difference"]).median() - LAYOUT["task_goals"]["loss"] / 100, **ONE_POINT)
    axes.margins(x=0.22)  # room for the labels
    axes.set(xscale="log", xlabel="milliseconds per text, batches of 32")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
