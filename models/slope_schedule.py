"""Schedule of lambda, the slope of the soft removal."""

from __future__ import annotations

import tf_keras as keras

from models.length_reduction import INFERENCE_LAMBDA

STEEPEST_SLOPE = 1e19
"""Largest lambda of a training run; the published schedule exceeds it from the 20th epoch on."""


def slope(epoch: int, epochs: int) -> float:
    """Returns lambda of an epoch, counted from 0: 10 * 10^e; 50 * 50^e in a run of 3 epochs, 10 * 3^e in one of 10."""
    start, growth = {3: (50.0, 50.0), 10: (10.0, 3.0)}.get(epochs, (10.0, 10.0))
    return min(start * growth ** min(epoch, 20), STEEPEST_SLOPE)


class SlopeSchedule(keras.callbacks.Callback):
    """Sets lambda at the start of each epoch; validation within `fit` uses the step function of inference.

    `fit` of a converted model adds this callback unless its callbacks include one. A subclass with its own
    `slope(epoch, epochs)` makes another schedule.
    """

    slope = staticmethod(slope)

    def on_epoch_begin(self, epoch, logs=None):
        self._lambda.assign(self.slope(epoch, self.params["epochs"]))

    def on_test_begin(self, logs=None):
        self.slope_before_test = self._lambda.numpy()
        self._lambda.assign(INFERENCE_LAMBDA)

    def on_test_end(self, logs=None):
        self._lambda.assign(self.slope_before_test)

    @property
    def _lambda(self):
        return self.model.bert.encoder.removal_lambda
