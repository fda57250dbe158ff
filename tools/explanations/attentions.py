"""Attention as an explanation: mean over heads, and rollout."""

from __future__ import annotations

import tensorflow as tf


def mean_attentions(model, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
    """Attention of each layer, averaged over its heads: float32 [B, L, n, n]; a row holds what one token attends to."""
    outputs = model(inputs, training=False, output_attentions=True)
    return tf.stack([tf.reduce_mean(tf.cast(layer, tf.float32), axis=1) for layer in outputs.attentions], axis=1)


def rollout(attentions: tf.Tensor) -> tf.Tensor:
    """Attention rollout (Abnar and Zuidema, 2020): the residual added, rows normalised, layers multiplied.

    Args:
        attentions: [B, L, n, n].

    Returns:
        [B, L, n, n]: the share of each input token in each token of a layer's output.
    """
    mixed = attentions + tf.eye(tf.shape(attentions)[-1])
    mixed /= tf.reduce_sum(mixed, axis=-1, keepdims=True)
    layers = tf.unstack(mixed, axis=1)
    products = [layers[0]]
    for layer in layers[1:]:
        products.append(tf.matmul(layer, products[-1]))
    return tf.stack(products, axis=1)


def attention_rollouts(model, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
    """`rollout` of a model's `mean_attentions`: float32 [B, L, n, n]."""
    return rollout(mean_attentions(model, inputs))
