"""Stage 4: scores a model and counts its FLOPs on validation and test, or on one --SPLIT.

MODEL_PATH is .h5 weights (with --LR_MODEL if they are an AdapLeR's) or a save_pretrained directory. Writes
logs/evaluation_<model>.json, and logits, FLOPs and lengths of each example to
logs/flops_per_example/<model>_<split>.npz.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES

if __name__ == "__main__":
    ARGUMENTS = parse(STAGES["evaluate"], __doc__)  # before the imports that take seconds

import json
import pickle

from tools.common.atomic_files import atomic_write, write_json
from tools.data.loading import load_examples
from tools.evaluation.evaluate import evaluation_summary, lr_mode_agreement, predict, published_speedup
from tools.evaluation.example_results import ExampleResults
from tools.runtime.checkpoints import load_model, tokenizer_of, weights_checksum
from tools.runtime.run import Run
from tools.runtime.stage import run_stage


def evaluate(run: Run) -> None:
    evaluation = run.arguments
    model_path, batch_size = evaluation.model_path, evaluation.evaluation_batch_size
    tokenizer = tokenizer_of(model_path, run.backbone)
    model = load_model(model_path, run.backbone, run.task, run.max_length, evaluation.lr_model)
    splits = [evaluation.split] if evaluation.split else run.task.evaluation_splits
    results = {}
    for split in splits:
        examples = load_examples(run.task, split, tokenizer, run.max_length, run.data_options)
        predictions = predict(model, examples, batch_size, desc=split)
        results[split] = evaluation_summary(run.task, model, examples, predictions)
        stored = ExampleResults.of(run.task, model, examples, predictions)
        file = run.paths.flops_per_example(model_path, split, model.eta_scale)
        stored.write(file)
        pickled = file.with_suffix(".pkl")
        pickled.unlink(missing_ok=True)  # an earlier evaluation's
        if evaluation.flops_pickle:
            with atomic_write(pickled) as temporary:
                temporary.write_bytes(pickle.dumps(stored.model.tolist()))
        if evaluation.check_lr_mode and model.is_adapler and split == "validation":
            results[split]["lr_mode"] = lr_mode_agreement(model, examples, predictions, batch_size)
        if evaluation.as_published_flops and model.is_adapler:
            results[split]["published_speedup"] = published_speedup(predictions)
        for name, value in results[split].items():
            print(f"{split} {name}: {value}")
        if not examples.labelled:
            print(
                f"{split}: {(examples.labels < 0).sum()} of {len(examples)} labels are hidden (-1), so it has no score"
            )
    file = run.paths.evaluation(model_path, model.eta_scale)
    facts = {"model": str(model_path), "weights": weights_checksum(model_path), "eta_scale": model.eta_scale}
    write_json(file, facts | other_splits(file, facts) | results)


def other_splits(file: Path, facts: dict) -> dict:
    """The results that an earlier evaluation of the same weights left in a file, by split."""
    try:
        earlier = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_same = all(earlier.get(name) == facts[name] for name in ("weights", "eta_scale"))
    return {name: values for name, values in earlier.items() if name not in facts} if is_same else {}


if __name__ == "__main__":
    run_stage("evaluate", ARGUMENTS, evaluate)
