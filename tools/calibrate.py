"""Sets a trained model's speed without training: tries factors on eta on the dev set and keeps the best of them.

The best is the fastest setting whose dev score is less than --MAX_LOSS below the fine-tuned one (or above it). It goes
into the model directory's config.json as eta_scale, which every later use of the directory applies. The whole curve
stays in logs/eta_scale_<model>.json.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import fine_tuning_log
from tools.checkpoints import load_model, load_tokenizer, model_directory, set_eta_scale
from tools.data import load_examples
from tools.evaluation import predict, report
from tools.examples import Examples
from tools.files import write_json
from tools.paths import TaskPaths
from tools.result_tables import scales_table
from tools.runtime import data_options, eval_batch_size, run_stage, task_of
from tools.tasks import Task


def calibrate(settings: argparse.Namespace, where: TaskPaths) -> None:
    task = task_of(settings)
    directory = model_directory(settings.model_path)
    log = fine_tuning_log.read(task, where)
    fine_tuned = fine_tuning_log.best_score(task, log)
    model = load_model(directory, settings.backbone, task, settings.max_length, converted=True)
    dev = load_examples(task, "validation", load_tokenizer(str(directory)), settings.max_length, data_options(settings))
    dev.require_labels("the choice of a factor on validation")
    curve = sweep(task, model, dev, settings.scales, eval_batch_size(settings))
    chosen = fastest_within(curve, fine_tuned - settings.max_loss)
    scales = {"fine_tuned": fine_tuned, "curve": curve, "chosen": chosen}
    write_json(where.eta_scales(directory), scales)
    print(scales_table(task.primary_metric, scales))
    if chosen is None:
        print(
            f"no factor keeps the dev score above {fine_tuned - settings.max_loss:.4f} ({fine_tuned:.4f} fine-tuned "
            f"less --MAX_LOSS {settings.max_loss}); {directory} stays as it was"
        )
        return
    set_eta_scale(directory, chosen)
    print(f"eta_scale {chosen} is now in {directory / 'config.json'}")


def sweep(task: Task, model, dev: Examples, scales: list[float], batch_size: int) -> list[dict]:
    """One report a factor, with the factor as eta_scale, in ascending order."""
    curve = []
    for scale in sorted(set(scales)):
        predictions = predict(model, dev, batch_size, desc=f"eta x {scale}", eta_scale=scale)
        values = report(task, model, dev, predictions)
        curve.append({"eta_scale": scale, "score": values[task.primary_metric], **values})
    return curve


def fastest_within(curve: list[dict], lowest_score: float) -> float | None:
    """The factor of the largest speedup whose score is above `lowest_score`; of equal ones the smallest factor."""
    allowed = [point for point in curve if point["score"] > lowest_score]
    return max(allowed, key=lambda point: point["speedup"])["eta_scale"] if allowed else None


if __name__ == "__main__":
    run_stage("calibrate", __doc__, calibrate)
