"""Sets a trained model's speed without training: tries factors on eta on the dev set and keeps the best of them.

The best is the fastest setting whose dev score is less than --MAX_LOSS below the fine-tuned one. It is written into the
model directory's config.json as eta_scale, which every later use of the directory applies. The whole curve is in
logs/eta_scale_<model>.json.
"""

from __future__ import annotations

from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES

if __name__ == "__main__":
    ARGUMENTS = parse(STAGES["choose_eta_scale"], __doc__)  # before the imports that take seconds

from tools.common.atomic_files import write_json
from tools.data.examples import Examples
from tools.data.loading import load_examples
from tools.data.tasks import Task
from tools.evaluation.evaluate import evaluation_summary, predict
from tools.results.tables import scales_table
from tools.runtime import fine_tuning_log
from tools.runtime.checkpoints import load_model, load_tokenizer, model_directory, set_eta_scale
from tools.runtime.run import Run
from tools.runtime.stage import run_stage


def choose_eta_scale(run: Run) -> None:
    choice, task = run.arguments, run.task
    directory = model_directory(choice.model_path)
    fine_tuned = fine_tuning_log.best_score(task, fine_tuning_log.read(task, run.paths))
    model = load_model(directory, run.backbone, task, run.max_length, converted=True)
    tokenizer = load_tokenizer(str(directory))
    dev = load_examples(task, "validation", tokenizer, run.max_length, run.data_options)
    dev.require_labels("the choice of a factor on validation")
    fine_tuning_log.require_same_dev(run.paths, dev)
    curve = sweep(task, model, dev, choice.scales, choice.evaluation_batch_size)
    chosen = fastest_within(curve, fine_tuned - choice.max_loss)
    scales = {"fine_tuned": fine_tuned, "curve": curve, "chosen": chosen}
    write_json(run.paths.eta_scales(directory), scales)
    print(scales_table(task.primary_metric, scales))
    if chosen is None:
        limit = f"{fine_tuned - choice.max_loss:.4f} ({fine_tuned:.4f} fine-tuned minus --MAX_LOSS {choice.max_loss})"
        print(f"no factor keeps the dev score above {limit}; {directory} keeps its eta_scale")
    else:
        set_eta_scale(directory, chosen)
        print(f"eta_scale {chosen} is now in {directory / 'config.json'}")


def sweep(task: Task, model, dev: Examples, scales: list[float], batch_size: int) -> list[dict]:
    """One evaluation summary per factor, in ascending order of eta_scale."""
    curve = []
    for scale in sorted(set(scales)):
        predictions = predict(model, dev, batch_size, desc=f"eta_scale {scale}", eta_scale=scale)
        values = evaluation_summary(task, model, dev, predictions)
        curve.append({"eta_scale": scale, "score": values[task.primary_metric], **values})
    return curve


def fastest_within(curve: list[dict], lowest_score: float) -> float | None:
    """The factor of the largest speedup whose score is above `lowest_score`; of equal ones the smallest factor."""
    allowed = [point for point in curve if point["score"] > lowest_score]
    return max(allowed, key=lambda point: point["speedup"])["eta_scale"] if allowed else None


if __name__ == "__main__":
    run_stage("choose_eta_scale", ARGUMENTS, choose_eta_scale)
