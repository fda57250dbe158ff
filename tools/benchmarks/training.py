"""Times training: the joint step against plain fine-tuning, saliencies against a backward pass, and batches that are
padded to a fixed length, trimmed to their longest example, or made of examples of similar length.

One process, one backbone, real training batches of --TASK; everything takes turns. A ratio is the median of the rounds'
own, with the lowest and the highest.
"""

from __future__ import annotations

from tools.benchmarks.arguments import BenchmarkArguments
from tools.runtime.argument_parser import parse
from tools.runtime.arguments import RowArguments

if __name__ == "__main__":
    ARGUMENTS = parse([BenchmarkArguments, RowArguments], __doc__)  # before the imports that take seconds

from pathlib import Path

import numpy as np
import tensorflow as tf

from models.training_step import Objective, adam
from tools.benchmarks.timing import time_interleaved
from tools.common.atomic_files import write_json
from tools.common.provenance import provenance
from tools.data.examples import INPUTS_SPEC, Examples
from tools.data.loading import load_examples
from tools.data.tasks import Task, get_task
from tools.explanations.saliencies import gradient_x_input
from tools.results.tables import training_table
from tools.runtime.checkpoints import load_backbone, load_tokenizer, resolve_backbone
from tools.runtime.run import data_options
from tools.runtime.stage import run_program

BATCHES = 8
ROUNDS = 7


def benchmark(arguments: BenchmarkArguments) -> None:
    backbone, max_length = resolve_backbone(arguments.task, arguments.backbone), arguments.max_length
    task, tokenizer = get_task(arguments.task), load_tokenizer(backbone)
    options = data_options(arguments.data_dir, arguments)
    examples = load_examples(task, "train", tokenizer, max_length, options).shuffled(0)
    batch_size = min(arguments.batch_size, len(examples))
    batches = sample(examples, batch_size)
    times = time_interleaved(make_steps(backbone, task, max_length), batches, ROUNDS, desc="batches")
    result = {
        "kind": "training",
        "task": task.name,
        "backbone": Path(backbone).name,
        "labels": task.outputs,
        "max_length": max_length,
        "batch_size": batch_size,
        **provenance(),
        "seconds": {name: timing.total / len(batches) for name, timing in times.items()},
        "ratios": {
            "joint step / fine-tuning step": times["fine-tuning step"].ratio(times["joint step"]),
            "saliencies / forward and backward to h0": times["forward and backward to h0"].ratio(times["saliencies"]),
            "joint step, padded / trimmed": times["joint step"].ratio(times["joint step, padded"]),
            "joint step, padded / similar lengths": times["joint step, similar lengths"].ratio(
                times["joint step, padded"]
            ),
        },
    }
    if arguments.save:
        write_json(arguments.save, result)
    print(training_table(result))


def sample(examples: Examples, batch_size: int) -> list[tuple[tuple, tuple]]:
    """Batches of one epoch in pairs: one at random, and one of examples of similar length.

    The latter's lengths are spread evenly over all of the epoch's, so that they stand for it.
    """
    whole = len(examples) // batch_size
    count = min(BATCHES, whole)
    grouped = examples.grouped_by_length(batch_size, seed=0).take(np.arange(whole * batch_size))
    by_length = np.argsort(grouped.lengths.reshape(whole, batch_size).max(axis=1))
    spread = by_length[((np.arange(count) + 0.5) * whole / count).astype(int)]
    rows = spread[:, None] * batch_size + np.arange(batch_size)
    orders = examples.take(np.arange(count * batch_size)), grouped.take(rows.ravel())
    pairs = zip(*(order.batches(batch_size) for order in orders), strict=True)
    return [(as_training_batch(*one), as_training_batch(*other)) for one, other in pairs]


def make_steps(backbone: str, task: Task, max_length: int) -> dict:
    """Name -> function of a pair of batches that returns when the work is done."""
    plain = load_backbone(backbone, task, max_length)
    plain.compile(adam(1e-6, 10**6, 1, 1e-8), objective=Objective())
    joint = load_backbone(backbone, task, max_length, attention_probs_dropout_prob=0.0)
    joint.to_AdapLeR()
    explained = load_backbone(backbone, task, max_length)
    step = joint_step(joint)
    at_random = {
        "fine-tuning step": _step(plain),
        "joint step": step,
        "joint step, padded": lambda batch: step(pad(batch, max_length)),
        "saliencies": _saliencies(explained),
        "forward and backward to h0": _backward(explained),
    }
    variants = {name: lambda pair, run=run: run(pair[0]) for name, run in at_random.items()}
    return variants | {"joint step, similar lengths": lambda pair: step(pair[1])}


def joint_step(model):
    """Trains an AdapLeR on a batch, at rates so small that it stays as it is."""
    model.bert.encoder.removal_lambda.assign(10.0)
    model.compile(
        adam(1e-6, 10**6, 1, 1e-12),
        objective=Objective(gamma=0.05, phi=0.0005, clip_norm=1.0),
        speedup_optimizer=adam(1e-6, 10**6, 1, 1e-12),
    )
    return _step(model)


def _step(model):
    run = tf.function(lambda batch: model.train_step(batch)["loss"], reduce_retracing=True)
    return lambda batch: run(batch).numpy()


def _saliencies(model):
    @tf.function(input_signature=[INPUTS_SPEC, tf.TensorSpec([None], tf.int32)])
    def run(inputs, labels):
        return gradient_x_input(model, inputs, labels)

    return lambda batch: run(batch[0], batch[1]["labels"]).numpy()


def _backward(model):
    """What saliencies need at least: the gradient of one number an example with respect to the embeddings."""

    @tf.function(input_signature=[INPUTS_SPEC])
    def run(inputs):
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=False, output_hidden_states=True)
            first = outputs.logits[:, 0]
        return tape.gradient(first, outputs.hidden_states[0])

    return lambda batch: run(batch[0]).numpy()


def as_training_batch(inputs: dict, targets: dict) -> tuple[dict, dict]:
    """The batch with a saliency for every real token."""
    mask = tf.cast(inputs["attention_mask"], tf.float32)
    saliency = tf.random.stateless_uniform(tf.shape(mask), [0, 1]) * mask
    return inputs, {"labels": tf.cast(targets["labels"], tf.int32), "saliency": saliency}


def pad(batch: tuple[dict, dict], length: int) -> tuple[dict, dict]:
    """The batch padded to a fixed length."""

    def longer(tensor: tf.Tensor) -> tf.Tensor:
        return tensor if tensor.shape.rank < 2 else tf.pad(tensor, [[0, 0], [0, length - tensor.shape[1]]])

    return tf.nest.map_structure(longer, batch)


if __name__ == "__main__":
    run_program(ARGUMENTS, benchmark)
