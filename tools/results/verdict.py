"""Sentences about what is gained, what it costs and what was not measured, computed from the result files."""

from __future__ import annotations

from tools.common.paths import DEFAULT_BACKBONE, backbone_name
from tools.common.task_names import GENERATED
from tools.results.alternatives import SIZES, frame, milliseconds
from tools.results.benchmark_tables import DROPPING, LR_MODE, PADDED, PLAIN
from tools.results.result_files import LAYOUT, PAPER, Results, in_points, is_about
from tools.results.seed_means import ENOUGH_SEEDS, certainty, interval_over_seeds, seed_records, training_cost
from tools.results.words import duration, listing, span

TEXTS = LAYOUT["verdict"]
ENGINES = {"TensorFlow": "float32", "ONNX Runtime": "int8"}
ENGINE_NAMES = {"TensorFlow": "TensorFlow", "ONNX Runtime": "ONNX int8"}
ONE, BATCH, BEST, UNPADDED = "1", "32", "best", "32 without padding"
DIFFERENCE = "{difference:+.1f} ({low:+.1f} to {high:+.1f})"
FORMS = {"TensorFlow": (PLAIN, LR_MODE), "ONNX Runtime": (PADDED["int8"], DROPPING["int8"])}
"""Engine -> the plain and the dropping form of the inference benchmark."""
ROUNDS = " ({lowest:.2f} to {highest:.2f})"
HARDLY_FASTER = 1.1
SETTINGS_ON_FRONT = 2
"""Values of eta_scale that must be on the Pareto front for the verdict to name a task."""


def task_records(results: Results) -> list[dict]:
    """The means over seeds of each task of real texts, with the times of its chosen point if they were measured."""
    runs = [run for run in results.runs if run["task"] != GENERATED]
    records = seed_records(runs) if runs else []
    return [record | times(timed(results, record)) for record in records]


def timed(results: Results, record: dict) -> list[dict]:
    """The comparisons with alternatives that are about a model of the record's runs."""
    return [r for r in results.of("alternatives") if any(is_about(r, run) for run in record["runs"])]


def times(alternatives: list[dict]) -> dict:
    """Cells of what was timed: seed, FLOPs speedup, times of the plain model and of AdapLeR by engine and batch.

    `..._rounds` are the extremes of the rounds, if they were recorded. `float32` and `int8` are AdapLeR's differences
    from the fine-tuned model in points, `gains` the times as speedups.
    """
    cells = {f"{engine}_{batch}": "not measured" for engine in ENGINES for batch in (ONE, BATCH)}
    gains = {}
    for engine, precision in ENGINES.items() if alternatives else ():
        plain, ours = (as_chosen(alternatives[0], engine, method) for method in ("BERT", "AdapLeR"))
        if plain is None or ours is None:
            continue
        for batch in (ONE, BATCH):
            before, after = milliseconds(plain, batch), milliseconds(ours, batch)
            rounds = ours.get("gains", {}).get(batch)
            gain = gains[engine, batch] = rounds["median"] if rounds else before / after
            cells[f"{engine}_{batch}"] = f"{before:.1f} to {after:.1f} ms, {gain:.2f}x"
            cells[f"{engine}_{batch}_rounds"] = ROUNDS.format(**rounds) if rounds else ""
        gains[engine, BEST] = best_time(plain) / best_time(ours)
        gains[engine, UNPADDED] = unpadded_gain(alternatives[0], engine)
        cells[precision] = DIFFERENCE.format(**in_points(ours))
        cells["timed_seed"] = alternatives[0]["seed"]
        cells.setdefault("timed_speedup", ours["flops_speedup"])  # in float32
    return cells | {"gains": gains}


def best_time(point: dict) -> float:
    """Milliseconds per text with the batch size that suits a model best."""
    return min(milliseconds(point, size) for size in SIZES)


def unpadded_gain(result: dict, engine: str) -> float:
    """How many times as fast AdapLeR is on an engine in batches of texts of one length."""
    wanted = {"engine": engine, "precision": ENGINES[engine], "batch": int(BATCH)}
    found = [point for point in result["fixed_lengths"] if wanted.items() <= point.items()]
    seconds = {point["method"]: point["milliseconds"] for point in found}
    return seconds["BERT"] / seconds["AdapLeR"]


def as_chosen(result: dict, engine: str, method: str) -> dict | None:
    """A method's point of an engine at the setting that the run chose; other settings have a name."""
    wanted = {"method": method, "setting": "", "engine": engine, "precision": ENGINES[engine]}
    return next((point for point in result["points"] if wanted.items() <= point.items()), None)


