"""Measures what --MIXED_PRECISION costs and gains: one AdapLeR in float32 and in bfloat16, on its task's dev set.

Compares scores, answers and lengths, and times both in turns within one process: lr_mode on dev batches as they come,
and the joint training step on the same batches.
"""

from __future__ import annotations

from tools.benchmarks.arguments import PrecisionArguments
from tools.runtime.argument_parser import parse

if __name__ == "__main__":
    ARGUMENTS = parse([PrecisionArguments], __doc__)  # before the imports that take seconds

import tf_keras as keras

from tools.benchmarks.measurement import finish, time_interleaved, time_ratio
from tools.benchmarks.training import BATCHES, ROUNDS, training_step, with_saliency
from tools.benchmarks.variants import POLICIES, lr_mode_graph
from tools.data.loading import load_examples
from tools.data.rows import DataOptions
from tools.data.tasks import get_task, hold_out
from tools.evaluation.evaluate import evaluation_summary, lr_mode_agreement, predict
from tools.evaluation.metrics import SAME_ROUNDED_VALUE, same_answers
from tools.results.tables import precision_table
from tools.runtime.checkpoints import load_saved, load_tokenizer, model_directory, weights_checksum
from tools.runtime.program import run_program


def benchmark(arguments: PrecisionArguments) -> None:
    task, directory = get_task(arguments.task), model_directory(arguments.model_path)
    if arguments.hold_out:
        task = hold_out(task, arguments.hold_out)
    models, weights = {}, weights_checksum(directory)
    for name, policy in POLICIES.items():
        keras.mixed_precision.set_global_policy(policy)
        models[name] = load_saved(directory, converted=True)
    keras.mixed_precision.set_global_policy("float32")
    length, batch_size = models["float32"].longest_input, arguments.batch_size
    options = DataOptions(arguments.data_dir, max_eval_examples=arguments.max_eval_examples)
    dev = load_examples(task, "validation", load_tokenizer(str(directory)), length, options)
    summaries, logits = {}, []
    for name, model in models.items():
        predictions = predict(model, dev, batch_size, name)
        logits.append(predictions.logits)
        agreement = lr_mode_agreement(model, dev, predictions, batch_size)
        summaries[name] = evaluation_summary(task, model, dev, predictions) | {"lr_mode": agreement}
    batches = [with_saliency(batch) for batch in dev.shuffled(0).batches(batch_size).take(BATCHES)]
    runs = {name: lr_mode_graph(model) for name, model in models.items()}
    inference = time_interleaved(runs, [inputs for inputs, _ in batches], ROUNDS, desc="lr_mode")
    steps = {name: training_step(model) for name, model in models.items()}
    training = time_interleaved(steps, batches, ROUNDS, desc="joint step")
    speedups = {
        "lr_mode": time_ratio(inference["float32"], inference["bfloat16"]),
        "joint training step": time_ratio(training["float32"], training["bfloat16"]),
    }
    result = {"kind": "precision", "task": task.name, "model": directory.name, "weights": weights}
    result |= {"metric": task.primary_metric, "batch_size": batch_size, "precisions": summaries}
    result |= {"same_answers": int(same_answers(*logits, SAME_ROUNDED_VALUE).sum()), "speedups": speedups}
    finish(result, precision_table(result), arguments.save)


if __name__ == "__main__":
    run_program(ARGUMENTS, benchmark)
