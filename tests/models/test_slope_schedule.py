"""Training through Keras' own methods: the slope of each epoch, the slope afterwards, and refusals."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models.objective import Objective, adam
from models.slope_schedule import SlopeSchedule, slope
from tests import tiny
from tests.compare import assert_close

SGD = keras.optimizers.legacy.SGD


class Recorder(keras.callbacks.Callback):
    """Notes lambda during the steps of training and of validation, and may stop the run with an error."""

    def __init__(self, error: type[BaseException] | None = None):
        super().__init__()
        self.error, self.slopes, self.slopes_of_tests = error, [], []

    def on_train_batch_end(self, batch, logs=None):
        self.slopes.append(float(self.model.bert.encoder.removal_lambda.numpy()))
        if self.error:
            raise self.error

    def on_test_batch_end(self, batch, logs=None):
        self.slopes_of_tests.append(float(self.model.bert.encoder.removal_lambda.numpy()))


def compiled(rate: float = 0.01, run_eagerly: bool = False, **objective):
    """A converted model with the removal that it has after the conversion; a step or two take less time eagerly."""
    model = tiny.make_model(num_hidden_layers=2)
    objective = Objective(**objective)
    model.compile(SGD(rate), objective=objective, speedup_optimizer=SGD(rate), run_eagerly=run_eagerly)
    return model


def lambda_of(model) -> float:
    return float(model.bert.encoder.removal_lambda.numpy())


def test_fit_follows_the_published_schedule():
    model, recorder = compiled(), Recorder()
    model.fit(*tiny.batch((7, 5)), batch_size=1, epochs=3, callbacks=[recorder], verbose=0)
    assert recorder.slopes == [50, 50, 2500, 2500, 125000, 125000]
    assert lambda_of(model) == pytest.approx(1e20)


def test_a_resumed_fit_goes_on_with_the_schedule():
    model, recorder = compiled(run_eagerly=True), Recorder()
    model.fit(*tiny.batch((7, 5)), epochs=5, initial_epoch=3, callbacks=[recorder], verbose=0)
    assert recorder.slopes == [1e4, 1e5]


def test_the_schedule_stays_below_the_slope_of_inference():
    assert slope(18, 400) == 1e19 and slope(399, 400) == 1e19


def test_another_schedule_replaces_the_published_one():
    class Constant(SlopeSchedule):
        def slope(self, epoch, epochs):
            return 42.0

    model, recorder = compiled(run_eagerly=True), Recorder()
    model.fit(*tiny.batch((7, 5)), epochs=2, callbacks=[Constant(), recorder], verbose=0)
    assert recorder.slopes == [42.0, 42.0] and lambda_of(model) == pytest.approx(1e20)


def test_training_through_keras_moves_the_thresholds():
    model = tiny.make_model(num_hidden_layers=2)
    before = model.bert.encoder.eta.numpy()
    objective = Objective(gamma=0.05, phi=0.5, clip_norm=1.0)
    model.compile(adam(1e-3, 20, 1, 1e-12), objective=objective, speedup_optimizer=SGD(0.1))
    data = tf.data.Dataset.from_tensors(tiny.batch((7, 5, 6, 7))).repeat(5)
    history = model.fit(data, epochs=3, verbose=0).history
    assert (model.bert.encoder.eta.numpy() > before + 0.01).all()
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_interrupted_fit_ends_with_the_removal_of_inference(error):
    model, recorder = compiled(run_eagerly=True), Recorder(error)
    with pytest.raises(error):
        model.fit(*tiny.batch((7, 5)), callbacks=[recorder], verbose=0)
    assert recorder.slopes == [10.0] and lambda_of(model) == pytest.approx(1e20)


def test_validation_within_fit_uses_the_removal_of_inference():
    model, recorder, (inputs, targets) = compiled(rate=0.0, gamma=0.5, phi=0.5), Recorder(), tiny.batch((7, 5, 4))
    history = model.fit(
        *tiny.batch((7, 5), seed=3), validation_data=(inputs, targets), callbacks=[recorder], epochs=2, verbose=0
    ).history
    assert recorder.slopes == [10.0, 100.0]
    assert recorder.slopes_of_tests == pytest.approx([1e20] * 2)
    losses = model.losses_per_example(inputs, targets, training=False)
    for name in ("loss", "cp_loss", "tokens_left"):
        expected = np.mean(losses[name])
        assert_close(history[f"val_{name}"][-1], expected, 1e-5 * max(1.0, expected), name)


def test_training_with_the_removal_of_inference_is_refused():
    model, batch = compiled(), tiny.batch((7, 5))
    for train in (model.train_step, lambda batch: model.train_on_batch(*batch)):
        with pytest.raises(ValueError, match=r"removal_lambda\.assign"):
            train(batch)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"removal_lambda\.assign"):
        tf.function(model.train_step)(batch)
    model.bert.encoder.removal_lambda.assign(10.0)
    assert np.isfinite(model.train_on_batch(*batch)).all()


@pytest.mark.parametrize("targets", ["labels", "dict"])
def test_fit_without_saliencies_is_refused(targets):
    model, (inputs, answers) = compiled(), tiny.batch((7, 5))
    answers = answers["labels"] if targets == "labels" else {"labels": answers["labels"]}
    with pytest.raises(ValueError, match="the targets have no saliency"):
        model.fit(inputs, answers, verbose=0)
    assert lambda_of(model) == pytest.approx(1e20)


def test_a_conversion_after_compile_is_refused_by_fit():
    model = tiny.make_model(converted=False, num_hidden_layers=2)
    model.compile(SGD(0.1), objective=Objective())
    model.fit(*tiny.batch((7, 5)), verbose=0)
    model.to_AdapLeR()
    with pytest.raises(ValueError, match="speedup_optimizer"):
        model.fit(*tiny.batch((7, 5)), verbose=0)


def test_training_a_calibrated_model_uses_the_thresholds_themselves():
    """The losses of a step, and so its gradients, are those of eta_scale 1."""
    calibrated, plain = compiled(0.1, gamma=0.5, phi=0.5), compiled(0.1, gamma=0.5, phi=0.5)
    calibrated.config.eta_scale = 1.5
    for model in (calibrated, plain):
        model.bert.encoder.removal_lambda.assign(10.0)
        model.train_step(tiny.batch())
    for actual, expected in zip(calibrated.weights, plain.weights, strict=True):
        assert_close(actual, expected, 0, actual.name)


def test_evaluating_a_calibrated_model_scales_both_uses_of_the_thresholds():
    calibrated, scaled = compiled(gamma=0.5), compiled(gamma=0.5)
    calibrated.config.eta_scale = 1.5
    scaled.bert.encoder.eta.assign(1.5 * scaled.bert.encoder.eta)
    inputs, targets = tiny.batch()
    losses = [model.losses_per_example(inputs, targets, training=False) for model in (calibrated, scaled)]
    for name in losses[0]:
        assert_close(losses[0][name], losses[1][name], 1e-5, name)
