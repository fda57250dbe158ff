"""The settings of stage 3 that were tried for a task, compared on the validation set."""

from __future__ import annotations

import numpy as np
import pandas

from tools.common.markdown import markdown
from tools.results.result_files import LAYOUT, in_points, is_other_target, setting, training_values
from tools.results.seed_means import ENOUGH_SEEDS, interval_over_seeds, join
from tools.results.words import listing


def variants_table(runs: list[dict]) -> str:
    """One row a setting, means over its seeds; empty if only one setting was tried.

    Args:
        runs: current runs of one task.
    """
    records = variant_records(runs)
    return markdown(records, LAYOUT["columns"]["variants"]) if len(records) > 1 else ""


def variant_records(runs: list[dict]) -> list[dict]:
    """The means over the seeds of each setting of stage 3, without runs that were stopped; scores are in points.

    The first is the setting of the runs themselves, if they have reached their end; the others have a `comparison` with
    it. A run without a target has no interval of its own: its setting needs enough seeds for one over the seeds.
    """
    found = [outcome(run, tried) for run in runs for tried in run["tried"] if is_finished(tried)]
    groups = {setting(run["settings"]["train_adapler"]): {} for run in runs}
    for values in found:
        groups.setdefault(values["setting"], {})[values["seed"]] = values  # equal runs of a seed count once
    first = next(iter(groups.values()), {})
    records = []
    for seeds in groups.values():
        group = pandas.DataFrame(list(seeds.values()))
        if seeds and (group["has_interval"].all() or len(group) >= ENOUGH_SEEDS):
            record = group.iloc[0].to_dict() | {"seeds": join(group["seed"]), "speedup": group["speedup"].mean()}
            record |= {name: 100 * group[name].mean() for name in ("fine_tuned", "score")}
            record |= comparison({} if seeds is first else seeds, first)
            records.append(record | in_points(interval_over_seeds(group.to_dict("records"), "difference")))
    return records


def compared_settings(runs: list[dict]) -> list[dict]:
    """The records of the settings that are compared with the recipe, each with how it differs in `words`.

    The recipe at another target is no other setting.
    """
    first, *others = variant_records(runs) or [{}]
    compared = [record for record in others if record["than_first"] and not record["is_other_target"]]
    return [record | {"words": in_words(record, first)} for record in compared]


def other_settings(runs: list[dict]) -> str:
    """What settings other than the recipe's score beside it on the same seeds, in words; empty without any."""
    return listing(["{words}{speeds} {than_first}".format(**record) for record in compared_settings(runs)])


def distinct_settings(runs: list[dict]) -> list[str] | None:
    """The other settings with a target whose difference from the recipe has an interval that leaves out 0, in words.

    None if no difference has an interval.
    """
    compared = [r for r in compared_settings(runs) if r["target_speedup"] and r["is_distinct"] is not None]
    return [record["words"] for record in compared if record["is_distinct"]] if compared else None


def other_targets(runs: list[dict]) -> str:
    """What the recipe costs against fine-tuning at targets other than the runs' own, in words; empty without any."""
    curve = [record for record in variant_records(runs) if record["is_other_target"]]
    texts = []
    for record in sorted(curve, key=lambda record: record["target_speedup"]):
        reached = ", {speedup:.2f}x reached," if are_unequal(record["speedup"], record["target_speedup"]) else ""
        form = "{target_speedup:g}x" + reached + " {difference:+.1f} ({low:+.1f} to {high:+.1f}; seed {seeds})"
        texts.append(form.format(**record))
    return listing(texts)


def are_unequal(speedup: float, other: float) -> bool:
    """Whether two FLOPs speedups differ by more than the tolerance of a target."""
    return abs(speedup / other - 1) > LAYOUT["task_goals"]["tolerance"]


def in_words(record: dict, first: dict) -> str:
    """How a setting differs from the first."""
    if record["target_speedup"] is None:
        return "the published settings"
    words = {
        "target_speedup": f"{record['target_speedup']:g}x",
        "start": f"from the {record['start']} weights",
        "learns_from": "labels alone" if record["learns_from"] == "labels" else f"from {record['learns_from']}",
        "epochs": f"{record['epochs']} epochs",
        "rates": f"rates {record['rates']}",
        "gamma": f"gamma {record['gamma']}",
    }
    return " and ".join(text for name, text in words.items() if record[name] != first[name]) or "other flags"


def comparison(seeds: dict[int, dict], others: dict[int, dict]) -> dict:
    """By how many points the first outcomes score more than the others on the seeds of both, and whether that shows.

    Returns:
        `than_first`: mean and 95 % interval, which counts the spread of the seeds alone and is left out with fewer than
            `ENOUGH_SEEDS` of them; empty without a common seed.
        `is_distinct`: whether the interval leaves out 0; None without one.
        `speeds`: the mean speedups, if they are unequal; else empty.
    """
    common = seeds.keys() & others.keys()
    if not common:
        return {"than_first": "", "is_distinct": None, "speeds": ""}
    speeds = [float(np.mean([group[seed]["speedup"] for seed in common])) for group in (seeds, others)]
    told = {"speeds": " ({:.2f}x against {:.2f}x)".format(*speeds) if are_unequal(*speeds) else ""}
    differences = [100 * (seeds[seed]["score"] - others[seed]["score"]) for seed in common]
    if len(differences) < ENOUGH_SEEDS:
        return told | {"than_first": f"{np.mean(differences):+.1f}", "is_distinct": None}
    interval = interval_over_seeds([dict.fromkeys(("points", "low", "high"), value) for value in differences], "points")
    text = "{points:+.1f} ({low:+.1f} to {high:+.1f})".format(**interval)
    return told | {"than_first": text, "is_distinct": not interval["low"] <= 0 <= interval["high"]}


def is_finished(tried: dict) -> bool:
    """Whether a run of stage 3 reached its end: with a target, that is the model trimmed to it."""
    if tried["settings"].get("target_speedup"):
        return "trimmed" in tried
    return len(tried["epochs"]) == tried["settings"]["epochs"]


def outcome(run: dict, tried: dict) -> dict:
    """Setting, speedup, score and difference on validation of one run of stage 3.

    Without a target, the model is that of the kept epoch, or else of the last, and the interval has no width.
    """
    values = training_values(tried["settings"]) | {"seed": run["seed"], "setting": setting(tried["settings"])}
    values["is_other_target"] = is_other_target(tried["settings"], run["settings"]["train_adapler"])
    if "trimmed" in tried:
        values |= tried["trimmed"]
    else:
        epoch = tried["epochs"][(tried["chosen_epoch"] or len(tried["epochs"])) - 1]["validation"]
        values |= {"speedup": epoch["speedup"], "score": epoch[run["metric"]]}
        values |= dict.fromkeys(("difference", "low", "high"), values["score"] - tried["best_fine_tuned"])
    return values | {"fine_tuned": values["score"] - values["difference"], "has_interval": "trimmed" in tried}
