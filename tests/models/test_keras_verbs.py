"""fit, evaluate and predict of Keras: the losses that they report, sample weights, and graphs that stay current."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models.objective import Objective
from tests import tiny
from tests.compare import assert_close

SGD = keras.optimizers.legacy.SGD
LENGTHS = (7, 5, 2, 4, 6)
WEIGHTS = np.array([1, 0, 2, 0.5, 3], np.float32)


def compiled(converted: bool = True, rate: float = 0.1, **objective):
    """A model that trains at lambda 10."""
    model = tiny.make_model(converted=converted, num_hidden_layers=2)
    if converted:
        model.bert.encoder.removal_lambda.assign(10.0)
    objective = Objective(gamma=0.5, phi=0.5, class_weights=(1.0, 3.0, 2.0), **objective)
    model.compile(SGD(rate), objective=objective, speedup_optimizer=SGD(rate) if converted else None)
    return model


def arrays(lengths=LENGTHS, seed: int = 0):
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), tiny.batch(lengths, seed))


def expected_losses(model, inputs, targets, weights=1.0) -> dict[str, float]:
    losses = model.losses_per_example(inputs, targets, training=False)
    return {name: float(np.mean(losses[name] * (1.0 if name == "tokens_left" else weights))) for name in model.logged}


def assert_same_losses(actual: dict, expected: dict, prefix: str = "") -> None:
    assert {name for name in actual if name.startswith(prefix)} >= {prefix + name for name in expected}
    for name, value in expected.items():
        assert_close(actual[prefix + name], value, 1e-5 * max(1.0, value), name)


@pytest.mark.parametrize("converted", [True, False])
def test_evaluate_reports_the_losses_of_training(converted):
    model, (inputs, targets) = compiled(converted), arrays()
    before = [variable.numpy() for variable in model.weights]
    actual = model.evaluate(inputs, targets, batch_size=2, verbose=0, return_dict=True)
    assert all(np.array_equal(variable, old) for variable, old in zip(model.weights, before, strict=True))
    assert actual["loss"] > 0.1
    assert_same_losses(actual, expected_losses(model, inputs, targets))
    weighted = model.evaluate(inputs, targets, sample_weight=WEIGHTS, batch_size=2, verbose=0, return_dict=True)
    assert_same_losses(weighted, expected_losses(model, inputs, targets, WEIGHTS))


def test_evaluate_without_saliencies_leaves_out_their_loss():
    model, (inputs, targets) = compiled(), arrays()
    expected = expected_losses(model, inputs, targets)
    del expected["cp_loss"]
    for labels in ({"labels": targets["labels"]}, targets["labels"]):
        actual = model.evaluate(inputs, labels, verbose=0, return_dict=True)
        assert actual.keys() == expected.keys()
        assert_same_losses(actual, expected)


@pytest.mark.parametrize("acc_steps", [1, 2])
@pytest.mark.parametrize("converted", [True, False])
def test_a_sample_weight_counts_an_example_as_often(converted, acc_steps):
    """Weights of 0, 1 and 2 give the gradients of a batch with the examples left out, once and twice."""
    weights, rows = [2.0, 0.0, 1.0, 1.0], [0, 0, 2, 3]
    weighted, repeated = compiled(converted, acc_steps=acc_steps), compiled(converted)
    batch = tiny.batch((7, 5, 2, 4))
    weighted.train_step((*batch, tf.constant(weights)))
    repeated.train_step(tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), batch))
    untrained = compiled(converted)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(weighted.weights, untrained.weights, strict=True))
    for actual, expected in zip(weighted.weights, repeated.weights, strict=True):
        assert_close(actual, expected, 2e-5, actual.name)


@pytest.mark.parametrize("acc_steps", [1, 3])
def test_a_batch_without_attention_mask_trains(acc_steps):
    inputs, targets = tiny.batch((7, 7, 7))
    full, bare, tensor = (compiled(acc_steps=acc_steps) for _ in range(3))
    full.train_step((inputs, targets))
    bare.train_step(({"input_ids": inputs["input_ids"]}, targets))
    tensor.train_step((inputs["input_ids"], targets))
    for model in (bare, tensor):
        for actual, expected in zip(model.weights, full.weights, strict=True):
            assert_close(actual, expected, 1e-6, actual.name)


def test_predict_gives_what_a_call_gives():
    model, inputs, seen = tiny.make_model(converted=False, num_hidden_layers=2), tiny.inputs(), []

    def check():
        seen.append(model.predict(inputs, verbose=0)["logits"])
        assert_close(seen[-1], model(inputs).logits, 1e-5)
        assert_close(model.predict_on_batch(inputs)["logits"], model(inputs).logits, 1e-5)

    check()
    model.to_AdapLeR()
    model.bert.encoder.eta.assign([0.5] * 2)
    check()
    for scale in (2.0, 0.0):
        model.config.eta_scale = scale
        check()
    assert all(np.abs(one - other).max() > 1e-4 for one, other in itertools.pairwise(seen))
    assert_close(seen[-1], seen[0], 1e-5)


def test_evaluate_follows_eta_scale():
    model, (inputs, targets) = compiled(), arrays()
    model.bert.encoder.removal_lambda.assign(1e20)
    shares = []
    for scale in (1.0, 0.0, 1.5):
        model.config.eta_scale = scale
        shares.append(model.evaluate(inputs, targets, verbose=0, return_dict=True)["tokens_left"])
    assert shares[1] == pytest.approx(1.0) and shares[1] > shares[0] > shares[2]


def test_a_graph_may_change_in_the_middle_of_a_fit():
    model, (inputs, targets) = compiled(), arrays()

    def change(epoch, logs):
        model.config.eta_scale = 1.5
        model.predict(inputs, verbose=0)

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=change)]
    assert len(model.fit(inputs, targets, epochs=2, callbacks=callbacks, verbose=0).history["loss"]) == 2


def test_optimisers_by_name():
    model = tiny.make_model(num_hidden_layers=2)
    model.compile("sgd", objective=Objective(gamma=0.5, phi=0.5), speedup_optimizer="sgd", cp_optimizer="adam")
    eta = model.bert.encoder.eta.numpy()
    model.fit(*arrays(), batch_size=5, verbose=0)
    assert np.abs(model.bert.encoder.eta.numpy() - eta).max() > 0
    assert isinstance(model.cp_optimizer, keras.optimizers.Adam)
