"""Ways to run one model in TensorFlow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from transformers import TFBertForSequenceClassification

from tools.benchmarks.measurement import as_graph
from tools.data.examples import INPUTS_SPEC

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
"""Precision -> Keras's policy."""

RunFunction = Callable[[dict], list[np.ndarray]]
"""Inputs [batch, length] -> logits [batch, labels] and, of an AdapLeR, lengths [batch, layers]."""


def plain_graph(model) -> RunFunction:
    """transformers' BERT with the model's weights, compiled."""

    def run(inputs):
        return [tf.cast(TFBertForSequenceClassification.call(model, **inputs).logits, tf.float32)]

    return as_graph(run)


def lr_mode_graph(model) -> RunFunction:
    """lr_mode, compiled; `eta_scale` is the factor on eta (default: the model's)."""

    def run(batch):
        inputs, eta_scale = batch
        outputs = model(inputs, lr_mode=True, eta_scale=eta_scale)
        return [tf.cast(outputs.logits, tf.float32), tf.stack(outputs.lengths, axis=1)]

    graph, default = as_graph(run, (INPUTS_SPEC, tf.TensorSpec([], tf.float32))), model.eta_scale
    return lambda inputs, eta_scale=None: graph((inputs, default if eta_scale is None else eta_scale))
