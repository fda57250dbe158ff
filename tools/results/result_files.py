"""The files of numbers in results/, which of them are current, and the values that several tables need."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.common.errors import UserError
from tools.common.task_names import CUSTOM

LAYOUT = tomllib.loads(Path(__file__).with_name("layout.toml").read_text(encoding="utf-8"))
"""Fixed text, columns of the tables, and goals."""
PAPER = tomllib.loads(Path(__file__).with_name("paper.toml").read_text(encoding="utf-8"))
"""What the paper reports, and what the tasks cost that were not run."""
PER_RUN = ("backbone_name", "data_seed", "data_dir", "gpu", "multi_gpu", "resume", "save_name")
"""Flags in which the runs of one setting may differ."""
OF_NO_MODEL = ("training", "loading", "faults")
"""Kinds of results that no trained model is needed for."""


@dataclass(frozen=True)
class Results:
    """The result files of a folder.

    Attributes:
        runs: current runs; their scores have intervals.
        ablation: runs in `ablation`, which compare settings of stage 3 and are in no mean of RESULTS.md.
        superseded: runs in `tried`, and runs of before differences had intervals.
        others: current benchmarks and comparisons.
        outdated: those of a superseded run's model.
        looks: looks at test sets that no file shows.
    """

    runs: list[dict]
    ablation: list[dict]
    superseded: list[dict]
    others: list[dict]
    outdated: list[dict]
    looks: list[dict]

    @property
    def tasks(self) -> list[str]:
        """The tasks of all runs."""
        return sorted({run["task"] for run in self.runs + self.ablation + self.superseded})

    def of(self, name: str, **values) -> list[dict]:
        """The current benchmarks or comparisons of a kind that have these values, for instance of `task`."""
        found = [result for result in self.others if kind(result) == name]
        return [result for result in found if all(result[key] == value for key, value in values.items())]


def read_folder(folder: Path) -> Results:
    """All results in a folder, in the order of the files' names."""
    folders = folder, folder / "ablation", folder / "tried"
    results, ablation, superseded = (read_results(sorted(path.glob("*.json"))) for path in folders)
    runs = [result for result in results if kind(result) == "run" and "splits" in result]
    add_constants(runs, ablation)
    older = [result for result in results if kind(result) == "run" and "splits" not in result]
    others = [result for result in results if kind(result) != "run"]
    looks = folder / "test_looks.toml"
    return Results(
        runs,
        ablation,
        superseded + [run for run in older if run not in superseded],
        [result for result in others if is_current(result, runs)],
        [result for result in others if not is_current(result, runs)],
        tomllib.loads(looks.read_text(encoding="utf-8"))["look"] if looks.exists() else [],
    )


def add_constants(runs: list[dict], others: list[dict]) -> None:
    """Gives runs of before summaries had it the score of the best constant answer, from another run on the same split.

    It depends on the task's labels alone.
    """
    known = {}
    for run in runs + others:
        for split, values in run["splits"].items():
            if "constant" in values:
                known[run["task"], split, values["examples"]] = values["constant"]
    for run in runs:
        for split, values in run["splits"].items():
            key = run["task"], split, values["examples"]
            if key in known:
                values["constant"] = known[key]


def read_results(files: Sequence[Path]) -> list[dict]:
    """The contents of the files, in their order.

    Raises:
        UserError: a file is missing or damaged.
    """
    results = []
    for file in files:
        try:
            results.append(json.loads(file.read_text(encoding="utf-8")))
        except OSError as error:
            raise UserError(f"cannot read {file}: {error.strerror}") from error
        except ValueError as error:
            raise UserError(f"{file} is damaged ({error}); make it again, or remove it") from error
    return results


def kind(result: dict) -> str:
    """`run` for the summary of all stages, otherwise the kind that a benchmark or comparison recorded."""
    return result.get("kind", "run")


def is_current(result: dict, runs: list[dict]) -> bool:
    """Whether a benchmark or comparison needs no trained model, or is about the model of one of the runs."""
    if kind(result) in OF_NO_MODEL or result.get("task") is None:
        return True
    return any(is_about(result, run) for run in runs)


def is_about(result: dict, run: dict) -> bool:
    """Whether a benchmark or comparison is about a run's model, by what the two of them record of it."""
    values = {name: run[name] for name in ("task", "backbone", "seed")}
    values["model"] = Path(run["adapler"]["model"]).name.removesuffix(".h5")
    if "weights" in run["adapler"]:
        values["weights"] = run["adapler"]["weights"]
    names = values.keys() & result.keys()
    if kind(result) != "alternatives":
        names.add("model")
    return all(result.get(name) == values[name] for name in names)


