"""The three losses of AdapLeR as pure functions; each gives one value per example, [B].

Means are left to the caller, which alone knows the size of the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tf_keras as keras

from models.length_reduction import effective_length, fade, keep_cls, removable_tokens, threshold, weigh_cls


def task_loss(labels: tf.Tensor, logits: tf.Tensor, class_weights: Sequence[float] | None) -> tf.Tensor:
    """Cross entropy times the weight of the example's label: int [B], [B, labels] -> [B].

    A regression, float labels [B] and one output, has the squared error in its place.
    """
    logits = tf.cast(logits, tf.float32)
    if logits.shape[-1] == 1:
        return tf.square(logits[:, 0] - tf.cast(labels, tf.float32))
    loss = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    return loss if class_weights is None else loss * tf.gather(tf.constant(class_weights, tf.float32), labels)


def length_loss(lengths: Sequence[tf.Tensor]) -> tf.Tensor:
    """Tokens left, summed over layers (paper, equation 8): L tensors [B] -> [B]."""
    return tf.add_n(list(lengths))


def contribution_loss(
    explanations: Sequence[tf.Tensor],
    saliency: tf.Tensor,
    attention_mask: tf.Tensor,
    eta: tf.Tensor,
    theta: tf.Tensor,
    slope: tf.Tensor,
) -> tf.Tensor:
    """How far the Contribution Predictors are from the saliencies of the tokens still alive (paper, equation 7).

    Args:
        explanations: predicted contributions of each layer, L tensors [B, n].
        saliency: saliencies of the input's tokens, [B, n], zero at padding. A row of zeros says nothing about its
            example, which then has no part in the loss.
        attention_mask: [B, n].
        eta, theta, slope: [L], [L-1] and a scalar.

    Returns:
        float32 [B]: sum over layers l = 0..L-1 of (L - l) * KL(target || prediction).
    """
    layers = len(explanations)
    saliency = tf.cast(saliency, tf.float32)
    known = tf.reduce_sum(saliency, axis=-1) > 0
    alive = tf.cast(attention_mask, tf.float32)
    total = tf.zeros_like(saliency[:, 0])
    for layer, predicted in enumerate(explanations):
        target = weigh_cls(saliency * alive, theta[layer - 1] if layer else 1.0)
        divergence = keras.losses.kl_divergence(target, predicted)
        weight = tf.stop_gradient(tf.reduce_max(removable_tokens(alive), axis=-1))
        total += (layers - layer) * tf.where(known, divergence * weight, 0.0)
        delta = threshold(eta[layer], effective_length(alive) - 1.0)
        alive = keep_cls(fade(alive, predicted, delta, slope)[0])
    return total