def verdict(results: Results) -> str:
    """What is gained and lost, goals, the time, alternatives, short requests, and what was not measured: a list."""
    records = task_records(results)
    with_times = [record for record in records if ("TensorFlow", ONE) in record["gains"]]
    sentences = {
        "Goals": goals(records) if records else TEXTS["no_runs"],
        "Gain and cost": gain(records) if records else TEXTS["no_runs"],
        "Time": time_sentence(with_times) if with_times else TEXTS["no_times"],
        "Against plain BERT in int8": against_int8(results, with_times) if with_times else TEXTS["no_times"],
        "Against smaller models": beaten_by(results, with_times) if with_times else TEXTS["no_times"],
        "Single short requests": short_requests(results, with_times),
        "What was not measured": not_measured(records),
    }
    return "\n".join(f"- **{name}.** {' '.join(text.split())}" for name, text in sentences.items())


def without_data(records: list[dict]) -> list[str]:
    """The paper's tasks that have a cost but no result."""
    measured = {record["task"] for record in records}
    return [task for task, values in PAPER["tasks"].items() if "rows" in values and task not in measured]


def backbones(records: list[dict]) -> str:
    """The backbones of all scores, introduced if the layout knows them."""
    known = {name: values["text"] for name, values in LAYOUT["backbones"].items()}
    return listing(sorted({known.get(record["backbone"], record["backbone"]) for record in records}))


def goals(records: list[dict]) -> str:
    """The tasks whose goal is reached, missed and undecided, and those that no current run aims at."""
    found = {name: [r["name"] for r in records if r["goal"].startswith(name)] for name in GOALS}
    aimed_at = {record["task"] for record in records if record["goal"].startswith(GOALS)}
    waiting = [task for task in LAYOUT["task_goals"]["speedups"] if task not in aimed_at]
    names = {name: listing(tasks) or "no task" for name, tasks in found.items()}
    text = TEXTS["goals"].format(loss=LAYOUT["task_goals"]["loss"], **names)
    small = [record["name"] for record in records if record["goal"] == "undecided" and is_small(record)]
    text += f" {TEXTS['too_few'].format(list=listing(small), loss=LAYOUT['task_goals']['loss'])}" if small else ""
    return f"{text} {TEXTS['waiting'].format(list=listing(waiting))}" if waiting else text


def is_small(record: dict) -> bool:
    """Whether the interval would contain the allowed loss even if nothing were lost."""
    return record["difference"] - record["low"] > LAYOUT["task_goals"]["loss"]


GOALS = ("reached", "missed", "undecided")


def gain(records: list[dict]) -> str:
    """FLOPs speedups, and the tasks grouped by whether the difference of the score is certain; tables have the rest."""
    groups = {}
    for record in sorted(records, key=lambda record: record["certainty"]):
        groups.setdefault(record["certainty"], []).append(f"{record['name']} ({record['difference']:+.1f})")
    scores = listing([f"{TEXTS['certainty'][name]} {listing(tasks)}" for name, tasks in groups.items()])
    speedups = span({record["name"]: record["speedup"] for record in records}, "{:.2f}")
    training = span({record["name"]: record["cost"] for record in records}, "{:.1f}")
    runs = {f"{record['name']} {run['seed']}": run for record in records for run in record["runs"]}
    times = [sum(run["seconds"].values()) for run in runs.values()]
    values = {"single": span({name: training_cost(run) for name, run in runs.items()}, "{:.1f}")}
    values |= {"shortest": duration(min(times)), "longest": duration(max(times))}
    return (
        f"{TEXTS['gain'].format(speedups=speedups, training=training, scores=scores, **values)} {dev_losses(records)}"
    )


def dev_losses(records: list[dict]) -> str:
    """The tasks that lose for certain on validation, but not on test, with the loss in points; empty if none does."""
    losses = []
    for record in records:
        on_dev = in_points(interval_over_seeds([run["splits"]["validation"] for run in record["runs"]], "difference"))
        if record["certainty"] != certainty(on_dev) == "a loss":
            losses.append(f"{record['name']}, {DIFFERENCE.format(**on_dev)}")
    return TEXTS["dev_losses"].format(list=listing(losses)) if losses else ""


def gains_of(records: list[dict], engine: str) -> dict[str, str]:
    """How many times as fast AdapLeR is on an engine for one text and for batches: large, best, unpadded; spans."""
    batches = {"one": ONE, "many": BATCH, "best": BEST, "unpadded": UNPADDED}
    return {
        name: span({record["name"]: record["gains"][engine, batch] for record in records}, "{:.2f}") + " times"
        for name, batch in batches.items()
    }


