"""Compares all of a task's AdapLeR models on the dev set, and prints the directory of the best as its last line.

The best is the fastest among the settings that tools/calibrate.py chose, each of which loses less than its --MAX_LOSS.
Only dev scores are read, so the test set stays unseen until the choice is made.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.errors import UserError
from tools.paths import TaskPaths
from tools.result_files import chosen_point
from tools.result_tables import choice_table
from tools.runtime import run_stage


def choose(settings: argparse.Namespace, where: TaskPaths) -> None:
    curves = {model: json.loads(file.read_text(encoding="utf-8")) for model, file in where.calibrated.items()}
    best = fastest(curves)
    print(choice_table({model.name: curve for model, curve in curves.items()}, best and best.name))
    if best is None:
        raise UserError(f"none of the calibrated models under {where.adaptive_models} is within its --MAX_LOSS")
    print(best)


def fastest(curves: dict[Path, dict]) -> Path | None:
    """The model whose chosen point has the highest FLOPs speedup."""
    allowed = {model: point for model, curve in curves.items() if (point := chosen_point(curve))}
    return max(allowed, key=lambda model: allowed[model]["speedup"], default=None)


if __name__ == "__main__":
    run_stage("choose", __doc__, choose)
