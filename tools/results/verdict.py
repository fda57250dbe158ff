"""Sentences about what is gained, what it costs and what was not measured, computed from the result files."""

from __future__ import annotations

from tools.results.alternatives import frame
from tools.results.benchmark_tables import DROPPING, LR_MODE, PADDED, PLAIN
from tools.results.result_files import LAYOUT, PAPER, Results
from tools.results.seed_means import seed_records

TEXTS = LAYOUT["verdict"]
GENERATED = "demo"
"""The generated task has a page, but no line beside tasks of real texts."""
ENGINES = {"TensorFlow": "float32", "ONNX Runtime": "int8"}
ONE, BATCH = "1", "32"
FORMS = {"TensorFlow": (PLAIN, LR_MODE), "ONNX int8": (PADDED["int8"], DROPPING["int8"])}
"""Engine -> the plain and the dropping form of the inference benchmark."""
HARDLY_FASTER = 1.1


def task_records(results: Results) -> list[dict]:
    """The means over seeds of each real task, with the times of its chosen point if they were measured."""
    runs = [run for run in results.runs if run["task"] != GENERATED]
    records = seed_records(runs) if runs else []
    return [record | times(results.of("alternatives", record["task"])) for record in records]


def times(alternatives: list[dict]) -> dict:
    """Times of the plain model and of AdapLeR by engine and batch, as cells; `gains` has them as speedups.

    `int8` is what AdapLeR in int8 loses against the fine-tuned model, in points.
    """
    cells, gains = {}, {}
    for engine in ENGINES if alternatives else ():
        plain, ours = (as_chosen(alternatives[0], engine, method) for method in ("BERT", "AdapLeR"))
        for batch in (ONE, BATCH) if plain and ours else ():
            before, after = (point["milliseconds"][batch]["p50"] for point in (plain, ours))
            gains[engine, batch] = before / after
            cells[f"{engine}_{batch}"] = f"{before:.1f} to {after:.1f} ms, {before / after:.2f}x"
    quantised = as_chosen(alternatives[0], "ONNX Runtime", "AdapLeR") if alternatives else None
    if quantised:
        points = [100 * quantised[name] for name in ("difference", "low", "high")]
        cells["int8"] = "{:+.1f} ({:+.1f} to {:+.1f})".format(*points)
    return cells | {"gains": gains}


def as_chosen(result: dict, engine: str, method: str) -> dict | None:
    """A method's point of an engine at the setting that the run chose; other settings have a name."""
    wanted = {"method": method, "setting": "", "engine": engine, "precision": ENGINES[engine]}
    return next((point for point in result["points"] if wanted.items() <= point.items()), None)


def verdict(results: Results) -> str:
    """What is gained, the time, the cost, alternatives, short requests, and what was not measured: a list."""
    records = task_records(results)
    timed = [record for record in records if ("TensorFlow", ONE) in record["gains"]]
    sentences = {
        "What is gained": gain(records) if records else TEXTS["no_runs"],
        "Time": time_sentence(timed) if timed else TEXTS["no_times"],
        "What it costs": cost(records) if records else TEXTS["no_runs"],
        "Against int8 and smaller models": alternatives(results, timed) if timed else TEXTS["no_times"],
        "Single short requests": " ".join(short_requests(results, timed)),
        "What was not measured": not_measured(records),
    }
    return "\n".join(f"- **{name}.** {' '.join(text.split())}" for name, text in sentences.items())


def without_data(records: list[dict]) -> list[str]:
    """The paper's tasks that have a cost but no result."""
    measured = {record["task"] for record in records}
    return [task for task, values in PAPER["tasks"].items() if "rows" in values and task not in measured]


def backbones(records: list[dict]) -> str:
    return listing(sorted({record["backbone"] for record in records})) or "small backbones"


def gain(records: list[dict]) -> str:
    speedups = [record["speedup"] for record in records]
    ends = sorted({f"{speedup:.1f}" for speedup in (min(speedups), max(speedups))}, key=float)
    values = {"range": " to ".join(ends), "backbones": backbones(records)}
    return TEXTS["gain"].format(**values, list=listing([f"{r['task']} {r['speedup']:.2f}x" for r in records]))