def time_sentence(records: list[dict]) -> str:
    """One text and batches in TensorFlow."""
    sizes = " or ".join([", ".join(SIZES[:-1]), SIZES[-1]])
    return TEXTS["times"].format(**gains_of(records, "TensorFlow"), batch=BATCH, sizes=sizes)


def unpadded_sentence(records: list[dict]) -> str:
    """Batches without padding on both engines."""
    gains = {
        engine: span({record["name"]: record["gains"][engine, UNPADDED] for record in records}, "{:.2f}") + " times"
        for engine in ENGINES
    }
    return TEXTS["unpadded"].format(**gains, batch=BATCH)


def against_int8(results: Results, records: list[dict]) -> str:
    """How many times as fast AdapLeR is where both run in int8, and where int8 alone beats AdapLeR in TensorFlow."""
    first = []
    for record in records:
        result = timed(results, record)[0]
        plain, ours = as_chosen(result, "ONNX Runtime", "BERT"), as_chosen(result, "TensorFlow", "AdapLeR")
        if milliseconds(plain, ONE) < milliseconds(ours, ONE):
            first.append(record["name"])
    text = TEXTS["int8"].format(**gains_of(records, "ONNX Runtime"), batch=BATCH)
    return f"{text} {TEXTS['int8_first'].format(list=every_or(first, records))}" if first else text


def int8_losses(results: Results, records: list[dict]) -> str:
    """What int8 changes in the scores of plain BERT and of AdapLeR."""
    plain, ours = {}, {}
    for record in records:
        for losses, method in (plain, "BERT"), (ours, "AdapLeR"):
            point = as_chosen(timed(results, record)[0], "ONNX Runtime", method)
            losses[record["name"]] = 100 * point["difference"]
    return TEXTS["int8_losses"].format(plain_losses=span(plain, "{:+.1f}"), losses=span(ours, "{:+.1f}"))


def on_front(results: Results, records: list[dict]) -> str:
    """Where enough of AdapLeR's settings are on the Pareto front, and which models that front lacks."""
    named, incomplete = [], []
    for record in records:
        result = timed(results, record)[0]
        points = frame(result)
        ours = points[(points["method"] == "AdapLeR") & (points["precision"] == "int8")]
        if (ours["front"] == "yes").sum() >= SETTINGS_ON_FRONT:
            named.append(record["name"])
        if result["settings"]["not_trained"]:
            incomplete.append(f"{len(result['settings']['not_trained'])} on {record['name']}")
    front = TEXTS["on_front"].format(batch=BATCH, settings=SETTINGS_ON_FRONT, list=every_or(named, records))
    return f"{front} {TEXTS['incomplete'].format(list=listing(incomplete))}" if incomplete else front


def beaten_by(results: Results, records: list[dict]) -> str:
    """On which tasks another model is at least as good and as fast as AdapLeR's chosen point in int8."""
    beaten = {ONE: [], BATCH: []}
    for record in records:
        for batch, tasks in beaten.items():
            if better := better_model(timed(results, record)[0], batch):
                tasks.append(TEXTS["beaten"].format(task=record["name"], **better))
    one, many = (listing(tasks) or "on no task" for tasks in beaten.values())
    seeds = listing(sorted({str(record["timed_seed"]) for record in records}))
    sentences = [TEXTS["smaller"].format(batch=BATCH, beaten_one=one, beaten=many, seeds=seeds)]
    return " ".join([*sentences, *filter(None, (unlearned(timed(results, record)[0], record) for record in records))])


def unlearned(result: dict, record: dict) -> str:
    """A sentence on a task whose smaller models learned next to nothing; empty if one did, or if that is not known."""
    scores = [100 * point["score"] for point in result["points"] if point["method"] not in ("BERT", "AdapLeR")]
    loss = LAYOUT["task_goals"]["loss"]
    if "constant" not in record or max(scores, default=100) > record["constant"] + loss:
        return ""
    return TEXTS["unlearned"].format(task=record["name"], loss=loss, constant=record["constant"])


def better_model(result: dict, batch: str) -> dict | None:
    """The fastest of the other models that are at least as good and as fast as AdapLeR's chosen point in int8, or None.

    Returns:
        its name, its score and AdapLeR's in points, and `ratio`, how many times as fast it is.
    """
    ours = as_chosen(result, "ONNX Runtime", "AdapLeR")
    others = [point for point in result["points"] if point["method"] != "AdapLeR" and point["score"] >= ours["score"]]
    fastest = min(others, key=lambda point: milliseconds(point, batch), default=None)
    if fastest is None or milliseconds(fastest, batch) > milliseconds(ours, batch):
        return None
    values = {"ratio": milliseconds(ours, batch) / milliseconds(fastest, batch), "chosen": 100 * ours["score"]}
    start = "first " if fastest["method"].startswith("first") else ""
    name = f"{start}{fastest['setting'] or fastest['method']} in {fastest['precision']}"
    return {**values, "name": name, "score": 100 * fastest["score"]}


