"""The inference benchmark of BERT-base's size as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable

from tools.common.markdown import markdown

PLAIN, LR_MODE = "TensorFlow, plain", "TensorFlow, lr_mode"
PADDED, PACKED, DROPPING = (
    {precision: f"ONNX Runtime, {form}, {precision}" for precision in ("float32", "int8")}
    for form in ("plain", "packed", "dropping")
)

POINT = {
    "batch": "{batch_size}",
    "tokens": "{length}",
    "FLOPs speedup": "{int8[flops_speedup]:.2f}x",
}
RATIOS = {
    "int8 dropping over int8 plain": "{over_int8:.2f}x",
    "/ FLOPs speedup": "{efficiency_over_int8:.2f}",
    "over TensorFlow, plain": "{over_tensorflow:.2f}x",
    "/ FLOPs speedup ": "{efficiency_over_tensorflow:.2f}",
    "time over packed, float32": "{float32_over_packed:.2f}",
    "int8": "{int8_over_packed:.2f}",
}


def ratios(point: dict) -> dict:
    """Speedups of lr_mode in int8 at a point, these divided by its FLOPs speedup, and its time over packed BERT's."""
    milliseconds = {name: values["milliseconds"] for name, values in point["variants"].items()}
    int8 = point["variants"][DROPPING["int8"]]
    over_int8, over_tensorflow = (milliseconds[name] / int8["milliseconds"] for name in (PADDED["int8"], PLAIN))
    return {
        "int8": int8,
        "over_int8": over_int8,
        "efficiency_over_int8": over_int8 / int8["flops_speedup"],
        "over_tensorflow": over_tensorflow,
        "efficiency_over_tensorflow": over_tensorflow / int8["flops_speedup"],
        **{f"{name}_over_packed": milliseconds[DROPPING[name]] / milliseconds[PACKED[name]] for name in DROPPING},
    }


def is_batch_that_drops(point: dict) -> bool:
    return point["batch_size"] * point["length"] >= 2000 and point["forced_speedup"] >= 3


def is_short_text(point: dict) -> bool:
    return (point["batch_size"], point["length"], point["forced_speedup"]) == (1, 64, 5)


def drops_nothing(point: dict) -> bool:
    return point["forced_speedup"] == 1


GOALS: list[tuple[str, Callable[[dict], bool], str, float]] = [
    ("batches that drop tokens: speedup over int8 plain / FLOPs", is_batch_that_drops, "efficiency_over_int8", 0.8),
    ("the same over TensorFlow, plain", is_batch_that_drops, "efficiency_over_tensorflow", 1.3),
    ("one text of 64 tokens at 5x: speedup over int8 plain", is_short_text, "over_int8", 2.3),
    ("nothing dropped, float32: time over packed without predictors", drops_nothing, "float32_over_packed", -1.08),
    ("nothing dropped, int8: time over packed without predictors", drops_nothing, "int8_over_packed", -1.08),
]
"""What is measured, at which points, its name in `ratios`, and the least value, or with a minus the largest."""


def missed(point: dict) -> list[str]:
    """The goals that a point misses."""
    values = ratios(point)
    return [title for title, applies, name, goal in GOALS if applies(point) and not _reached(values[name], goal)]


def _reached(value: float, goal: float) -> bool:
    return value >= goal if goal > 0 else value <= -goal


def goals_table(points: list[dict]) -> str:
    """How many points reach each goal, and the worst value."""
    rows = []
    for title, applies, name, goal in GOALS:
        values = [ratios(point)[name] for point in points if applies(point)]
        reached = sum(_reached(value, goal) for value in values)
        bound, worst = ("at least", min) if goal > 0 else ("at most", max)
        cells = {"reached": f"{reached} of {len(values)}", "worst": f"{worst(values):.2f}" if values else ""}
        rows.append({"goal": f"{title}, {bound} {abs(goal):g}", **cells})
    return markdown(rows)


def inference_tables(result: dict) -> str:
    """Milliseconds of every form at every point, ratios, goals, and profiles of the points that miss one."""
    points = [point | ratios(point) for point in result["points"]]
    names = {name: f"{{variants[{name}][milliseconds]:.1f}}" for name in points[0]["variants"]}
    parts = ["Milliseconds a batch:", markdown(points, POINT | names)]
    parts += ["Ratios:", markdown(points, POINT | RATIOS), "Goals:", goals_table(points)]
    profiles = [{**point, "shares": _largest(point["profile"])} for point in points if "profile" in point]
    if profiles:
        parts += ["Operators of lr_mode in int8 where a goal is missed, with their shares of the time:"]
        parts.append(markdown(profiles, POINT | {"operators": "{shares}"}))
    return "\n\n".join(parts)


def _largest(profile: dict[str, float], count: int = 6) -> str:
    return ", ".join(f"{operator} {share:.0%}" for operator, share in list(profile.items())[:count])
