"""Prints the summary of one run of all stages, from the logs that the stages left.

MODEL_PATH is the AdapLeR of stage 3: its directory, or its .h5 weights. Writes
directory/results/<task>_<backbone>_<seed>.json, and with --SAVE the same to another file; RESULTS.md is made from the
files in results/ by tools.results.write_pages.
"""

from __future__ import annotations

import json
from pathlib import Path

from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES

if __name__ == "__main__":
    ARGUMENTS = parse(STAGES["summarize"], __doc__)  # before the imports that take seconds

import numpy as np

from tools.common.atomic_files import write_json
from tools.common.errors import UserError
from tools.common.paths import TaskPaths
from tools.data.rows import DataOptions, load_rows
from tools.data.tasks import Task
from tools.data.windows import documents_of
from tools.evaluation.example_results import ExampleResults
from tools.evaluation.intervals import paired_difference
from tools.evaluation.metrics import constant_score
from tools.explanations.token_traces import trace
from tools.explanations.token_views import as_text
from tools.results.tables import run_table
from tools.runtime import fine_tuning_log
from tools.runtime.checkpoints import load_model, saved_eta_scale, tokenizer_of, weights_checksum
from tools.runtime.run import Run
from tools.runtime.run_record import FINISHED, seconds
from tools.runtime.stage import run_stage


def summarize(run: Run) -> None:
    arguments = run.arguments
    summary = summary_of(run, arguments.model_path)
    for file in filter(None, (run.paths.summary, arguments.save)):
        write_json(file, summary)
    print(run_table(summary))
    tokenizer = tokenizer_of(arguments.model_path, run.backbone)
    model = load_model(arguments.model_path, run.backbone, run.task, run.max_length, converted=True)
    row = load_rows(run.task, "validation", DataOptions(arguments.data_dir, max_eval_examples=1))[0]
    print("\nOne validation example; layer by layer, the words that are left:")
    texts = [row[column] for column in run.task.text_columns]
    print(as_text(trace(model, tokenizer, texts, run.max_length)))


def summary_of(run: Run, model_path: Path) -> dict:
    """Arguments, times and scores of all stages of a run.

    Raises:
        UserError: a stage has not run to its end, or the model or an evaluation is not of the present weights.
    """
    paths = run.paths
    fine_tuning = fine_tuning_log.read(run.task, paths)
    best, current = fine_tuning_log.best_epochs(run.task, fine_tuning)[0], fine_tuning_log.checksum(fine_tuning)
    _require_current(paths, model_path, current)
    logs = [_adapler_log(paths, file) for file in paths.adapler_logs]
    records = {stage: _read(paths.run_folder(stage) / "run.json") for stage in ("fine_tune", "store_saliencies")}
    records["train_adapler"] = _read(paths.adapler_run_of(model_path) / "run.json")
    for stage, record in records.items():
        if record["exit"] != FINISHED:
            raise UserError(f"the stage {stage} has not run to its end ({record['exit']}); continue it with --RESUME")
    summary = {
        "task": run.task.name,
        "metric": run.task.primary_metric,
        "backbone": paths.name,
        "seed": paths.seed,
        "version": records["train_adapler"]["version"],
        "date": records["train_adapler"]["start"][: len("2026-01-31")],
        "commit": records["train_adapler"]["commit"],
        "machine": records["train_adapler"]["machine"],
        "settings": {stage: record["settings"] for stage, record in records.items()},
        "seconds": {stage: seconds(record) for stage, record in records.items()},
        "fine_tuning_scores": [epoch["validation"][run.task.primary_metric] for epoch in fine_tuning],
        "tried": [log for log in logs if log.get("fine_tuning", current) == current],  # earlier versions noted none
        "eta_scales": _eta_scales(paths, model_path),
        "bert": _evaluation(paths, paths.fine_tuned(best)),
        "adapler": _evaluation(paths, model_path),
    }
    summary["target_speedup"] = records["train_adapler"]["settings"].get("target_speedup")
    pair = paths.fine_tuned(best), model_path
    summary["splits"] = {
        split: _comparison(
            run.task, summary, split, *(paths.flops_per_example(m, split, saved_eta_scale(m)) for m in pair)
        )
        for split in run.task.evaluation_splits
        if run.task.primary_metric in summary["adapler"].get(split, {})
    }
    return portable(summary)


