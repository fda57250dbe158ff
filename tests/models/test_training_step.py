"""Which parameters a step moves, and that accumulation changes nothing."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models.objective import Objective, adam
from tests import tiny
from tests.compare import assert_close
from tests.machine import needs_bfloat16

SGD = keras.optimizers.legacy.SGD


def compiled(model, main_rate=0.1, speedup_rate=0.1, cp_rate=None, **objective):
    model.bert.encoder.removal_lambda.assign(10.0)
    model.compile(
        SGD(main_rate),
        objective=Objective(gamma=0.5, phi=0.5, **objective),
        speedup_optimizer=SGD(speedup_rate),
        cp_optimizer=None if cp_rate is None else SGD(cp_rate),
    )
    return model


def moved(model, batch) -> set[str]:
    """Names of the variables that one step changes, without the model's name."""
    before = [v.numpy() for v in model.weights]
    model.train_step(batch)
    changed = (not np.array_equal(v, old) for v, old in zip(model.weights, before, strict=True))
    return {v.name.split("/", 1)[1] for v, c in zip(model.weights, changed, strict=True) if c}


def split_names(model):
    names = {v.name.split("/", 1)[1] for v in model.weights}
    thresholds = {n for n in names if n in ("bert/encoder/eta:0", "bert/encoder/theta:0")}
    predictors = {n for n in names if "contribution_predictor" in n}
    return names - thresholds - predictors, predictors, thresholds


# the softmax makes these gradients zero but for rounding
UNIDENTIFIED = ("key/bias:0", "score/bias:0")


def identified(names):
    return {n for n in names if not n.endswith(UNIDENTIFIED)}


def test_each_optimiser_moves_its_own_parameters():
    backbone, predictors, thresholds = split_names(tiny.make_model())
    cases = {
        (0.1, 0.0, None): backbone | predictors,
        (0.0, 0.1, None): thresholds,
        (0.0, 0.0, 0.1): predictors,
        (0.1, 0.1, 0.1): backbone | predictors | thresholds,
    }
    for rates, names in cases.items():
        assert identified(moved(compiled(tiny.make_model(), *rates), tiny.batch())) == identified(names), rates


def test_theta_probe_never_moves():
    model = compiled(tiny.make_model())
    model.train_step(tiny.batch())
    assert np.array_equal(model.bert.encoder.theta_probe, [1, 1])


@pytest.mark.parametrize(
    ("acc_steps", "lengths"),
    [(2, (7, 5, 2, 7)), (2, (7, 5, 2)), (5, (7, 5, 2))],
    ids=["even", "uneven", "more than examples"],
)
def test_micro_batches_equal_one_batch(acc_steps, lengths):
    whole, parts = compiled(tiny.make_model()), compiled(tiny.make_model(), acc_steps=acc_steps)
    for _ in range(2):
        whole.train_step(tiny.batch(lengths))
        parts.train_step(tiny.batch(lengths))
    for ours, theirs in zip(parts.weights, whole.weights, strict=True):
        assert_close(ours, theirs, 2e-5, ours.name)


def moves_in_a_graph(policy: str, acc_steps: int) -> tuple[np.ndarray, dict]:
    """All changes of weights that one compiled step makes, in one vector, and the logs."""
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(policy)
    try:
        model = compiled(tiny.make_model(num_hidden_layers=2), acc_steps=acc_steps)
        start = [variable.numpy() for variable in model.weights]
        logs = tf.function(model.train_step)(tiny.batch((7, 5, 2, 7)))
    finally:
        keras.mixed_precision.set_global_policy(before)
    moves = [(variable - old).numpy().ravel() for variable, old in zip(model.weights, start, strict=True)]
    return np.concatenate(moves), {name: float(value) for name, value in logs.items()}


