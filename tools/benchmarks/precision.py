"""What --MIXED_PRECISION costs and gains: one AdapLeR in float32 and in bfloat16, on its task's dev set.

Scores, answers and lengths of both, and times in turns within one process: lr_mode on dev batches as they come, and the
joint training step on the same batches.
"""

from __future__ import annotations

from pathlib import Path

from tools.runtime.argument_parser import argument_group, flag, parse
from tools.runtime.argument_types import PositiveInt
from tools.runtime.arguments import RowArguments


@argument_group("benchmark")
class PrecisionArguments:
    model_path: Path = flag("AdapLeR: a save_pretrained directory, or the .h5 file beside it")
    task: str = flag("the model's task")
    data_dir: Path | None = flag("folder of local data sets (default: the hub)", None)
    batch_size: PositiveInt = flag("examples per batch", 32)
    save: Path | None = flag("also write the result to this JSON file", None)


if __name__ == "__main__":
    ARGUMENTS = parse([PrecisionArguments, RowArguments], __doc__)  # before the imports that take seconds


import numpy as np
import tf_keras as keras

from tools.benchmarks.timing import time_interleaved
from tools.benchmarks.training import as_training_batch, joint_step
from tools.benchmarks.variants import lr_mode
from tools.common.atomic_files import write_json
from tools.common.provenance import provenance
from tools.data.loading import load_examples
from tools.data.tasks import get_task
from tools.evaluation.evaluate import evaluation_summary, lr_mode_agreement, predict
from tools.results.tables import precision_table
from tools.runtime.checkpoints import load_saved, load_tokenizer, model_directory
from tools.runtime.run import data_options
from tools.runtime.stage import run_program

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
BATCHES = 8
ROUNDS = 7


def benchmark(arguments: PrecisionArguments) -> None:
    task, directory = get_task(arguments.task), model_directory(arguments.model_path)
    models = {name: load_as(policy, directory) for name, policy in POLICIES.items()}
    length, batch_size = models["float32"].longest_input, arguments.batch_size
    dev = load_examples(
        task, "validation", load_tokenizer(str(directory)), length, data_options(arguments.data_dir, arguments)
    )
    predictions = {name: predict(model, dev, batch_size, name) for name, model in models.items()}
    few = dev.shuffled(0).take(np.arange(min(len(dev), BATCHES * batch_size)))
    batches = [as_training_batch(*batch) for batch in few.batches(batch_size)]
    inference = time_interleaved(
        {name: lr_mode(model).run for name, model in models.items()},
        [inputs for inputs, _ in batches],
        ROUNDS,
        desc="lr_mode",
    )
    values = {
        name: {
            **evaluation_summary(task, model, dev, predictions[name]),
            "lr_mode": lr_mode_agreement(model, dev, predictions[name], batch_size),
        }
        for name, model in models.items()
    }
    training = time_interleaved(
        {name: joint_step(model) for name, model in models.items()}, batches, ROUNDS, desc="joint step"
    )
    answers = [outputs.logits.argmax(axis=1) for outputs in predictions.values()]
    result = {
        "kind": "precision",
        "task": task.name,
        "model": directory.name,
        "metric": task.primary_metric,
        "batch_size": batch_size,
        **provenance(),
        "precisions": values,
        "same_answers": int(np.equal(*answers).sum()),
        "speedups": {
            "lr_mode": inference["bfloat16"].ratio(inference["float32"]),
            "joint training step": training["bfloat16"].ratio(training["float32"]),
        },
    }
    if arguments.save:
        write_json(arguments.save, result)
    print(precision_table(result))


def load_as(policy: str, directory: Path):
    """The saved model, computing as the Keras policy says."""
    keras.mixed_precision.set_global_policy(policy)
    try:
        return load_saved(directory, converted=True)
    finally:
        keras.mixed_precision.set_global_policy("float32")


if __name__ == "__main__":
    run_program(ARGUMENTS, benchmark)
