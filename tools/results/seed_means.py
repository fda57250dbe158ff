"""Prints means over seeds with 95 % intervals, from summaries of runs (tools.evaluation.run_summary)."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas
from scipy import stats

from tools.common.errors import UserError
from tools.common.markdown import markdown
from tools.common.paths import SUMMARIES
from tools.results.result_files import LAYOUT, in_points, kind, read_results, setting, split_records

GROUP = ["task", "backbone", "rows", "split", "metric", "setting"]
ENOUGH_SEEDS = 3
"""From so many seeds on, an interval counts their spread."""


def interval_over_seeds(intervals: list[dict], value: str) -> dict[str, float]:
    """Mean of one value per seed, with a 95 % interval of the mean: {value, low, high}.

    Each seed's interval is a bootstrap over the examples. The seeds share these, so the errors of the seeds are taken
    as fully correlated: the distances from the mean to its ends are the means of the seeds' distances, which is rather
    too wide than too narrow. From three seeds on, the variance of the mean over the seeds is added, with the degrees of
    freedom of Welch and Satterthwaite.
    """
    values = np.array([interval[value] for interval in intervals])
    mean = values.mean()
    below = np.mean(values - [interval["low"] for interval in intervals])
    above = np.mean([interval["high"] for interval in intervals] - values)
    if len(values) >= ENOUGH_SEEDS:
        below, above = (with_spread(distance, values) for distance in (below, above))
    ends = {value: mean, "low": mean - below, "high": mean + above}
    return {name: float(number) for name, number in ends.items()}


def with_spread(distance: float, values: np.ndarray) -> float:
    """The distance to an end of a 95 % interval over examples, made that of one over examples and seeds.

    Args:
        values: one a seed.
    """
    over_examples, over_seeds = (distance / stats.norm.ppf(0.975)) ** 2, stats.sem(values) ** 2
    if over_seeds == 0:
        return distance
    degrees = (over_examples + over_seeds) ** 2 / (over_seeds**2 / (len(values) - 1))
    return stats.t.ppf(0.975, degrees) * np.sqrt(over_examples + over_seeds)


def seed_records(runs: list[dict]) -> list[dict]:
    """One record a task, backbone and setting: means over seeds, on test or, if its labels are hidden, on validation.

    `name` is the task, with what tells the record from others of that task.

    Raises:
        UserError: there is no run, or two results are of one run.
    """
    if not runs:
        raise UserError("there is no summary of a run; run run_files/run_task.sh first")
    table = pandas.DataFrame(map(run_values, runs))
    for run in table[table.duplicated([*GROUP, "seed"])].itertuples():
        raise UserError(f"two results of {run.task}, {run.backbone} have the same seed {run.seed}; remove one of them")
    records = [seeds_record(group) for _, group in table.groupby(GROUP)]
    return [record | {"name": name_of(record, records)} for record in records]


def name_of(record: dict, records: list[dict]) -> str:
    """A record's task, with as much of backbone, target, rows and data as tells it from the task's other records."""
    known, parts = [values_of(other) for other in records if other["task"] == record["task"]], []
    for name, value in values_of(record).items():
        same = [values for values in known if values[name] == value]
        parts += [value] if len(same) < len(known) else []
        known = same
    return f"{record['task']} ({', '.join(parts)})" if parts else record["task"]


def values_of(record: dict) -> dict[str, str]:
    """In what records of one task can differ."""
    data = record["runs"][0]["settings"]["train_adapler"]["data_dir"]
    values = {name: record[name] for name in ("backbone", "asked")}
    return values | {"rows": f"{record['rows']} rows", "data": str(data)}


def seeds_record(group: pandas.DataFrame) -> dict:
    """The means over the seeds of one setting; scores and differences are in points."""
    first = group.iloc[0]
    record = {name: first[name] for name in ("task", "backbone", "rows", "split", "metric", "examples", "mean_lengths")}
    record |= {
        "runs": group["run"].to_list(),
        "seeds": join(group["seed"]),
        "commit": join(group["commit"]),
        "target": first["target_speedup"],
    }
    differences = sorted(zip(group["seed"], group["difference"], strict=True))
    record["each_seed"] = ", ".join(f"{seed}: {100 * difference:+.1f}" for seed, difference in differences)
    scores = group.filter(["constant", "fine_tuned", "score"]).dropna(axis="columns", how="all")
    record |= {name: 100 * scores[name].mean() for name in scores}  # older runs know no constant
    record |= in_points(interval_over_seeds(group.to_dict("records"), "difference"))
    record |= {"asked": f"{first['target_speedup']:g}x" if first["target_speedup"] else "as published"}
    record |= {"speedup": group["speedup"].mean(), "cost": group["cost"].mean(), "certainty": certainty(record)}
    return record | {"goal": goal(record)}


def run_values(run: dict) -> dict:
    """What the mean over seeds needs of one run: test or, if its labels are hidden, validation; and its setting."""
    scored = {record["split"]: record for record in split_records(run) if "AdapLeR" in record}
    record = scored.get("test", scored.get("validation"))
    stages = [f"{stage} {setting(settings)}" for stage, settings in run["settings"].items()]
    values = {**record, **run["splits"][record["split"]], "target_speedup": run["target_speedup"] or 0}
    values["cost"] = training_cost(run)
    return {**values, "rows": str(record["rows"]), "setting": "; ".join(stages), "run": run}


def training_cost(run: dict) -> float:
    """Time of fine-tuning, saliencies and AdapLeR over that of fine-tuning alone."""
    return sum(run["seconds"].values()) / run["seconds"]["fine_tune"]


def certainty(interval: dict) -> str:
    """Whether a difference is distinguishable from zero, in words."""
    if interval["low"] <= 0 <= interval["high"]:
        return "not distinguishable from zero"
    return "a loss" if interval["high"] < 0 else "a gain"


def goal(record: dict) -> str:
    """Whether a task's goal is reached: its speedup, at a loss on test that is surely at most the allowed one."""
    goals = LAYOUT["task_goals"]
    wanted = goals["speedups"].get(record["task"])
    if wanted is None or record["target"] != wanted or record["split"] != "test":
        return "no goal"
    missed = {
        "speed": record["speedup"] < wanted * (1 - goals["tolerance"]),
        "score": record["high"] < -goals["loss"],
    }
    if any(missed.values()):
        return f"missed: {' and '.join(name for name, is_missed in missed.items() if is_missed)}"
    return "reached" if record["low"] > -goals["loss"] else "undecided"


