"""Attention as an explanation: mean over heads, and rollout."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tools.data.examples import INPUTS_SPEC, Examples
from tools.runtime.devices import compiled


def mean_attentions(model, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
    """Attention of each layer, averaged over its heads: float32 [B, L, n, n], row by row to whom a token attends."""
    outputs = model(inputs, training=False, output_attentions=True)
    return tf.stack([tf.reduce_mean(tf.cast(layer, tf.float32), axis=1) for layer in outputs.attentions], axis=1)


def rollout(attentions: tf.Tensor) -> tf.Tensor:
    """Attention rollout (Abnar and Zuidema, 2020): the residual added, rows normalised, layers multiplied.

    Args:
        attentions: [B, L, n, n].

    Returns:
        [B, L, n, n]: for each layer, what its tokens take from the input's.
    """
    mixed = attentions + tf.eye(tf.shape(attentions)[-1])
    mixed /= tf.reduce_sum(mixed, axis=-1, keepdims=True)
    layers = tf.unstack(mixed, axis=1)
    products = [layers[0]]
    for layer in layers[1:]:
        products.append(tf.matmul(layer, products[-1]))
    return tf.stack(products, axis=1)


def compiled_attentions(model, with_rollout: bool):
    """A compiled function: inputs -> [B, L, n, n]."""

    @compiled(model, [INPUTS_SPEC])
    def compute(inputs):
        attentions = mean_attentions(model, inputs)
        return rollout(attentions) if with_rollout else attentions

    return compute


def each_attention(
    model, examples: Examples, batch_size: int, with_rollout: bool, only_last_layer: bool
) -> Iterator[np.ndarray]:
    """Attention of one example after the other, in their order, without padding: float32 [layers, n, n]."""
    compute = compiled_attentions(model, with_rollout)
    for inputs, _ in examples.batches(batch_size):
        layers = compute(inputs)
        layers = layers[:, -1:] if only_last_layer else layers
        lengths = inputs["attention_mask"].numpy().sum(axis=1)
        yield from (layer[:, :length, :length] for layer, length in zip(layers.numpy(), lengths, strict=True))
