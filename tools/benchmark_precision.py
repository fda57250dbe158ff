"""What --MIXED_PRECISION costs and gains: one AdapLeR in float32 and in bfloat16, on its task's dev set.

Scores, answers and lengths of both, and times in turns within one process: lr_mode on dev batches as they come, and the
joint training step on the same batches.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import tf_keras as keras

from tools.benchmark_training import as_training_batch, joint_step
from tools.checkpoints import load_saved, load_tokenizer, model_directory
from tools.data import load_examples
from tools.evaluation import lr_mode_agreement, predict, report
from tools.files import write_json
from tools.inference_variants import lr_mode
from tools.result_tables import precision_table
from tools.run_record import provenance
from tools.runtime import data_options, run_program, task_of
from tools.stopwatch import race

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
BATCHES = 8
ROUNDS = 7


def benchmark(settings: argparse.Namespace) -> None:
    task, directory = task_of(settings), model_directory(settings.model_path)
    models = {name: load_as(policy, directory) for name, policy in POLICIES.items()}
    length, batch_size = models["float32"].longest_input, settings.batch_size
    dev = load_examples(task, "validation", load_tokenizer(str(directory)), length, data_options(settings))
    predictions = {name: predict(model, dev, batch_size, name) for name, model in models.items()}
    few = dev.shuffled(0).take(np.arange(min(len(dev), BATCHES * batch_size)))
    batches = [as_training_batch(*batch) for batch in few.batches(batch_size)]
    inference = race(
        {name: lr_mode(model).run for name, model in models.items()},
        [inputs for inputs, _ in batches],
        ROUNDS,
        desc="lr_mode",
    )
    rows = {
        name: {
            **report(task, model, dev, predictions[name]),
            "lr_mode": lr_mode_agreement(model, dev, predictions[name], batch_size),
        }
        for name, model in models.items()
    }
    training = race({name: joint_step(model) for name, model in models.items()}, batches, ROUNDS, desc="joint step")
    answers = [values.logits.argmax(axis=1) for values in predictions.values()]
    result = {
        "kind": "precision",
        "task": task.name,
        "model": directory.name,
        "metric": task.primary_metric,
        "batch_size": batch_size,
        **provenance(),
        "precisions": rows,
        "same_answers": int(np.equal(*answers).sum()),
        "speedups": {
            "lr_mode": inference["bfloat16"].ratio(inference["float32"]),
            "joint training step": training["bfloat16"].ratio(training["float32"]),
        },
    }
    if settings.save:
        write_json(settings.save, result)
    print(precision_table(result))


def load_as(policy: str, directory: Path):
    """The saved model, computing as the Keras policy says."""
    keras.mixed_precision.set_global_policy(policy)
    try:
        return load_saved(directory, converted=True)
    finally:
        keras.mixed_precision.set_global_policy("float32")


if __name__ == "__main__":
    run_program("benchmark_precision", __doc__, benchmark)