def speeds_on_validation(runs: list[dict]) -> str:
    """A sentence on how many runs have nearly the asked speedup on validation; empty without a run with a target."""
    tolerance = LAYOUT["task_goals"]["tolerance_on_validation"]
    reached = [run for run in runs if run["target_speedup"]]
    off = []
    for run in reached:
        speedup, target = run["splits"]["validation"]["speedup"], run["target_speedup"]
        if abs(speedup / target - 1) > tolerance:
            off.append(f"{run['task']} {run['seed']} reached {speedup:.2f}x of {target:g}x")
    counts = {"near": len(reached) - len(off), "all": len(reached), "tolerance": tolerance}
    others = "".join(f"; {text}" for text in off)
    return LAYOUT["parts"]["validation"].format(**counts, others=others) if reached else ""


def join(values: pandas.Series) -> str:
    """Different values, separated by spaces."""
    return " ".join(str(value) for value in sorted(values.unique()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="summaries (default: all of directory/results/)")
    parser.add_argument("--TASK", "--task", help="only results of this task")
    arguments = parser.parse_args()
    try:
        results = read_results(arguments.files or sorted(SUMMARIES.glob("*.json")))
        runs = [result for result in results if kind(result) == "run" and "splits" in result]
        records = seed_records([run for run in runs if arguments.TASK in (None, run["task"])])
        print(markdown(records, LAYOUT["columns"]["seeds"]))
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