# bfloat16 has 8 bits: the moves of its whole batches differ from those of float32 by 0.04 to 0.07 of their norm
@pytest.mark.parametrize(
    ("policy", "allowed"), [("float32", 1e-5), pytest.param("mixed_bfloat16", 0.2, marks=needs_bfloat16)]
)
def test_micro_batches_equal_one_batch_in_a_graph(policy, allowed):
    (whole, logs), (parts, logs_of_parts) = (moves_in_a_graph(policy, acc_steps) for acc_steps in (1, 3))
    assert np.linalg.norm(parts - whole) < allowed * np.linalg.norm(whole)
    assert logs_of_parts == pytest.approx(logs, rel=allowed)


def graph_nodes(acc_steps: int) -> int:
    model = compiled(tiny.make_model(num_hidden_layers=2), acc_steps=acc_steps)
    graph = tf.function(model.train_step).get_concrete_function(tiny.batch()).graph.as_graph_def()
    return len(graph.node) + sum(len(function.node_def) for function in graph.library.function)


def test_the_graph_does_not_grow_with_the_number_of_micro_batches():
    assert graph_nodes(8) < 1.5 * graph_nodes(2)


def test_thresholds_stay_in_their_ranges():
    model = compiled(tiny.make_model(), 0.0, 1e4)
    model.train_step(tiny.batch())
    eta, theta = model.bert.encoder.eta.numpy(), model.bert.encoder.theta.numpy()
    assert eta.min() >= 0.01 and eta.max() <= 1 and theta.min() > 0


def test_neutral_eta_has_finite_gradients():
    model = tiny.make_model()
    model.bert.encoder.eta.assign([0.0, 0.0, 0.0])
    model.bert.encoder.removal_lambda.assign(1e5)
    objective = Objective(0.1, 0.1, clip_norm=1.0)
    model.compile(adam(1e-2, 40, 2, 1e-12), objective=objective, speedup_optimizer=adam(1e-2, 40, 2, 1e-12))
    losses = model.train_step(tiny.batch())
    assert np.isfinite([float(value) for value in losses.values()]).all()
    assert np.isfinite(model.bert.encoder.eta.numpy()).all() and np.isfinite(model.bert.encoder.theta.numpy()).all()


def test_schedule_starts_at_zero_and_ends_at_zero():
    rate = adam(2.0, steps=10, warmup_steps=4, epsilon=1e-8).learning_rate
    values = [float(rate(step)) for step in range(11)]
    assert_close(values, [0, 0.5, 1, 1.5, 2, 10 / 6, 8 / 6, 1, 4 / 6, 2 / 6, 0], 1e-6)


def test_fit_trains_and_logs():
    model = tiny.make_model()
    model.compile(
        adam(1e-2, 40, 2, 1e-12),
        objective=Objective(0.1, 0.1, clip_norm=1.0),
        speedup_optimizer=adam(1e-2, 40, 2, 1e-12),
    )
    data = tf.data.Dataset.from_tensors(tiny.batch()).repeat(20)
    history = model.fit(data, epochs=2, verbose=0).history
    assert set(history) == {"loss", "cp_loss", "tokens_left"}
    assert history["loss"][1] < history["loss"][0]
    assert not any("Mean" in v.name or "total" in v.name for v in model.weights)


def test_keras_users_may_compile_a_plain_model_as_ever():
    model = tiny.make_model(converted=False)
    model.compile("adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    arrays, targets = tiny.batch()
    history = model.fit(arrays, targets["labels"], verbose=0).history
    assert set(history) == {"loss", "accuracy"}


def test_the_teachers_logits_are_needed_by_a_converted_model_alone():
    plain, objective = tiny.make_model(converted=False), Objective(distillation=0.7)
    plain.compile(SGD(0.1), objective=objective)
    arrays, targets = tiny.batch()
    assert set(plain.train_step((arrays, targets["labels"]))) == {"loss"}
    with pytest.raises(ValueError, match="no teacher_logits"):
        compiled(tiny.make_model(), distillation=0.7).train_step((arrays, targets))


def test_converted_model_needs_a_speedup_optimiser():
    with pytest.raises(ValueError, match="speedup_optimizer"):
        tiny.make_model().compile(SGD(0.1), objective=Objective())
