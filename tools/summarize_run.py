"""Prints what one run of all stages came to, from the logs that the stages left.

MODEL_PATH is the AdapLeR weights of stage 3. Writes directory/results/<task>_<backbone>_<seed>.json, and with --SAVE
the same to another file; from those in results/, tools/write_results.py makes RESULTS.md.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import fine_tuning_log
from tools.checkpoints import load_model, tokenizer_of
from tools.data import DataOptions, load_rows
from tools.errors import UserError
from tools.files import write_json
from tools.paths import TaskPaths
from tools.result_tables import run_table
from tools.run_record import seconds
from tools.runtime import run_stage, task_of
from tools.token_provenance import trace
from tools.token_views import as_text


def summarize(settings: argparse.Namespace, where: TaskPaths) -> None:
    task = task_of(settings)
    best = fine_tuning_log.best_epochs(task, fine_tuning_log.read(task, where))[0]
    records = {stage: _read(where.run_folder(stage) / "run.json") for stage in ("fine_tune", "store_saliencies")}
    records["train_adapler"] = _read(where.adapler_run_of(settings.model_path) / "run.json")
    summary = {
        "task": task.name,
        "metric": task.primary_metric,
        "backbone": where.name,
        "seed": where.seed,
        "commit": records["train_adapler"]["commit"],
        "machine": records["train_adapler"]["machine"],
        "settings": {stage: record["settings"] for stage, record in records.items()},
        "seconds": {stage: seconds(record) for stage, record in records.items()},
        "tried": [_tried(where, log) for log in where.adapler_logs],
        "eta_scales": _read_if_there(where.eta_scales(settings.model_path)),
        "bert": _evaluation(where.evaluation(where.fine_tuned(best))),
        "adapler": _evaluation(where.evaluation(settings.model_path)),
    }
    for file in (where.summary, *([settings.save] if settings.save else [])):
        write_json(file, portable(summary))
    print(run_table(summary))
    tokenizer = tokenizer_of(settings.model_path, settings.backbone)
    model = load_model(settings.model_path, settings.backbone, task, settings.max_length, converted=True)
    row = load_rows(task, "validation", DataOptions(settings.data_dir, max_eval_examples=1))[0]
    print("\nOne validation example; layer by layer, the words that are left:")
    texts = [row[column] for column in task.text_columns]
    print(as_text(trace(model, tokenizer, texts, settings.max_length)))


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


def _tried(where: TaskPaths, log_file: Path) -> dict:
    """The log of an AdapLeR run, with what the speed dial does to the model that it led to."""
    log = _read(log_file)
    model = log_file.name.removesuffix("_logs.json") + ("" if log["chosen_epoch"] else "_last")
    return log | {"eta_scales": _read_if_there(where.eta_scales(Path(model)))}


def _evaluation(file: Path) -> dict:
    scores = _read(file)
    if "validation" not in scores:
        raise UserError(f"{file} has no validation scores; run run_classification_evaluation.py without --SPLIT")
    return scores


def _read_if_there(file: Path) -> dict | None:
    return _read(file) if file.exists() else None


if __name__ == "__main__":
    run_stage("summarize", __doc__, summarize)
