"""The files of numbers in results/: reading them, and which kind each is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path


def read_results(files: Sequence[Path]) -> list[dict]:
    """What the files hold, in their order."""
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def kind(result: dict) -> str:
    """`run` for a summary of all stages, otherwise what the benchmark or comparison calls itself."""
    return result.get("kind", "run")


def is_run(result: dict) -> bool:
    """Whether a result is a run's summary, not a benchmark."""
    return kind(result) == "run"


def training_rows(summary: dict) -> int | str:
    """How many training examples a run had, or "all"."""
    return summary["settings"]["train_adapler"]["max_train_examples"] or "all"


def start(settings: dict) -> str:
    """Which model stage 3 started from, by its settings: "fine-tuned" or "pretrained"."""
    return "fine-tuned" if settings["initial_model_path"] else "pretrained"


def chosen_point(scales: dict) -> dict | None:
    """The point that tools/calibrate.py chose of a curve; None if every one lost too much."""
    return next((point for point in scales["curve"] if point["eta_scale"] == scales["chosen"]), None)
