"""Inference benchmarks as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable

from tools.common.markdown import markdown

BASELINE, PACKED, COMPILED, CALLED, OP_BY_OP, EXPORTED, FLOOR, ALONE = (
    "BERT, padded to the batch",
    "BERT, packed",
    "lr_mode, compiled",
    "lr_mode, called",
    "lr_mode, op by op",
    "SavedModel",
    "floor",
    "layers alone",
)
ALLOWED = (
    "How much of that the layers' own kernels allow: BERT's layers alone on as many tokens, with nothing that chooses "
    "or moves tokens. The last column: the op that takes most of lr_mode's time, by TensorFlow's profiler."
)
PRODUCTS = (
    "What the largest op costs by its rows: a feed-forward kernel of each layer of BERT-base, one after the other. The "
    "time of few rows is that of reading the kernels, so fewer tokens save less than their FLOPs."
)
GOALS = "What was aimed at, over the points above:"
BOUND = (
    "One example at a time: lr_mode against the larger of BERT's time / FLOPs speedup and the floor (BERT on two "
    "tokens, that is reading the weights)."
)


def inference_tables(result: dict) -> str:
    """Every point, what the kernels allow, the bound of single examples, the goals, and peak memory."""
    parts = [speed_table(result["points"])]
    if allowed := [point for point in result["points"] if ALONE in point["variants"]]:
        parts += [ALLOWED, allowed_table(allowed)]
    if products := result.get("products"):
        parts += [PRODUCTS, products_table(products)]
    if single := [point for point in result["points"] if FLOOR in point["variants"]]:
        parts += [BOUND, bound_table(single), GOALS, goals_table(result["points"])]
    if memory := result.get("peak_memory"):
        title = f"peak memory, {memory['batch_size']} x {memory['length']} tokens"
        parts.append(markdown([(title, ""), *((n, f"{mb:.0f} MB") for n, mb in memory["megabytes"].items())]))
    return "\n\n".join(parts)


def speed_table(points: list[dict]) -> str:
    """One row a point: latencies, speedups over BERT padded to the batch, and efficiencies."""
    others = [PACKED, CALLED]
    others += sorted(
        {name for point in points for name in point["variants"]} - {BASELINE, COMPILED, FLOOR, ALONE, *others}
    )
    head = ("batch", "length", "BERT p50 / p95", "lr_mode p50 / p95", "examples/s", "FLOPs", "measured", "efficiency")
    rows = [(*head, "over packed", *others)]
    for point in points:
        runs = point["variants"]
        plain, reduced = runs[BASELINE], runs[COMPILED]
        median, low, high = reduced["speedup"]
        rows.append(
            (
                point["batch_size"],
                point["length"],
                *(f"{1000 * run['p50']:.1f} / {1000 * run['p95']:.1f} ms" for run in (plain, reduced)),
                f"{reduced['examples_per_second']:.1f}",
                f"{reduced['flops_speedup']:.2f}x",
                f"{median:.2f}x ({low:.2f}-{high:.2f})",
                f"{reduced['efficiency']:.2f}",
                f"{_over_packed(point):.2f}",
                *(f"{runs[name]['speedup'][0]:.2f}x" if name in runs else "" for name in others),
            )
        )
    return markdown(rows)


def allowed_table(points: list[dict]) -> str:
    """One row a point: efficiency of lr_mode, that of the layers alone, and the first over the second."""
    head = ("batch", "length", "FLOPs", "efficiency", "of the layers alone", "lr_mode / layers alone", "largest op")
    rows = [head]
    for point in points:
        reduced, alone = point["variants"][COMPILED], point["variants"][ALONE]
        speeds = reduced["efficiency"], alone["efficiency"], reduced["efficiency"] / alone["efficiency"]
        flops = f"{reduced['flops_speedup']:.2f}x"
        op, share = next(iter(point["ops"].items()))
        cells = *(f"{speed:.2f}" for speed in speeds), f"{op}, {share:.0%}"
        rows.append((point["batch_size"], point["length"], flops, *cells))
    return markdown(rows)


def products_table(products: dict) -> str:
    """Milliseconds by rows, and against the FLOPs' share of the largest number of rows."""
    *_, (most, slowest) = products.items()
    rows = [("rows", "time", "speedup over the last", "FLOPs")]
    for count, seconds in products.items():
        rows.append((count, f"{1000 * seconds:.1f} ms", f"{slowest / seconds:.1f}x", f"{int(most) / int(count):.1f}x"))
    return markdown(rows)


def goals_table(points: list[dict]) -> str:
    """How many of the points reach each goal, and the one that is farthest from it."""
    single = [point for point in points if FLOOR in point["variants"]]
    batches = [point for point in points if point["batch_size"] > 1 and point["forced_speedup"] > 1]
    whole = [point for point in single if point["forced_speedup"] == 1]
    goals: list[tuple[str, list[dict], Callable, float, int]] = [
        ("batches that drop: efficiency at least", batches, lambda p: p["variants"][COMPILED]["efficiency"], 0.9, 1),
        ("batches that drop: efficiency over packed BERT at least", batches, _over_packed, 0.85, 1),
        ("one example: lr_mode / bound at most", single, over_bound, 1.3, -1),
        ("one example, nothing dropped: lr_mode / BERT at most", whole, _of_bert, 1.05, -1),
        ("called / compiled at most", points, called_over_compiled, 1.3, -1),
    ]
    rows = [("goal", "reached", "worst")]
    for name, chosen, value, goal, sign in goals:
        values = [value(point) for point in chosen]
        worst = min(values) if sign > 0 else max(values)
        reached = sum(sign * found >= sign * goal for found in values)
        rows.append((f"{name} {goal:g}", f"{reached} of {len(values)}", f"{worst:.2f}"))
    return markdown(rows)


def over_bound(point: dict) -> float:
    """lr_mode's time over the larger of BERT's time / FLOPs speedup and the floor."""
    plain, floor, compiled = (point["variants"][name]["p50"] for name in (BASELINE, FLOOR, COMPILED))
    return compiled / max(plain / _flops(point), floor)


def called_over_compiled(point: dict) -> float:
    return point["variants"][CALLED]["p50"] / point["variants"][COMPILED]["p50"]


def _of_bert(point: dict) -> float:
    return point["variants"][COMPILED]["p50"] / point["variants"][BASELINE]["p50"]


def _over_packed(point: dict) -> float:
    return point["variants"][COMPILED]["efficiency"] / point["variants"][PACKED]["efficiency"]


def _flops(point: dict) -> float:
    return point["variants"][COMPILED]["flops_speedup"]


def bound_table(points: list[dict]) -> str:
    """One row a point of a single example: lr_mode's time over the least that could be expected."""
    rows = [("length", "FLOPs", "BERT", "floor", "lr_mode", "lr_mode / bound", "called / compiled")]
    for point in points:
        times = (point["variants"][name]["p50"] for name in (BASELINE, FLOOR, COMPILED))
        rows.append(
            (
                point["length"],
                f"{_flops(point):.2f}x",
                *(f"{1000 * seconds:.1f} ms" for seconds in times),
                f"{over_bound(point):.2f}",
                f"{called_over_compiled(point):.2f}",
            )
        )
    return markdown(rows)
