"""Training towards a FLOPs speedup: feedback that moves all thresholds together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf
import tf_keras as keras

from models.length_reduction import effective_length, hard_keep, removable_tokens, threshold

RAMP = 0.4
"""Fraction of the steps in which the asked cost falls from BERT's to the target."""
MEMORY = 0.02
"""Memory of the running costs, as a fraction of the steps."""
GAIN, LARGEST_MOVE = 20.0, 5.0
"""Feedback per relative error, and its limit, in thresholds per run: both are divided by the number of steps."""
PRESSURE_GAIN = 30.0
"""Growth of the penalty's weight per relative error and run."""
SETTLED = 0.6
"""Fraction of the steps after which the thresholds have settled, so that the target can be corrected."""
LARGEST_CORRECTION = 2.0


class SpeedTarget(tf.Module):
    """Keeps the cost of the training batches at the asked fraction of BERT's FLOPs.

    The fraction falls linearly from 1 to 1 / speedup during the first 40 % of the steps. A penalty in the speed loss,
    whose weight integrates the error, distributes the removal over the layers. Feedback after each step moves every
    eta by a multiple of the relative error. All gains are per run, so they hold for any number of steps.

    Dev may need another fraction than the training examples at the same thresholds. `correct` makes the target hold for
    dev: training is asked for `speedup / correction`.

    Args:
        speedup: ratio of summed FLOPs, BERT over AdapLeR, without padding; above 1.
        steps: optimiser steps of the run.
        flops: token counts [B, L+1], of the input and of each layer -> FLOPs of AdapLeR [B] and of BERT [B].
        mean_bert_flops: BERT's FLOPs per training example.
    """

    def __init__(self, speedup: float, steps: int, flops: Callable, mean_bert_flops: float):
        super().__init__()
        self.speedup, self.steps, self.flops, self.mean_bert_flops = speedup, steps, flops, mean_bert_flops
        self.step, self.excess, self.bert_cost, self.pressure = (
            tf.Variable(0.0, trainable=False, name=name, aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
            for name in ("step", "excess_flops", "bert_flops", "pressure")
        )
        self.correction = tf.Variable(1.0, trainable=False, name="correction")
        self._mover = keras.optimizers.legacy.SGD(1.0)  # applies eta's constraint, on one device or several

    def ratio(self) -> tf.Tensor:
        """The fraction of BERT's FLOPs that is asked for at this step."""
        progress = tf.minimum(self.step / (RAMP * self.steps), 1.0)
        return 1.0 + (self.correction / self.speedup - 1.0) * progress

    def is_settled(self) -> bool:
        """Whether enough steps are done for `correct`."""
        return bool(self.step >= SETTLED * self.steps)

    def correct(self, dev_speedup: float, train_speedup: float) -> None:
        """Makes the target hold for dev from here on.

        Args:
            dev_speedup, train_speedup: FLOPs speedups of dev and of training examples, with the weights as they are.
        """
        most = min(LARGEST_CORRECTION, self.speedup)  # the asked fraction is at most 1
        self.correction.assign(tf.clip_by_value(dev_speedup / train_speedup, 1 / LARGEST_CORRECTION, most))

    def costs(self, outputs, attention_mask: tf.Tensor, eta: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """FLOPs of each example, [B] for AdapLeR and [B] for BERT.

        Their values are those of a hard removal by the same contributions; their gradient is that of the soft lengths.
        """
        entered = tf.reduce_sum(tf.cast(attention_mask, tf.float32), axis=-1)
        hard = hard_lengths(outputs.explanations, outputs.lengths, attention_mask, eta)
        pairs = zip(outputs.lengths, hard, strict=True)
        lengths = [entered, *(soft + tf.stop_gradient(count - soft) for soft, count in pairs)]
        return self.flops(tf.stack(lengths, axis=-1))

    def penalty(self, cost: tf.Tensor, bert_cost: tf.Tensor) -> tf.Tensor:
        """The penalty of each example, [B]: pressure times its cost in excess of the asked one."""
        return self.pressure * (cost - self.ratio() * bert_cost) / self.mean_bert_flops

    def update(self, eta: tf.Variable, cost: tf.Tensor, bert_cost: tf.Tensor) -> None:
        """Moves the thresholds after an optimiser step.

        Args:
            cost, bert_cost: FLOPs of the whole batch, summed over micro-batches and replicas.
        """
        ratio, keep = self.ratio(), max(1.0 - 1.0 / (MEMORY * self.steps), 0.5)
        excess = keep * self.excess + (1.0 - keep) * (cost - ratio * bert_cost)
        total = keep * self.bert_cost + (1.0 - keep) * bert_cost
        error = excess / (ratio * total)
        move = tf.clip_by_value(GAIN * error, -LARGEST_MOVE, LARGEST_MOVE) / self.steps
        self._mover.apply_gradients([(-move * tf.ones_like(eta), eta)], experimental_aggregate_gradients=False)
        has_room = tf.cast(tf.reduce_min(eta) < 1.0, tf.float32)  # otherwise nothing more can be dropped
        self.pressure.assign_add(PRESSURE_GAIN / self.steps * error * has_room)
        self.excess.assign(excess)
        self.bert_cost.assign(total)
        self.step.assign_add(1.0)


def hard_lengths(
    explanations: Sequence[tf.Tensor], lengths: Sequence[tf.Tensor], attention_mask: tf.Tensor, eta: tf.Tensor
) -> list[tf.Tensor]:
    """Tokens that each layer would run on if the contributions of a soft pass decided for good: L tensors [B].

    Args:
        explanations: contributions of the tokens entering each layer, L tensors [B, n].
        lengths: soft lengths of each layer, L tensors [B], which its successor's threshold depends on.
    """
    remaining = removable_tokens(attention_mask)
    length, counts = effective_length(remaining), []
    for layer, shares in enumerate(explanations):
        remaining *= tf.cast(hard_keep(shares, threshold(eta[layer], length)), tf.float32)
        counts.append(effective_length(remaining))
        length = lengths[layer]
    return counts