def by_backbone(runs: list[dict]) -> dict[tuple[str, str], list[dict]]:
    """The runs of each task and backbone, in the order of these."""
    groups: dict[tuple[str, str], list[dict]] = {}
    for run in sorted(runs, key=lambda run: (run["task"], run["backbone"])):
        groups.setdefault((run["task"], run["backbone"]), []).append(run)
    return groups


def tradeoff_name(task: str, backbone: str) -> str:
    """The figure of the runs of a task and backbone."""
    return f"{task}_{backbone}_tradeoff"


def flags(settings: dict) -> str:
    """Flags of a stage that belong to its setting, in alphabetical order."""
    given = {name: value for name, value in settings.items() if value is not None and value is not False}
    texts = []
    per_run = set(PER_RUN) - ({"data_dir"} if settings.get("task") == CUSTOM else set())
    for name in sorted(given.keys() - per_run):
        value = given[name]
        texts.append(f"--{name.upper()} {' '.join(value) if isinstance(value, list) else value}".removesuffix(" True"))
    return " ".join(texts)


def setting(settings: dict) -> str:
    """The flags of a stage that all seeds of a setting share; of the starting weights, only whether there are any."""
    return flags(settings | {"initial_model_path": bool(settings.get("initial_model_path"))})


def is_other_target(settings: dict, recipe: dict) -> bool:
    """Whether a run of stage 3 has the recipe's settings but for another target speedup."""
    target = recipe.get("target_speedup")
    differs = settings.get("target_speedup") not in (None, target)
    return differs and setting(settings | {"target_speedup": target}) == setting(recipe)


def aim(settings: dict) -> str:
    """What a run of stage 3 was trained for: a speedup, or weights of the losses."""
    if settings.get("target_speedup"):
        gamma = settings.get("gamma")
        return f"target {settings['target_speedup']:g}x" + ("" if gamma is None else f", gamma {gamma:g}")
    return "gamma {gamma}, phi {phi}".format(**settings)


def training_values(settings: dict) -> dict:
    """Settings of stage 3, with numbers of training and held-out examples, learning rates, start and teacher."""
    names = ("learning_rate", "cp_learning_rate", "speedup_learning_rate")
    rates = ", ".join(str(settings[name] or "default") for name in names)
    start = "fine-tuned" if settings["initial_model_path"] else "pretrained"
    distills = settings.get("distill") or (settings.get("target_speedup") and not settings.get("no_distill"))
    learns_from = "labels, fine-tuned logits" if distills else "labels"
    rows, held_out = settings["max_train_examples"] or "all", settings.get("hold_out") or ""
    values = {"rows": rows, "held_out": held_out, "rates": rates, "start": start, "learns_from": learns_from}
    return settings | values | {"aim": aim(settings)}


def split_records(summary: dict) -> list[dict]:
    """One record a split, with the run's values and those of the split; without scores where labels are unknown."""
    records, metric = [], summary["metric"]
    settings = training_values(summary["settings"]["train_adapler"])
    settings["fine_tuned_from"] = summary["settings"]["fine_tune"].get("initial_model_path") or "backbone"
    for split, scores in summary["adapler"].items():
        if isinstance(scores, dict):
            tokens = ", ".join(f"{length:.1f}" for length in scores["mean_lengths"])
            comparison = summary.get("splits", {}).get(split, {})
            records.append({**settings, **summary, **scores, "split": split, "tokens": tokens, **in_points(comparison)})
            records[-1] |= {name: comparison[name] for name in comparison.keys() & {"constant"}}
            if metric in scores:
                before, after = summary["bert"][split][metric], scores[metric]
                records[-1] |= {"BERT": before, "AdapLeR": after, "difference": 100 * (after - before)}
    return records


def in_points(interval: dict) -> dict:
    """The difference and its interval in points; the other values are left out."""
    return {name: 100 * interval[name] for name in ("difference", "low", "high") if name in interval}


def best_epoch(run: dict) -> int:
    """The epoch of fine-tuning, from 1, that scored best on validation: AdapLeR is compared with its weights."""
    return int(Path(run["bert"]["model"]).stem.rsplit("_", 1)[1])


def chosen_point(scales: dict | None) -> dict | None:
    """The chosen point of a curve over eta_scale; None without a curve, or if every point loses too much score."""
    points = scales["curve"] if scales else []
    return next((point for point in points if point["eta_scale"] == scales["chosen"]), None)