def short_requests(results: Results, records: list[dict]) -> str:
    """One short text at the size of BERT-base, and the tasks on which one text gains too little."""
    slow = [
        f"on {record['name']} in {ENGINE_NAMES[engine]} ({record['gains'][engine, ONE]:.2f})"
        for record in records
        for engine in ENGINES
        if record["gains"].get((engine, ONE), HARDLY_FASTER) < HARDLY_FASTER
    ]
    tasks = TEXTS["short_tasks"].format(limit=HARDLY_FASTER, list=listing(slow)) if slow else ""
    singles = [point for point in base_points(results) if point["batch_size"] == 1]
    if not singles:
        return f"{TEXTS['no_short']} {tasks}"
    length = min(point["length"] for point in singles)
    most = max((point for point in singles if point["length"] == length), key=lambda point: point["forced_speedup"])
    speedups = [
        f"{form_gain(most, forms):.2f} times as fast in {ENGINE_NAMES[engine]}" for engine, forms in FORMS.items()
    ]
    flops = most["variants"][LR_MODE]["flops_speedup"]
    return f"{TEXTS['short'].format(length=length, flops=flops, speedup=listing(speedups))} {tasks}"


def cost_of_nothing(results: Results) -> str:
    """How fast a model that drops nothing is at the size of BERT-base; empty if that was not measured."""
    points = base_points(results)
    if not points:
        return ""
    fewest = min(point["forced_speedup"] for point in points)
    costs = []
    for engine, forms in FORMS.items():
        gains = {size_of(point): form_gain(point, forms) for point in points if point["forced_speedup"] == fewest}
        costs.append(f"{span(gains, '{:.2f}')} times as fast in {ENGINE_NAMES[engine]}")
    return TEXTS["nothing"].format(costs=listing(costs))


def time_of_flops(results: Results) -> str:
    """Which part of their FLOPs speedup batches gain at the size of BERT-base in int8; empty if none was measured."""
    shares = {}
    for point in base_points(results):
        speedup = point["variants"][LR_MODE]["flops_speedup"]
        if speedup > 1 and point["batch_size"] > 1:
            shares[size_of(point)] = form_gain(point, FORMS["ONNX Runtime"]) / speedup
    return TEXTS["shares"].format(shares=span(shares, "{:.0%}")) if shares else ""


def size_of(point: dict) -> str:
    """A point of the inference benchmark in words."""
    return f"{point['batch_size']} x {point['length']} tokens"


def base_points(results: Results) -> list[dict]:
    """The points of the inference benchmark at the size of BERT-base."""
    return [point for result in results.of("inference") if result["task"] is None for point in result["points"]]


def form_gain(point: dict, forms: tuple[str, str]) -> float:
    """How many times as fast the dropping form of an engine is as its plain form."""
    plain, dropping = (point["variants"][form]["milliseconds"] for form in forms)
    return plain / dropping


def not_measured(records: list[dict]) -> str:
    """BERT-base, rows, times and seeds that are missing, and the paper's tasks without data."""
    missing = {
        "unmeasured_rows": [record["name"] for record in records if record["rows"] != "all"],
        "unmeasured_tests": [record["name"] for record in records if is_cut(record)],
        "unmeasured_times": [record["name"] for record in records if not record["gains"]],
        "unmeasured_seeds": [record["name"] for record in records if len(record["runs"]) < ENOUGH_SEEDS],
        "unmeasured_tasks": without_data(records),
    }
    found = [TEXTS[name].format(tasks=listing(tasks), seeds=ENOUGH_SEEDS) for name, tasks in missing.items() if tasks]
    rest = "; ".join(found)
    has_base = any(record["backbone"] == backbone_name(DEFAULT_BACKBONE) for record in records)
    base = TEXTS["unmeasured_base"].format(backbones=backbones(records)) if records and not has_base else ""
    return TEXTS["unmeasured"].format(base=base, rest=f"{rest[:1].upper()}{rest[1:]}." if rest else "")


def is_cut(record: dict) -> bool:
    """Whether the scores are of a part of the split."""
    return record["runs"][0]["settings"]["train_adapler"]["max_eval_examples"] is not None


def every_or(tasks: list[str], records: list[dict]) -> str:
    """The names of the tasks, or that they are all of several, or none."""
    return TEXTS["every"] if 1 < len(tasks) == len(records) else listing(tasks) or "no task"
