"""Stage 4: scores a model and counts its FLOPs on validation and test (or one --SPLIT).

MODEL_PATH is .h5 weights (say --LR_MODEL if they are an AdapLeR's) or a save_pretrained directory. Writes
logs/evaluation_<model>.json, and each example's FLOPs and lengths to logs/flops_per_example/<model>_<split>.npz.
"""

import argparse
import pickle
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from tools.checkpoints import load_model, tokenizer_of
from tools.data import load_examples
from tools.evaluation import Predictions, flops_per_example, lr_mode_agreement, predict, published_speedup, report
from tools.examples import Examples
from tools.files import replacing, write_json
from tools.paths import TaskPaths
from tools.runtime import data_options, eval_batch_size, run_stage, task_of


def evaluate(settings: argparse.Namespace, where: TaskPaths) -> None:
    task, options = task_of(settings), data_options(settings)
    tokenizer = tokenizer_of(settings.model_path, settings.backbone)
    model = load_model(settings.model_path, settings.backbone, task, settings.max_length, settings.lr_model)
    splits = [settings.split] if settings.split else task.evaluation_splits
    batch_size, results = eval_batch_size(settings), {}
    for split in splits:
        examples = load_examples(task, split, tokenizer, settings.max_length, options)
        predictions = predict(model, examples, batch_size, desc=split)
        results[split] = report(task, model, examples, predictions)
        write_flops(where.flops_per_example(settings.model_path, split), model, examples, predictions, settings)
        if settings.check_lr_mode and model.is_adapler and split == "validation":
            results[split]["lr_mode"] = lr_mode_agreement(model, examples, predictions, batch_size)
        if settings.as_published_flops and model.is_adapler:
            results[split]["published_speedup"] = published_speedup(predictions)
        for name, value in results[split].items():
            print(f"{split} {name}: {value}")
    write_json(where.evaluation(settings.model_path), {"model": str(settings.model_path), **results})


def write_flops(file: Path, model, examples: Examples, predictions: Predictions, settings: argparse.Namespace) -> None:
    """Row ids, FLOPs and lengths of every example as .npz; with --FLOPS_PICKLE also the published list of FLOPs."""
    flops = flops_per_example(model, predictions)
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        np.savez(temporary, row_ids=examples.row_ids, lengths=predictions.lengths, **flops)
    pickled = file.with_suffix(".pkl")
    pickled.unlink(missing_ok=True)  # an earlier evaluation's
    if settings.flops_pickle:
        with replacing(pickled) as temporary:
            temporary.write_bytes(pickle.dumps(flops["model"].tolist()))


if __name__ == "__main__":
    run_stage("evaluate", __doc__, evaluate)
