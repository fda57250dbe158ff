"""Faults in the method's formulas."""

from __future__ import annotations

from tests.faults.fault import Fault
from tests.faults.places import (
    ALL_STEPS_3,
    CONTRIBUTION_LOSS,
    CONTRIBUTIONS,
    ENCODER,
    FLAGS,
    LOSSES,
    PACKING,
    REMOVAL,
    SOFT_IS_HARD,
    SOFT_PASS,
    SOFT_REMOVAL,
    STEP,
)

METHOD_FAULTS = (
    Fault("sign of the soft removal", REMOVAL, "(shares - delta) - BETA", "(delta - shares) - BETA", SOFT_REMOVAL),
    Fault("beta 0.11", REMOVAL, "BETA = 0.1\n", "BETA = 0.11\n", SOFT_REMOVAL),
    Fault("eta / N -> eta", REMOVAL, "return (eta / length)[", "return (eta + 0.0 * length)[", SOFT_PASS),
    Fault(
        "contributions not normalised",
        REMOVAL,
        "return weights / (tf.reduce_sum(weights, axis=-1, keepdims=True) + _TINY)",
        "return weights",
        CONTRIBUTIONS,
    ),
    Fault(
        "shares not normalised after theta",
        REMOVAL,
        "return tf.math.divide_no_nan(weighed, tf.reduce_sum(weighed, axis=-1, keepdims=True))",
        "return weighed",
        CONTRIBUTION_LOSS,
    ),
    Fault(
        "length without [CLS]",
        REMOVAL,
        "return tf.reduce_sum(removable, axis=-1) + 1.0",
        "return tf.reduce_sum(removable, axis=-1)",
        SOFT_PASS,
    ),
    Fault(
        "wrong axis of the softmax's sum",
        REMOVAL,
        "tf.reduce_sum(weights, axis=-1, keepdims=True)",
        "tf.reduce_sum(weights, axis=0, keepdims=True)",
        CONTRIBUTIONS,
    ),
    Fault("> instead of >= at the threshold", REMOVAL, "(shares >= delta)", "(shares > 1.01 * delta)", SOFT_IS_HARD),
    Fault(
        "soft mask does not accumulate",
        ENCODER,
        "additive_mask = tf.maximum(additive_mask + removal, MASKED)",
        "additive_mask = tf.maximum((1.0 - tf.cast(attention_mask, tf.float32)) * MASKED + removal, MASKED)",
        SOFT_PASS,
    ),
    Fault(
        "packing off by one",
        PACKING,
        "self.starts = tf.cumsum(lengths, exclusive=True)",
        "self.starts = tf.cumsum(lengths, exclusive=True) + 1",
        SOFT_IS_HARD,
    ),
    Fault("packed examples swapped", PACKING, "tf.gather(padding_before, rows)", "padding_before[0]", SOFT_IS_HARD),
    Fault("layers weighed alike in the CP loss", LOSSES, "(layers - layer) * tf.where", "tf.where", CONTRIBUTION_LOSS),
    Fault(
        "absolute instead of squared error",
        LOSSES,
        "return tf.square(logits[:, 0] - tf.cast(labels, tf.float32))",
        "return tf.abs(logits[:, 0] - tf.cast(labels, tf.float32))",
        (f"{FLAGS}::test_a_regression_descends_the_squared_error",),
    ),
    Fault("theta's gradient not divided", STEP, "probe / (encoder.theta + _TINY_THETA)", "2.0 * probe", ALL_STEPS_3),
)
