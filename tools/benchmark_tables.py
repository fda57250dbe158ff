"""Inference benchmarks as Markdown tables."""

from __future__ import annotations

from tools.result_tables import markdown

BASELINE, PACKED, COMPILED, CALLED, FLOOR, ALONE = (
    "BERT, padded to the batch",
    "BERT, packed",
    "lr_mode, compiled",
    "lr_mode, called",
    "floor",
    "layers alone",
)
ALLOWED = (
    "How much of that the layers' own kernels allow: BERT's layers alone on as many tokens, with nothing that chooses "
    "or moves tokens."
)
BOUND = (
    "One example at a time: lr_mode against the larger of BERT's time / FLOPs speedup and the floor (BERT on two "
    "tokens, that is reading the weights)."
)


def inference_tables(result: dict) -> str:
    """Every point, the bound of single examples, and peak memory."""
    parts = [speed_table(result["points"])]
    if allowed := [point for point in result["points"] if ALONE in point["variants"]]:
        parts += [ALLOWED, allowed_table(allowed)]
    if single := [point for point in result["points"] if FLOOR in point["variants"]]:
        parts += [BOUND, bound_table(single)]
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
        plain, packed, reduced = runs[BASELINE], runs[PACKED], runs[COMPILED]
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
                f"{reduced['efficiency'] / packed['efficiency']:.2f}",
                *(f"{runs[name]['speedup'][0]:.2f}x" if name in runs else "" for name in others),
            )
        )
    return markdown(rows)


def allowed_table(points: list[dict]) -> str:
    """One row a point: efficiency of lr_mode, that of the layers alone, and the first over the second."""
    rows = [("batch", "length", "FLOPs", "efficiency", "of the layers alone", "lr_mode / layers alone")]
    for point in points:
        reduced, alone = point["variants"][COMPILED], point["variants"][ALONE]
        speeds = reduced["efficiency"], alone["efficiency"], reduced["efficiency"] / alone["efficiency"]
        flops = f"{reduced['flops_speedup']:.2f}x"
        rows.append((point["batch_size"], point["length"], flops, *(f"{speed:.2f}" for speed in speeds)))
    return markdown(rows)


def bound_table(points: list[dict]) -> str:
    """One row a point of a single example: lr_mode's time over the least that could be expected."""
    rows = [("length", "FLOPs", "BERT", "floor", "lr_mode", "lr_mode / bound", "called / compiled")]
    for point in points:
        plain, floor, compiled, called = (
            point["variants"][name]["p50"] for name in (BASELINE, FLOOR, COMPILED, CALLED)
        )
        flops = point["variants"][COMPILED]["flops_speedup"]
        rows.append(
            (
                point["length"],
                f"{flops:.2f}x",
                *(f"{1000 * seconds:.1f} ms" for seconds in (plain, floor, compiled)),
                f"{compiled / max(plain / flops, floor):.2f}",
                f"{called / compiled:.2f}",
            )
        )
    return markdown(rows)
