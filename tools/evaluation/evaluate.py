"""Scores, lengths and FLOPs of a model on a split."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from models.length_reduction import INFERENCE_LAMBDA
from tools.data.examples import INPUTS_SPEC, Examples, has_evidence
from tools.data.tasks import Task
from tools.data.windows import document_logits
from tools.evaluation.metrics import same_answers, score
from tools.flops.formulas import adapler_flops, bert_flops, published_adapler_flops, published_bert_flops
from tools.runtime.batches import collect_results, compiled_once


@dataclass(frozen=True)
class Predictions:
    """The outputs of a model, in the order of the examples.

    Attributes:
        logits: float32 [N, labels].
        lengths: tokens of the input, then those that each layer ran on, float64 [N, L+1].
        last_contributions: contributions entering the last layer that exceed its eta, int [N]: what the published code
            took for the last layer's length; 0 for a plain BERT.
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
    forward = compiled_once(_forward, model, [INPUTS_SPEC, tf.TensorSpec([], tf.float32)])
    scale = tf.constant(model.eta_scale if eta_scale is None else eta_scale, tf.float32)
    with step_removal(model):
        rows = collect_results(lambda inputs, _: forward(inputs, scale), examples, batch_size, desc)
    logits, lengths, last_contributions = (np.stack(column) for column in zip(*rows, strict=True))
    return Predictions(logits.astype(np.float32), lengths.astype(np.float64), last_contributions)


def _forward(model, inputs: dict[str, tf.Tensor], eta_scale: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The fields of `Predictions` for one batch."""
    tokens = tf.reduce_sum(tf.cast(inputs["attention_mask"], tf.float32), axis=1)
    if not model.is_adapler:
        lengths = [tokens] * (model.config.num_hidden_layers + 1)
        return model(inputs, training=False).logits, tf.stack(lengths, axis=1), tf.zeros_like(tokens, tf.int32)
    outputs = model(inputs, training=False, eta_scale=eta_scale)
    last_eta = model.bert.encoder.thresholds(eta_scale)[-1]
    above_eta = tf.reduce_sum(tf.cast(outputs.explanations[-1] > last_eta, tf.int32), axis=-1)
    return outputs.logits, tf.stack([tokens, *outputs.lengths], axis=1), above_eta


@contextmanager
def step_removal(model):
    """Within the block a converted model's removal has no slope; afterwards its lambda is as before."""
    if not model.is_adapler:
        yield
        return
    removal_lambda = model.bert.encoder.removal_lambda
    before = removal_lambda.numpy()
    removal_lambda.assign(INFERENCE_LAMBDA)
    try:
        yield
    finally:
        removal_lambda.assign(before)


def evaluation_summary(task: Task, model, examples: Examples, predictions: Predictions) -> dict:
    """The metrics of a split (where its labels are known), FLOPs speedup and mean lengths.

    Returns:
        {metric: value, "speedup": total BERT FLOPs / total FLOPs of this model, "mean_lengths": [L+1], "examples": N}.
        Tasks of windows have the metrics of windows with evidence, and as document_<metric> those of documents, whose
        logits are the means over all of their windows that are in `examples`.
    """
    return {
        **(_scores(task, examples, predictions.logits) if examples.labelled else {}),
        "speedup": flops_speedup(model, predictions),
        "mean_lengths": predictions.lengths.mean(axis=0).round(4).tolist(),
        "examples": len(examples),
    }


def _scores(task: Task, examples: Examples, logits: np.ndarray) -> dict[str, float]:
    if not task.windowed:
        return score(task.metrics, examples.labels, logits)
    evidence = scored_rows(task, examples)
    windows = score(task.metrics, examples.labels[evidence], logits[evidence])
    logits_by_document, first = document_logits(logits, examples.documents)
    documents = score(task.metrics, examples.labels[first], logits_by_document)
    return windows | {f"document_{name}": value for name, value in documents.items()}


def scored_rows(task: Task, examples: Examples) -> np.ndarray:
    """The examples that the primary metric counts, bool [N]: all, or the windows with evidence."""
    return has_evidence(examples) if task.windowed else np.ones(len(examples), bool)


def flops_per_example(model, predictions: Predictions) -> dict[str, np.ndarray]:
    """FLOPs of each example: `bert`, plain BERT on its unpadded length, and `model`, this model; float64 [N]."""
    bert = bert_flops(model.config, predictions.lengths[:, 0])
    return {"bert": bert, "model": adapler_flops(model.config, predictions.lengths) if model.is_adapler else bert}


def flops_speedup(model, predictions: Predictions) -> float:
    """Total FLOPs of plain BERT over those of this model, without padding."""
    flops = flops_per_example(model, predictions)
    return float(flops["bert"].sum() / flops["model"].sum())


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

    def run(inputs, _):
        outputs = model(inputs, lr_mode=True)
        return outputs.logits, tf.stack(outputs.lengths, axis=1)

    rows = collect_results(run, examples, batch_size, "lr_mode")
    logits, lengths = (np.stack(column) for column in zip(*rows, strict=True))
    return {
        "examples": len(examples),
        "same_label": int(same_answers(predictions.logits, logits).sum()),
        "same_lengths": int((lengths == predictions.lengths[:, 1:]).all(axis=1).sum()),
        "largest_logit_difference": float(np.abs(logits - predictions.logits).max()),
    }
