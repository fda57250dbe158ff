"""Inference benchmarks as Markdown tables."""

from __future__ import annotations

import pandas

from tools.common.markdown import markdown
from tools.results.result_files import LAYOUT

BASELINE, PACKED, COMPILED, CALLED, OP_BY_OP, EXPORTED, FLOOR, ALONE = (
    *("BERT, padded to the batch", "BERT, packed", "lr_mode, compiled", "lr_mode, called", "lr_mode, op by op"),
    *("SavedModel", "floor", "layers alone"),
)


def inference_tables(result: dict) -> str:
    """Speed at every point, other variants and limits, products by rows, goals, and peak memory."""
    columns, points, names = LAYOUT["columns"], [], set()
    for point in result["points"]:
        latency = {}
        for name, variant in point["variants"].items():
            latency[name] = f"{1000 * variant['p50']:.1f} / {1000 * variant['p95']:.1f}"
        points.append({**point, **ratios(point), "latency": latency})
        names |= point["variants"].keys() - {BASELINE, COMPILED, FLOOR, ALONE}
    speedups = {name: f"{{variants[{name}][speedup][0]:.2f}}x" for name in sorted(names)}
    parts = [markdown(points, columns["point"] | columns["speeds"]), LAYOUT["limits"].strip()]
    parts.append(markdown(points, columns["point"] | speedups | columns["limits"]))
    if products := result.get("products"):
        parts += [LAYOUT["products"].strip(), products_table(products)]
    if any(FLOOR in point["variants"] for point in points):
        parts += ["Goals, over all points above:", goals_table(points)]
    if memory := result.get("peak_memory"):
        title = f"peak memory, {memory['batch_size']} x {memory['length']} tokens"
        parts.append(markdown([{title: name, "MB": f"{size:.0f}"} for name, size in memory["megabytes"].items()]))
    return "\n\n".join(parts)


def ratios(point: dict) -> dict:
    """Efficiency and time of lr_mode at a point over those of the other variants, and the op that takes most time.

    `time_over_bound` is over the larger of BERT's time / FLOPs speedup and the floor.
    """
    variants, lr_mode = point["variants"], point["variants"][COMPILED]
    values = {"lr_mode": lr_mode, "efficiency": lr_mode["efficiency"]}
    values["efficiency_over_packed"] = lr_mode["efficiency"] / variants[PACKED]["efficiency"]
    values["time_over_bert"] = lr_mode["p50"] / variants[BASELINE]["p50"]
    values["called_over_compiled"] = variants[CALLED]["p50"] / lr_mode["p50"]
    if ALONE in variants and "ops" in point:
        values["op"], values["share"] = next(iter(point["ops"].items()))
        values["efficiency_over_layers"] = lr_mode["efficiency"] / variants[ALONE]["efficiency"]
    if FLOOR in variants:
        bound = max(variants[BASELINE]["p50"] / lr_mode["flops_speedup"], variants[FLOOR]["p50"])
        values["time_over_bound"] = lr_mode["p50"] / bound
    return values


def products_table(products: dict) -> str:
    """Time by number of rows, and the speedups over the largest number."""
    table = pandas.DataFrame({"rows": map(int, products), "seconds": products.values()})
    table["milliseconds"], table["speedup"] = 1000 * table["seconds"], table["seconds"].iloc[-1] / table["seconds"]
    table["flops_speedup"] = table["rows"].iloc[-1] / table["rows"]
    return markdown(table.to_dict("records"), LAYOUT["columns"]["products"])


def goals_table(points: list[dict]) -> str:
    """How many points reach each goal, and the worst value."""
    rows, table = [], pandas.DataFrame([{**point, **ratios(point)} for point in points])
    for goal in LAYOUT["goals"]:
        values = table.query(goal["query"])[goal["value"]].dropna()
        if goal["title"].endswith("at least"):
            reached, worst = values >= goal["goal"], values.min()
        else:
            reached, worst = values <= goal["goal"], values.max()
        cells = {"reached": f"{reached.sum()} of {len(values)}", "worst": f"{worst:.2f}"}
        rows.append({"goal": f"{goal['title']} {goal['goal']:g}", **cells})
    return markdown(rows)
