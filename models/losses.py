"""The losses of AdapLeR as pure functions; each returns one value per example, [B].

The caller computes the means, because only the caller knows the size of the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tf_keras as keras

from models.length_reduction import effective_length, fade, keep_cls, removable_tokens, threshold, weigh_cls


def task_loss(labels: tf.Tensor, logits: tf.Tensor, class_weights: Sequence[float] | None) -> tf.Tensor:
    """Returns the cross entropy times the weight of the example's label: int [B], [B, labels] -> [B].

    For a regression, with float labels [B] and one output, the loss is the squared error.
    """
    logits = tf.cast(logits, tf.float32)
    if logits.shape[-1] == 1:
        return tf.square(logits[:, 0] - tf.cast(labels, tf.float32))
    loss = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    return loss if class_weights is None else loss * tf.gather(tf.constant(class_weights, tf.float32), labels)


def distillation_loss(teacher_logits: tf.Tensor, logits: tf.Tensor, temperature: float) -> tf.Tensor:
    """Returns the divergence of the predictions from the teacher's, softened: [B, labels] twice -> [B].

    KL(teacher || prediction) at the temperature, times its square; for a regression the squared error.
    """
    logits = tf.cast(logits, tf.float32)
    if logits.shape[-1] == 1:
        return tf.square(logits[:, 0] - teacher_logits[:, 0])
    target = tf.nn.log_softmax(teacher_logits / temperature)
    prediction = tf.nn.log_softmax(logits / temperature)
    return temperature**2 * tf.reduce_sum(tf.exp(target) * (target - prediction), axis=-1)


def length_loss(lengths: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the remaining tokens summed over layers (paper, equation 8): L tensors [B] -> [B]."""
    return tf.add_n(list(lengths))


def contribution_loss(
    explanations: Sequence[tf.Tensor],
    saliency: tf.Tensor,
    attention_mask: tf.Tensor,
    eta: tf.Tensor,
    theta: tf.Tensor,
    slope: tf.Tensor,
) -> tf.Tensor:
    """Returns the divergence of the predicted contributions from the saliencies (paper, equation 7).

    The target of a layer is the saliency of the tokens that remain there, normalised.

    Args:
        explanations: predicted contributions of each layer, L tensors [B, n].
        saliency: saliencies of the input's tokens, [B, n], zero at padding. A row of zeros gives the loss 0.
        attention_mask: [B, n].
        eta: thresholds as the forward pass uses them, [L].
        theta: weights of [CLS]'s saliency from the second layer on, [L-1].
        slope: lambda, a scalar.

    Returns:
        float32 [B]: sum over layers l = 0..L-1 of (L - l) * KL(target || prediction).
    """
    layers = len(explanations)
    saliency = tf.cast(saliency, tf.float32)
    known = tf.reduce_sum(saliency, axis=-1) > 0
    target_mask = tf.cast(attention_mask, tf.float32)
    total = tf.zeros_like(saliency[:, 0])
    for layer, predicted in enumerate(explanations):
        target = weigh_cls(saliency * target_mask, theta[layer - 1] if layer else 1.0)
        divergence = keras.losses.kl_divergence(target, predicted)
        weight = tf.stop_gradient(tf.reduce_max(removable_tokens(target_mask), axis=-1))
        total += (layers - layer) * tf.where(known, divergence * weight, 0.0)
        delta = threshold(eta[layer], effective_length(target_mask) - 1.0)
        target_mask = keep_cls(fade(target_mask, predicted, delta, slope)[0])
    return total
