"""The removal rule of AdapLeR (paper, section 3.2) as pure tensor functions, independent of the model.

Shapes: B examples, n padded tokens; position 0 of every example is [CLS].

Soft masks have values in [0, 1]; training gives values between 0 and 1 to tokens that are partly removed.
- `removable` covers the tokens that may still be removed: 1 at real tokens, 0 at [CLS] and padding.
- `running_mask` is any soft mask that successive removals multiply, with or without [CLS].
"""

from __future__ import annotations

import tensorflow as tf

BETA = 0.1
"""Height of the gentle slope above the threshold, in units of 1 / lambda."""

MASKED = -10000.0
"""Value that BERT adds to the attention score of a masked token."""

INFERENCE_LAMBDA = 1e20
"""Slope at which the soft removal is a step function and equals the hard removal; it has no useful gradient."""

THETA_MIN = 1e-3
"""Least weight of [CLS]: it keeps theta, the factor on [CLS]'s share, from vanishing."""

_SMALLEST_MASK = 1e-6  # a mask value below it stays as it is
_TINY = 1e-15
_SMALLEST_DELTA = 1e-9  # keeps lambda / delta and its gradient finite in float32 where delta is 0


def removable_tokens(attention_mask: tf.Tensor) -> tf.Tensor:
    """Returns the attention mask [B, n] of 0/1 as float32 [B, n] with 0 at [CLS]."""
    mask = tf.cast(attention_mask, tf.float32)
    return mask * _not_cls(mask)


def effective_length(removable: tf.Tensor) -> tf.Tensor:
    """Returns the soft number of tokens that a layer runs on, [CLS] included: [B, n] -> [B]."""
    return tf.reduce_sum(removable, axis=-1) + 1.0


def contributions(scores: tf.Tensor, removable: tf.Tensor) -> tf.Tensor:
    """Returns the share of each token in the prediction, among [CLS] and the remaining tokens.

    Args:
        scores: a Contribution Predictor's raw scores, [B, n].
        removable: [B, n].

    Returns:
        float32 [B, n] that sums to 1 over each row. The softmax is taken after masking, so that a large score of a
        removed token does not cost the remaining tokens their precision.
    """
    sharing = _with_cls(removable, 1.0)
    scores = tf.cast(scores, tf.float32)
    highest = tf.reduce_max(tf.where(sharing > 0, scores, scores.dtype.min), axis=-1, keepdims=True)
    weights = tf.exp(tf.minimum(scores - tf.stop_gradient(highest), 0.0)) * sharing
    return weights / (tf.reduce_sum(weights, axis=-1, keepdims=True) + _TINY)


def weigh_cls(shares: tf.Tensor, weight: tf.Tensor | float) -> tf.Tensor:
    """Multiplies [CLS]'s share by `weight` (scalar, at least 0.001) and renormalises: [B, n] -> [B, n]."""
    weighed = shares * _with_cls(tf.ones_like(shares), tf.maximum(weight, THETA_MIN))
    return tf.math.divide_no_nan(weighed, tf.reduce_sum(weighed, axis=-1, keepdims=True))


def threshold(eta: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Returns delta = eta / N, the contribution below which a token is removed: scalar and [B] -> [B, 1]."""
    return (eta / length)[:, tf.newaxis]


def soft_removal(shares: tf.Tensor, delta: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    """Returns what the soft removal adds to each token's attention scores (paper, equation 6).

    The function consists of two lines that meet at delta: a steep one below it (slope lambda / delta, down to -10000)
    and a nearly flat one above it (from -beta / lambda up to 0), so that the gradient is not 0 on either side.

    Args:
        shares: contributions, [B, n].
        delta: thresholds, [B, 1]; 0 removes nothing.
        slope: lambda, a scalar.

    Returns:
        float32 [B, n] in [-10000, 0].
    """
    steepness = slope / tf.maximum(delta, _SMALLEST_DELTA)
    below = steepness * (shares - delta) - BETA / slope
    above = (shares - 1.0) * (BETA / slope) / (1.0 - delta + 1e-7)
    return tf.maximum(tf.minimum(tf.minimum(below, above), 0.0), MASKED)


def fade(running_mask: tf.Tensor, shares: tf.Tensor, delta: tf.Tensor, slope: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Applies one soft removal to a running mask.

    Args:
        running_mask: soft mask, [B, n] in [0, 1].
        shares, delta, slope: as in `soft_removal`.

    Returns:
        the mask after the removal, and the addition to the attention scores, both [B, n].
    """
    removal = soft_removal(shares, delta, slope) * running_mask
    return running_mask * tf.where(running_mask > _SMALLEST_MASK, tf.exp(removal), 1.0), removal


def hard_keep(shares: tf.Tensor, delta: tf.Tensor) -> tf.Tensor:
    """Returns which tokens stay at inference, [CLS] and contributions of at least delta: [B, n] -> bool [B, n]."""
    return (shares >= delta) | tf.cast(1.0 - _not_cls(shares), tf.bool)


def keep_cls(running_mask: tf.Tensor) -> tf.Tensor:
    """Returns a running mask with 1 at [CLS]: [B, n] -> [B, n]."""
    return _with_cls(running_mask, 1.0)


def _not_cls(like: tf.Tensor) -> tf.Tensor:
    """Returns ones [1, n] with a 0 at [CLS]."""
    return tf.cast(tf.range(tf.shape(like)[-1]) > 0, tf.float32)[tf.newaxis, :]


def _with_cls(values: tf.Tensor, at_cls: tf.Tensor | float) -> tf.Tensor:
    """Returns `values` [B, n] with position 0 replaced by `at_cls`."""
    others = _not_cls(values)
    return values * others + at_cls * (1.0 - others)