def time_sentence(timed: list[dict]) -> str:
    """One text and a batch in TensorFlow, task by task."""
    cells = [f"{record['task']} {record['TensorFlow_1']} and {record['TensorFlow_32']}" for record in timed]
    return TEXTS["times"].format(batch=BATCH, list="; ".join(cells))


def cost(records: list[dict]) -> str:
    """The differences with intervals, and the goals."""
    differences = ["{task} {difference:+.1f} ({low:+.1f} to {high:+.1f})".format(**record) for record in records]
    unclear = [record["task"] for record in records if record["low"] <= 0 <= record["high"]]
    goals = {name: listing([r["task"] for r in records if r["goal"].startswith(name)]) or "no task" for name in GOALS}
    values = {"list": "; ".join(differences), "unclear": listing(unclear) or "no task", **goals}
    return TEXTS["cost"].format(loss=LAYOUT["task_goals"]["loss"], **values)


GOALS = ("reached", "missed", "undecided")


def alternatives(results: Results, timed: list[dict]) -> str:
    """On which tasks AdapLeR in int8 is on the front, and on which an alternative beats its chosen point."""
    on_front, beaten, incomplete = [], [], []
    for record in timed:
        result = results.of("alternatives", record["task"])[0]
        points = frame(result)
        ours = points[(points["method"] == "AdapLeR") & (points["precision"] == "int8")]
        count = (ours["front"] == "yes").sum()
        if count:
            on_front.append(f"{record['task']} ({count} of {len(ours)} settings)")
        chosen = as_chosen(result, "ONNX Runtime", "AdapLeR")
        others = [point for point in result["points"] if point["method"] != "AdapLeR"]
        if chosen and frame({"points": [*others, chosen]})["front"].iloc[-1] != "yes":
            beaten.append(record["task"])
        if result["settings"]["not_trained"]:
            incomplete.append(record["task"])
    names = {"on_front": listing(on_front) or "no task", "beaten": listing(beaten) or "no task"}
    caveat = TEXTS["incomplete"].format(list=listing(incomplete)) if incomplete else ""
    return f"{TEXTS['alternatives'].format(batch=BATCH, **names)} {caveat}"


def short_requests(results: Results, timed: list[dict]) -> list[str]:
    """One short text at the size of BERT-base, with most tokens dropped and with none; tasks that gain too little."""
    slow = [record["task"] for record in timed if record["gains"].get(("TensorFlow", ONE), 2) < HARDLY_FASTER]
    tasks = [TEXTS["short_tasks"].format(list=listing(slow))] if slow else []
    points = [point for result in results.of("inference") if result["task"] is None for point in result["points"]]
    singles = [point for point in points if point["batch_size"] == 1]
    if not singles:
        return [TEXTS["no_short"], *tasks]
    length = min(point["length"] for point in singles)
    ordered = sorted((p for p in singles if p["length"] == length), key=lambda point: point["forced_speedup"])
    nothing, most = (time_gains(point["variants"]) for point in (ordered[0], ordered[-1]))
    values = {"flops": most[0][1], "speedup": listing([text for text, _ in most])}
    return [TEXTS["short"].format(length=length, nothing=listing([text for text, _ in nothing]), **values), *tasks]


def time_gains(variants: dict[str, dict]) -> list[tuple[str, float]]:
    """How many times as fast the dropping form is on each engine, and its FLOPs speedup."""
    gains = []
    for engine, (plain, dropping) in FORMS.items():
        ratio = variants[plain]["milliseconds"] / variants[dropping]["milliseconds"]
        gains.append((f"{ratio:.2f} times as fast in {engine}", variants[dropping]["flops_speedup"]))
    return gains


def not_measured(records: list[dict]) -> str:
    """BERT-base, and the paper's tasks without data."""
    tasks = listing(without_data(records))
    text = TEXTS["unmeasured" if tasks else "unmeasured_backbone"]
    return text.format(backbones=backbones(records), tasks=tasks)


def listing(names: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