def _require_current(paths: TaskPaths, model_path: Path, fine_tuning: int) -> None:
    """Raises UserError if a model is of another stage 1 than the present one, or of an earlier run of its name."""
    log = _read(paths.adapler_log_of(model_path))
    if log.get("fine_tuning", fine_tuning) != fine_tuning:
        raise UserError(f"stage 1 was run again since {model_path} was trained; run stages 2 and 3 again")
    if log["chosen_epoch"] is None and paths.is_chosen(model_path):
        raise UserError(f"{model_path} is of an earlier run; the present one chose no epoch and has ..._lr_last alone")


def _comparison(task: Task, summary: dict, split: str, fine_tuned: Path, adapler: Path) -> dict:
    """Speedup, scores of both models and of the best constant answer, and the difference with its 95 % interval."""
    metric = task.primary_metric
    if metric not in summary["bert"].get(split, {}):
        raise UserError(f"the fine-tuned BERT has no score on {split}; evaluate it again without --SPLIT")
    before, after = ExampleResults.read(fine_tuned), ExampleResults.read(adapler)
    same_rows = np.array_equal(before.row_ids, after.row_ids)
    if not same_rows or not np.array_equal(before.lengths[:, 0], after.lengths[:, 0]):
        raise UserError(f"{fine_tuned} and {adapler} hold other examples; evaluate both models with the same flags")
    rows = after.scored
    documents = documents_of(after.row_ids[rows]) if task.windowed else None
    labels, *logits = (values[rows] for values in (after.labels, before.logits, after.logits))
    difference = paired_difference(metric, labels, *logits, documents)
    constant = constant_score(metric, labels, logits[0].shape[1])
    scores = {"score": summary["adapler"][split][metric], "fine_tuned": summary["bert"][split][metric]}
    scores["constant"] = constant
    if not np.isclose(scores["score"] - scores["fine_tuned"], difference["difference"]):
        raise UserError(
            f"{fine_tuned} or {adapler} is of another evaluation than the scores; evaluate both models again"
        )
    return {"speedup": summary["adapler"][split]["speedup"], **scores, **difference, "examples": int(rows.sum())}


def portable(value):
    """The value with absolute paths cut to their last part, which alone means something on another machine."""
    if isinstance(value, dict):
        return {key: portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [portable(item) for item in value]
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value


def _read(file: Path) -> dict:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"no {file}; run all stages first: run_files/run_task.sh") from error


def _adapler_log(paths: TaskPaths, file: Path) -> dict:
    """The log of an AdapLeR run, with the factors on eta that were tried on its model."""
    log = _read(file)
    model = paths.model_of_log(file, chosen=log["chosen_epoch"] is not None)
    return log | {"eta_scales": _eta_scales(paths, model)}


def _eta_scales(paths: TaskPaths, model_path: Path) -> dict | None:
    file = paths.eta_scales(model_path)
    return _read(file) if file.exists() else None


def _evaluation(paths: TaskPaths, model_path: Path) -> dict:
    """The scores of a model's present weights."""
    file = paths.evaluation(model_path, saved_eta_scale(model_path))
    scores = _read(file)
    if "validation" not in scores:
        raise UserError(f"{file} has no validation scores; run run_classification_evaluation.py without --SPLIT")
    if scores.get("weights") != weights_checksum(model_path):
        raise UserError(
            f"{file} is not of the weights in {model_path}, which were trained again since; run "
            f"run_files/run_classification_evaluation.py --TASK {paths.task} --MODEL_PATH {model_path}"
        )
    return scores


if __name__ == "__main__":
    run_stage("summarize", ARGUMENTS, summarize)
