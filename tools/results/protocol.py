"""How the results were made: the protocol of RESULTS.md, and every look at a test set."""

from __future__ import annotations

from collections.abc import Callable

import pandas

from tools.common.task_names import GENERATED
from tools.results.result_files import LAYOUT, Results, aim, best_epoch, by_backbone, kind
from tools.results.seed_means import ENOUGH_SEEDS, join
from tools.results.variants import distinct_settings, other_settings, other_targets
from tools.results.words import listing

PARTS = LAYOUT["parts"]


def protocol(results: Results) -> str:
    """How the results were made, which baselines were still rising, and which targets dev did not correct yet."""
    text = PARTS["protocol"].format(seeds=ENOUGH_SEEDS)
    with_target = [run for run in results.runs if run["target_speedup"] and run["task"] != GENERATED]
    uncorrected = [run for run in with_target if not any("correction" in epoch for epoch in epochs_of(run))]
    rising = [run for run in with_target if best_epoch(run) == run["settings"]["fine_tune"]["epochs"]]
    compared = by_task(results, other_settings)
    tolerance = LAYOUT["task_goals"]["tolerance"]
    curves = by_task(results, other_targets)
    lines = [text]
    if with_target and all(s.get("mixed_precision") for run in with_target for s in run["settings"].values()):
        lines.append(PARTS["precision"])
    if compared:
        told = PARTS["compared"].format(list=compared, seeds=ENOUGH_SEEDS, tolerance=tolerance)
        lines.append(told + distinct(results))
    if curves:
        lines.append(PARTS["curves"].format(list=curves, tolerance=tolerance))
    if rising:
        lines.append(PARTS["rising"].format(count=len(rising), all=len(with_target), list=names_of(rising)))
    if uncorrected:
        lines.append(PARTS["uncorrected"].format(list=names_of(uncorrected)))
    return "\n".join(lines)


def by_task(results: Results, told: Callable[[list[dict]], str]) -> str:
    """What is told of the runs of each task and backbone: `mrpc: ...; sst2: ...`."""
    texts = {name: told(runs) for name, runs in compared_runs(results).items()}
    return "; ".join(f"{name}: {text}" for name, text in texts.items() if text)


def distinct(results: Results) -> str:
    """Which settings with a target differ from the recipe beyond their interval; empty if none has an interval."""
    found = {name: distinct_settings(runs) for name, runs in compared_runs(results).items()}
    if all(settings is None for settings in found.values()):
        return ""
    texts = [f"{setting} on {name}" for name, settings in found.items() for setting in settings or []]
    return PARTS["distinct"].format(list=listing(texts)) if texts else PARTS["indistinct"]


def compared_runs(results: Results) -> dict[str, list[dict]]:
    """The runs of each task, those of an ablation included; a task with several backbones is named with each."""
    groups = by_backbone(results.runs + results.ablation)
    tasks = [task for task, _ in groups]
    return {
        f"{task} ({backbone})" if tasks.count(task) > 1 else task: runs for (task, backbone), runs in groups.items()
    }


def names_of(runs: list[dict]) -> str:
    """Tasks with their seeds: `mrpc 22 23 and sst2 22`."""
    seeds = {}
    for run in runs:
        seeds.setdefault(run["task"], []).append(str(run["seed"]))
    return listing([f"{task} {' '.join(numbers)}" for task, numbers in sorted(seeds.items())])


def epochs_of(run: dict) -> list[dict]:
    """The logs of all epochs of a run, of every setting that was tried."""
    return [epoch for tried in run["tried"] for epoch in tried["epochs"]]


def looks(results: Results) -> list[dict]:
    """Every look at a test set by date: those that were written down, and those that the current files show."""
    shown = []
    for run in results.runs + results.ablation:
        if "test" in run["splits"]:
            setting = aim(run["settings"]["train_adapler"])
            shown.append(
                {"date": run.get("date", ""), "task": run["task"], "seeds": str(run["seed"]), "setting": setting}
            )
    for result in results.others:
        if result.get("split") == "test" or kind(result) == "alternatives":
            names = {"task": result["task"], "seeds": str(result["seed"]), "setting": kind(result)}
            shown.append({"date": result.get("date", ""), **names})
    if not shown:
        return results.looks
    table = pandas.DataFrame(shown).groupby(["date", "task", "setting"], as_index=False).agg({"seeds": join})
    table = table.groupby(["date", "seeds", "setting"], as_index=False).agg({"task": " ".join})
    current = table.assign(why="current result").to_dict("records")
    return sorted(results.looks + current, key=lambda look: look["date"])
