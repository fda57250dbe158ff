"""Times training: the joint step against fine-tuning, saliencies against a backward pass, and ways to make batches.

Batches are padded to a fixed length, trimmed to their longest example, or made of examples of similar length. One
process runs everything in turns, on one backbone and real training batches of --TASK. A ratio is the median of the
rounds' ratios, with the lowest and the highest.
"""

from __future__ import annotations

from tools.benchmarks.arguments import BatchedBackboneArguments
from tools.runtime.argument_parser import parse

if __name__ == "__main__":
    ARGUMENTS = parse([BatchedBackboneArguments], __doc__)  # before the imports that take seconds

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from models.objective import Objective, adam
from tools.benchmarks.measurement import as_graph, finish, time_interleaved, time_ratio
from tools.data.examples import INPUTS_SPEC, Examples
from tools.data.loading import load_examples
from tools.data.rows import DataOptions
from tools.data.tasks import Task, get_task
from tools.explanations.saliencies import gradient_x_input
from tools.results.tables import training_table
from tools.runtime.checkpoints import load_backbone, load_tokenizer, resolve_backbone
from tools.runtime.program import run_program

BATCHES = 8
ROUNDS = 7
BATCH_SPEC = (INPUTS_SPEC, {"labels": tf.TensorSpec([None], tf.int32), "saliency": tf.TensorSpec([None, None])})
Batch = tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]
"""Inputs and targets."""


def benchmark(arguments: BatchedBackboneArguments) -> None:
    backbone, max_length = resolve_backbone(arguments.task, arguments.backbone), arguments.max_length
    task, options = get_task(arguments.task), DataOptions(arguments.data_dir, arguments.max_train_examples)
    examples = load_examples(task, "train", load_tokenizer(backbone), max_length, options).shuffled(0)
    batch_size = min(arguments.batch_size, len(examples))
    batches = sample(examples, batch_size)
    times = time_interleaved(make_steps(backbone, task, max_length), batches, ROUNDS, desc="batches")
    ratios = {
        "joint step / fine-tuning step": ("joint step", "fine-tuning step"),
        "saliencies / forward and backward to h0": ("saliencies", "forward and backward to h0"),
        "joint step, padded / trimmed": ("joint step, padded", "joint step"),
        "joint step, padded / similar lengths": ("joint step, padded", "joint step, similar lengths"),
    }
    result = {"kind": "training", "task": task.name, "backbone": Path(backbone).name, "labels": task.outputs}
    result |= {"max_length": max_length, "batch_size": batch_size}
    result["seconds"] = {name: float(np.median(seconds.mean(axis=1))) for name, seconds in times.items()}
    result["ratios"] = {name: time_ratio(times[slow], times[fast]) for name, (slow, fast) in ratios.items()}
    finish(result, training_table(result), arguments.save)


def sample(examples: Examples, batch_size: int) -> list[tuple[Batch, Batch]]:
    """Pairs of training batches: one at random, and one of examples of similar length.

    The lengths of the second are spread evenly over those of the whole epoch, so that they represent it.
    """
    count = min(BATCHES, len(examples) // batch_size)
    grouped = examples.reshuffled_batches(batch_size, seed=0, by_length=True)
    whole = [batch for batch in grouped if len(batch[1]["labels"]) == batch_size]
    by_length = sorted(whole, key=lambda batch: batch[0]["input_ids"].shape[1])
    spread = [by_length[int((index + 0.5) * len(by_length) / count)] for index in range(count)]
    at_random = examples.batches(batch_size).take(count)
    return [(with_saliency(one), with_saliency(other)) for one, other in zip(at_random, spread, strict=True)]


def with_saliency(batch: tuple[dict, dict]) -> Batch:
    """The batch with a random saliency for every token that is not padding."""
    inputs, targets = batch
    mask = tf.cast(inputs["attention_mask"], tf.float32)
    saliency = tf.random.stateless_uniform(tf.shape(mask), [0, 1]) * mask
    return inputs, {"labels": tf.cast(targets["labels"], tf.int32), "saliency": saliency}


def make_steps(backbone: str, task: Task, max_length: int) -> dict[str, Callable]:
    """Name -> function of a pair of batches that returns when the work is done."""
    model = load_backbone(backbone, task, max_length)
    converted = load_backbone(backbone, task, max_length, attention_probs_dropout_prob=0.0)
    converted.to_AdapLeR()
    fine_tune, train_jointly = training_step(load_backbone(backbone, task, max_length)), training_step(converted)

    def gradient_of_first_logit(batch: Batch) -> tf.Tensor:
        with tf.GradientTape() as tape:  # the least that saliencies need: a gradient with respect to the embeddings
            outputs = model(batch[0], training=False, output_hidden_states=True)
            first_logit = outputs.logits[:, 0]
        return tape.gradient(first_logit, outputs.hidden_states[0])

    def pad(tensor: tf.Tensor) -> tf.Tensor:
        return tensor if tensor.shape.rank < 2 else tf.pad(tensor, [[0, 0], [0, max_length - tensor.shape[1]]])

    backward = as_graph(gradient_of_first_logit, BATCH_SPEC)
    saliencies = as_graph(lambda batch: gradient_x_input(model, batch[0], batch[1]["labels"]), BATCH_SPEC)
    return {
        "fine-tuning step": lambda pair: fine_tune(pair[0]),
        "joint step": lambda pair: train_jointly(pair[0]),
        "joint step, padded": lambda pair: train_jointly(tf.nest.map_structure(pad, pair[0])),
        "saliencies": lambda pair: saliencies(pair[0]),
        "forward and backward to h0": lambda pair: backward(pair[0]),
        "joint step, similar lengths": lambda pair: train_jointly(pair[1]),
    }


def training_step(model) -> Callable[[Batch], np.ndarray]:
    """A step of fine-tuning, or of an AdapLeR's joint training, at rates so small that the model hardly changes."""
    objective = Objective()
    if model.is_adapler:
        model.bert.encoder.removal_lambda.assign(10.0)
        objective = Objective(gamma=0.05, phi=0.0005, clip_norm=1.0)
    optimizer, speedup_optimizer = (adam(1e-6, 10**6, 1, epsilon=1e-8) for _ in range(2))
    model.compile(optimizer, objective=objective, speedup_optimizer=speedup_optimizer)
    return as_graph(lambda batch: model.train_step(batch)["loss"], BATCH_SPEC)


if __name__ == "__main__":
    run_program(ARGUMENTS, benchmark)
