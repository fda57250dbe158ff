"""Compares AdapLeR models of a task on the dev set, and prints the directory of the best as its last line.

The best is the fastest among the settings that tools.evaluation.choose_eta_scale chose, each of which loses less than
its --MAX_LOSS. Only dev scores are read, so the test set stays unseen until the choice is made.
"""

from __future__ import annotations

import json
from pathlib import Path

from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES

if __name__ == "__main__":
    ARGUMENTS = parse(STAGES["choose_model"], __doc__)  # before the imports that take seconds

from tools.common.errors import UserError
from tools.common.paths import TaskPaths
from tools.results.result_files import chosen_point
from tools.results.tables import choice_table
from tools.runtime.run import Run
from tools.runtime.stage import run_stage


def choose_model(run: Run) -> None:
    for model in run.arguments.model_paths:
        owner = TaskPaths.of(model)
        if owner is not None and owner.root != run.paths.root:
            raise UserError(
                f"--MODEL_PATHS {model} is of the run {owner.root}, not of {run.paths.root}; give models of one run, "
                "with its --BACKBONE and --DATA_SEED"
            )
    curves = {model: _curve(run.paths.eta_scales(model)) for model in run.arguments.model_paths}
    best = fastest(curves)
    print(choice_table({model.name: curve for model, curve in curves.items()}, best and best.name))
    if best is None:
        raise UserError(f"none of the {len(curves)} models is within its --MAX_LOSS")
    print(best)


def _curve(file: Path) -> dict:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"no {file}; run python -m tools.evaluation.choose_eta_scale for this model first") from error


def fastest(curves: dict[Path, dict]) -> Path | None:
    """The model whose chosen point has the highest FLOPs speedup."""
    points = {model: chosen_point(curve) for model, curve in curves.items()}
    allowed = [model for model, point in points.items() if point]
    return max(allowed, key=lambda model: points[model]["speedup"], default=None)


if __name__ == "__main__":
    run_stage("choose_model", ARGUMENTS, choose_model)
