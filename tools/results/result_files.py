"""The files of numbers in results/, the layout of the pages, and the values that several tables need."""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path

LAYOUT = tomllib.loads(Path(__file__).with_name("layout.toml").read_text(encoding="utf-8"))
"""Fixed text, columns of the tables, and figures."""
PER_RUN = ("backbone_name", "data_seed", "data_dir", "gpu", "resume", "save_name")
"""Flags in which the runs of one setting may differ."""


def read_results(files: Sequence[Path]) -> list[dict]:
    """The contents of the files, in their order."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def kind(result: dict) -> str:
    """`run` for the summary of all stages, otherwise the kind that a benchmark or comparison recorded."""
    return result.get("kind", "run")


def by_section(results: list[dict]) -> list[tuple[tuple[str, str | None], list[dict]]]:
    """((kind, task), results of that kind and task), in the order of the page."""
    kinds = list(LAYOUT["sections"])
    ordered = sorted(results, key=lambda result: (kinds.index(kind(result)), result.get("task") or ""))
    groups = itertools.groupby(ordered, key=lambda result: (kind(result), result.get("task")))
    return [(key, list(group)) for key, group in groups]


def flags(settings: dict) -> str:
    """Flags of a stage that belong to its setting, in alphabetical order."""
    names = sorted(name for name, value in settings.items() if value and name not in PER_RUN)
    return " ".join(f"--{name.upper()} {settings[name]}".removesuffix(" True") for name in names)


def run_label(settings: dict) -> str:
    """What tells a run of stage 3 from the task's other runs."""
    if settings.get("target_speedup"):
        return "{save_name}: target {target_speedup:g}x".format(**settings)
    return "{save_name}: gamma {gamma}, phi {phi}".format(**settings)


def training_values(settings: dict) -> dict:
    """Settings of stage 3, with numbers of training and held-out examples, learning rates and the starting model."""
    names = ("learning_rate", "cp_learning_rate", "speedup_learning_rate")
    default = settings["learning_rate"]
    if settings.get("target_speedup"):
        default = "by the target"
    rates = ", ".join(str(settings[name] or default) for name in names)
    start = "fine-tuned" if settings["initial_model_path"] else "pretrained"
    rows, held_out = settings["max_train_examples"] or "all", settings.get("hold_out") or ""
    return settings | {"rows": rows, "held_out": held_out, "rates": rates, "start": start}


def split_records(summary: dict) -> list[dict]:
    """One record a split, with the run's values and those of the split; without scores where labels are unknown."""
    records, metric = [], summary["metric"]
    settings = training_values(summary["settings"]["train_adapler"])
    for split in ("validation", "test"):
        if scores := summary["adapler"].get(split):
            tokens = ", ".join(f"{length:.1f}" for length in scores["mean_lengths"])
            records.append({**settings, **summary, **scores, "split": split, "tokens": tokens})
            if metric in scores:
                before, after = summary["bert"][split][metric], scores[metric]
                records[-1] |= {"BERT": before, "AdapLeR": after, "difference": after - before}
    return records


def chosen_point(scales: dict | None) -> dict | None:
    """The chosen point of a curve over eta_scale; None without a curve, or if every point loses too much score."""
    points = scales["curve"] if scales else []
    return next((point for point in points if point["eta_scale"] == scales["chosen"]), None)
