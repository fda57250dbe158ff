"""Scores, lengths and FLOPs of a model on a split."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from models.length_reduction import INFERENCE_LAMBDA
from tools.data.examples import INPUTS_SPEC, Examples, has_evidence
from tools.data.tasks import Task
from tools.data.windows import document_logits
from tools.evaluation.metrics import score
from tools.flops.formulas import adapler_flops, bert_flops, published_adapler_flops, published_bert_flops
from tools.runtime.devices import compiled


@dataclass(frozen=True)
class Predictions:
    """A model's answers, in the examples' order.

    Attributes:
        logits: float32 [N, labels].
        lengths: tokens of the input, then those that each layer ran on, float64 [N, L+1].
        last_contributions: per example, how many contributions entering the last layer exceed its eta, int [N]
            (the count that the published code took for the last layer's length).
    """

    logits: np.ndarray
    lengths: np.ndarray
    last_contributions: np.ndarray


def predict(
    model, examples: Examples, batch_size: int, desc: str = "evaluating", eta_scale: float | None = None
) -> Predictions:
    """Runs a plain or converted model on all examples; removal is a step function, as in lr_mode.

    Args:
        eta_scale: factor on a converted model's thresholds (default: the config's).
    """
    scale = tf.constant(model.eta_scale if eta_scale is None else eta_scale, tf.float32)
    order = np.argsort(examples.lengths, kind="stable")  # batches of like lengths carry little padding
    batches = examples.take(order).batches(batch_size)
    run, parts = _forward(model, model.is_adapler), []
    with step_removal(model), tqdm(total=len(examples), desc=desc, unit="example", leave=False) as bar:
        for inputs, _ in batches:
            parts.append([None if tensor is None else tensor.numpy() for tensor in run(inputs, scale)])
            bar.update(len(parts[-1][0]))
    back = np.argsort(order)
    logits, reduced, last = (
        None if column[0] is None else np.concatenate(column)[back] for column in zip(*parts, strict=True)
    )
    entered = examples.lengths.astype(np.float64)[:, np.newaxis]
    if reduced is None:
        reduced = np.repeat(entered, model.config.num_hidden_layers, axis=1)
    return Predictions(logits, np.concatenate([entered, reduced], axis=1), last)


@lru_cache(maxsize=1)
def _forward(model, converted: bool):
    """The compiled pass of `predict`, kept from epoch to epoch."""

    @compiled(model, [INPUTS_SPEC, tf.TensorSpec([], tf.float32)])
    def run(inputs, eta_scale):
        if not converted:
            return model(inputs, training=False).logits, None, None
        outputs = model(inputs, training=False, eta_scale=eta_scale)
        last = tf.reduce_sum(
            tf.cast(outputs.explanations[-1] > model.bert.encoder.thresholds(eta_scale)[-1], tf.int32), axis=-1
        )
        return outputs.logits, tf.stack(outputs.lengths, axis=1), last

    return run


@contextmanager
def step_removal(model):
    """Within the block a converted model's removal has no slope; afterwards its lambda is as before."""
    if not model.is_adapler:
        yield
        return
    slope = model.bert.encoder.removal_lambda
    before = slope.numpy()
    slope.assign(INFERENCE_LAMBDA)
    try:
        yield
    finally:
        slope.assign(before)


def evaluation_summary(task: Task, model, examples: Examples, predictions: Predictions) -> dict:
    """What evaluation tells: the metrics (where labels are known), FLOPs speedup and mean lengths.

    Returns:
        {metric: value, "speedup": total BERT FLOPs / total FLOPs of this model, "mean_lengths": [L+1]}. Tasks of
        windows have the metrics of windows with evidence, and as document_<metric> those of documents, whose logits
        are the means over all of their windows that are in `examples`.
    """
    scores = _scores(task, examples, predictions.logits) if examples.labelled else {}
    flops = flops_per_example(model, predictions)
    return {
        **scores,
        "speedup": float(flops["bert"].sum() / flops["model"].sum()),
        "mean_lengths": predictions.lengths.mean(axis=0).round(4).tolist(),
        "examples": len(examples),
    }


def flops_per_example(model, predictions: Predictions) -> dict[str, np.ndarray]:
    """FLOPs of each example: `bert`, plain BERT on its unpadded length, and `model`, this model; float64 [N]."""
    plain = bert_flops(model.config, predictions.lengths[:, 0])
    return {"bert": plain, "model": adapler_flops(model.config, predictions.lengths) if model.is_adapler else plain}


def _scores(task: Task, examples: Examples, logits: np.ndarray) -> dict[str, float]:
    if not task.windowed:
        return score(task.metrics, examples.labels, logits)
    told = has_evidence(examples)
    by_document, first = document_logits(logits, examples.documents)
    whole = score(task.metrics, examples.labels[first], by_document)
    windows = score(task.metrics, examples.labels[told], logits[told])
    return windows | {f"document_{name}": value for name, value in whole.items()}


def published_speedup(predictions: Predictions) -> float:
    """The speedup as the published code counted it, for comparison with the paper's figures.

    It takes the number of contributions above eta, instead of eta / N, for the last layer's length, and BERT-base's
    closed forms for any model.
    """
    labels = int(predictions.logits.argmax(axis=-1).max()) + 1
    layers = np.concatenate([predictions.lengths[:, 1:-1], predictions.last_contributions[:, np.newaxis]], axis=1)
    plain = published_bert_flops(predictions.lengths[:, 0], labels).sum()
    return float(plain / published_adapler_flops(layers, labels).sum())


def lr_mode_agreement(model, examples: Examples, predictions: Predictions, batch_size: int) -> dict:
    """Compares lr_mode with the soft removal.

    Returns:
        how many examples have the same label (a regression: the same value within 1e-4) and the same length in every
        layer, and the largest difference of a logit.
    """
    parts = []
    for inputs, _ in tqdm(examples.batches(batch_size), desc="lr_mode", unit="batch", leave=False):
        outputs = model(inputs, lr_mode=True)
        parts.append((outputs.logits.numpy(), np.stack(outputs.lengths, axis=1)))
    logits, lengths = (np.concatenate(column) for column in zip(*parts, strict=True))
    apart = np.abs(logits - predictions.logits)
    regression = logits.shape[1] == 1
    same = apart[:, 0] < 1e-4 if regression else logits.argmax(axis=1) == predictions.logits.argmax(axis=1)
    return {
        "examples": len(examples),
        "same_label": int(same.sum()),
        "same_lengths": int((lengths == predictions.lengths[:, 1:]).all(axis=1).sum()),
        "largest_logit_difference": float(apart.max()),
    }
