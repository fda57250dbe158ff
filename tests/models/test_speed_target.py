"""Training towards a FLOPs speedup: costs, feedback, penalty, and what a run with a target does."""

import numpy as np
import pytest
import tensorflow as tf

from models.losses import distillation_loss
from models.objective import Objective, adam
from models.speed_target import SpeedTarget, hard_lengths
from tests import tiny
from tests.compare import assert_close
from tools.flops import adapler_flops, bert_flops
from tools.flops.formulas import largest_speedup

CONFIG = tiny.config()


def flops(tokens):
    return adapler_flops(CONFIG, tokens), bert_flops(CONFIG, tokens[..., 0])


def make_target(speedup: float = 2.0, steps: int = 100) -> SpeedTarget:
    return SpeedTarget(speedup, steps, flops, float(bert_flops(CONFIG, 7)))


def test_flops_are_differentiable_in_the_lengths():
    lengths = tf.constant([[9.0, 6.0, 4.0, 2.5]])
    with tf.GradientTape() as tape:
        tape.watch(lengths)
        cost = adapler_flops(CONFIG, lengths)
    assert_close(cost, adapler_flops(CONFIG, lengths.numpy()), 1e-6 * float(cost[0]))
    step = np.zeros((1, 4))
    step[0, 2] = 0.5
    slope = (adapler_flops(CONFIG, lengths.numpy() + step) - adapler_flops(CONFIG, lengths.numpy() - step))[0]
    assert float(tape.gradient(cost, lengths)[0, 2]) == pytest.approx(slope, rel=1e-4)


def test_the_bound_is_the_speedup_of_an_example_that_keeps_only_cls():
    lengths = np.array([5, 9])
    kept = np.ones((2, 4))
    kept[:, 0] = lengths
    expected = bert_flops(CONFIG, lengths).sum() / adapler_flops(CONFIG, kept).sum()
    assert largest_speedup(CONFIG, lengths) == pytest.approx(expected)


def test_hard_lengths_are_those_of_lr_mode():
    model = tiny.make_model(seed=3)
    inputs = {name: tf.constant(array) for name, array in tiny.inputs().items()}
    soft = model(inputs)
    counts = hard_lengths(soft.explanations, soft.lengths, inputs["attention_mask"], model.bert.encoder.eta)
    expected = np.stack(model(inputs, lr_mode=True).lengths)
    assert_close(tf.stack(counts), expected, 0.0)
    assert expected.min() < 7


def test_the_asked_ratio_falls_during_the_first_two_fifths_of_the_steps():
    target = make_target(speedup=4.0, steps=100)
    ratios = []
    for step in (0, 20, 40, 99):
        target.step.assign(step)
        ratios.append(float(target.ratio()))
    assert ratios == pytest.approx([1.0, 0.625, 0.25, 0.25])


@pytest.mark.parametrize("speedup, steps", [(2.0, 60), (2.0, 1000), (5.0, 60), (5.0, 1000)])
def test_feedback_reaches_the_target_in_any_number_of_steps(speedup, steps):
    """On a plant whose cost falls with the mean threshold."""
    target, eta = (
        make_target(speedup, steps),
        tf.Variable([0.25, 0.25, 0.25], constraint=lambda v: tf.clip_by_value(v, 0.01, 1)),
    )
    for _ in range(steps):
        cost = 100.0 * (1.1 - tf.reduce_mean(eta))
        target.update(eta, cost, tf.constant(100.0))
    assert float(100.0 / cost) == pytest.approx(speedup, rel=0.03)


def test_the_penalty_is_the_pressure_times_the_excess_cost():
    target = make_target(speedup=2.0, steps=100)
    target.pressure.assign(3.0)
    target.step.assign(40.0)
    penalty = target.penalty(tf.constant([80.0, 40.0]), tf.constant([100.0, 100.0]))
    assert_close(penalty, 3.0 * np.array([30.0, -10.0]) / target.mean_bert_flops, 1e-8)


def fit_towards(speedup: float, **objective) -> tuple:
    """A tiny model trained for 60 steps; gives it and its target."""
    model, steps = tiny.make_model(), 60
    inputs, targets = tiny.batch()
    targets |= {"teacher_logits": tf.zeros([3, 3])}
    target = make_target(speedup, steps)
    rates = adam(1e-3, steps, 3, 1e-12)
    model.compile(
        rates,
        objective=Objective(0.05, clip_norm=1.0, speed_target=target, **objective),
        speedup_optimizer=adam(3.0 / steps, steps, 3, 1e-12),
    )
    data = tf.data.Dataset.from_tensors((inputs, targets)).repeat(20)
    model.fit(data, epochs=3, verbose=0)
    return model, target


@pytest.mark.parametrize("objective", [{}, {"acc_steps": 3}, {"distillation": 0.7}], ids=str)
def test_a_model_is_trained_to_its_target(objective):
    """Three examples of 7, 5 and 2 tokens: the reachable speedups are few, so the nearest is asked for."""
    model, target = fit_towards(1.6, **objective)
    lengths = np.stack([np.array(tiny.LENGTHS), *model(tiny.inputs(), lr_mode=True).lengths], axis=1)
    reached = bert_flops(CONFIG, lengths[:, 0]).sum() / adapler_flops(CONFIG, lengths).sum()
    assert reached == pytest.approx(1.6, rel=0.15)
    assert float(target.step) == 60


def test_distillation_is_zero_at_the_teachers_logits_and_grows_with_the_distance():
    teacher = tf.constant([[1.0, -1.0, 0.5]])
    near, far = (float(distillation_loss(teacher, teacher + tf.constant([[d, 0.0, 0.0]]), 2.0)[0]) for d in (0.1, 1.0))
    assert float(distillation_loss(teacher, teacher, 2.0)[0]) == pytest.approx(0.0, abs=1e-7)
    assert 0 < near < far
    probabilities, predicted = (
        np.exp(x / 2) / np.exp(x / 2).sum() for x in np.array([[1.0, -1.0, 0.5], [2.0, -1.0, 0.5]])
    )
    assert far == pytest.approx(4 * (probabilities * np.log(probabilities / predicted)).sum(), rel=1e-5)


def test_distillation_of_a_regression_is_the_squared_error():
    assert_close(distillation_loss(tf.constant([[1.0], [2.0]]), tf.constant([[3.0], [2.5]]), 2.0), [4.0, 0.25], 1e-7)


def test_the_task_loss_is_a_mean_of_labels_and_teacher():
    model = tiny.make_model()
    inputs, targets = tiny.batch()
    targets |= {"teacher_logits": tf.random.stateless_normal([3, 3], [0, 1])}

    def loss(weight: float) -> np.ndarray:
        model.compile("sgd", objective=Objective(distillation=weight), speedup_optimizer="sgd")
        return model.losses_per_example(inputs, targets)["loss"].numpy()

    assert_close(loss(0.7), 0.3 * loss(0.0) + 0.7 * loss(1.0), 1e-5)
    assert np.abs(loss(1.0) - loss(0.0)).max() > 1e-3
