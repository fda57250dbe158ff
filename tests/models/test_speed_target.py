"""Training towards a FLOPs speedup: costs, feedback, penalty, and what a run with a target does."""

import numpy as np
import pytest
import tensorflow as tf

from models.adapler_encoder import ETA_MAX, ETA_MIN
from models.losses import distillation_loss
from models.objective import Objective, adam
from models.speed_target import GAIN, LARGEST_MOVE, MEMORY, PRESSURE_GAIN, SpeedTarget, hard_lengths
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


def test_costs_are_those_of_hard_lengths_and_have_the_gradient_of_soft_ones():
    model, target = tiny.make_model(seed=3), make_target()
    encoder, inputs = model.bert.encoder, {name: tf.constant(array) for name, array in tiny.inputs().items()}
    encoder.removal_lambda.assign(10.0)
    with tf.GradientTape(persistent=True) as tape:
        soft = model(inputs)
        costs = target.costs(soft, inputs["attention_mask"], encoder.eta)
        cost = tf.reduce_sum(costs[0])
        soft_lengths = tf.stack(soft.lengths, axis=1)
    entered = np.array(tiny.LENGTHS, np.float32)[:, None]
    kept = hard_lengths(soft.explanations, soft.lengths, inputs["attention_mask"], encoder.eta)
    lengths = tf.constant(np.concatenate([entered, np.stack(kept, axis=1)], axis=1))
    assert np.abs(lengths[:, 1:] - soft_lengths).max() > 0.1
    assert_close(costs[0], adapler_flops(CONFIG, lengths), 1e-6 * float(cost))
    assert_close(costs[1], bert_flops(CONFIG, entered[:, 0]), 1e-6 * float(cost))
    with tf.GradientTape() as inner:
        inner.watch(lengths)
        flops_of_lengths = adapler_flops(CONFIG, lengths)
    slopes = inner.gradient(flops_of_lengths, lengths)[:, 1:]
    expected = tape.gradient(soft_lengths, encoder.eta, output_gradients=slopes).numpy()
    assert np.abs(expected).min() > 0
    assert_close(tape.gradient(cost, encoder.eta), expected, 1e-4 * np.abs(expected).max())


def bounded(eta: list[float]) -> tf.Variable:
    """Thresholds that are kept in their range, as the encoder's are."""
    return tf.Variable(eta, constraint=lambda values: tf.clip_by_value(values, ETA_MIN, ETA_MAX))


def test_an_update_is_the_written_one():
    """Both signs of the error, the largest move, and thresholds that leave no room."""
    steps, speedup = 100, 2.0
    target, eta = make_target(speedup, steps), bounded([0.3, 0.6, 0.9])
    expected, (excess, total, pressure) = np.array([0.3, 0.6, 0.9]), (0.0, 0.0, 0.0)
    keep = 1 - 1 / (MEMORY * steps)
    moves, has_been_full = set(), False
    for step in range(60):
        cost = 105.0 if step < 45 else 10.0
        ratio = 1 + (1 / speedup - 1) * min(step / 40, 1)
        excess = keep * excess + (1 - keep) * (cost - ratio * 100)
        total = keep * total + (1 - keep) * 100
        error = excess / (ratio * total)
        move = np.clip(GAIN * error, -LARGEST_MOVE, LARGEST_MOVE) / steps
        expected = np.clip(expected + move, ETA_MIN, ETA_MAX)
        is_full = expected.min() == ETA_MAX  # nothing more can be dropped
        if not is_full:
            pressure += PRESSURE_GAIN / steps * error
        target.update(eta, tf.constant(cost), tf.constant(100.0))
        assert_close(eta, expected, 1e-5, f"eta after step {step}")
        state = [float(value) for value in (target.excess, target.bert_cost, target.pressure, target.step)]
        assert state == pytest.approx([excess, total, pressure, step + 1], rel=1e-4)
        moves.add(float(np.round(move * steps, 6)))
        has_been_full |= bool(is_full)
    assert {-LARGEST_MOVE, LARGEST_MOVE} <= moves and has_been_full and len(moves) > 10


def test_the_asked_ratio_falls_during_the_first_two_fifths_of_the_steps():
    target = make_target(speedup=4.0, steps=100)
    ratios = []
    for step in (0, 20, 40, 99):
        target.step.assign(step)
        ratios.append(float(target.ratio()))
    assert ratios == pytest.approx([1.0, 0.625, 0.25, 0.25])


def test_a_corrected_target_holds_for_dev():
    """Dev needs 0.8 of the fraction that the training batches need, so these may take 1.25 times more."""
    target, eta = make_target(speedup=2.0, steps=100), bounded([0.25, 0.25, 0.25])
    settled = []
    for _ in range(100):
        cost = 100.0 * (1.1 - tf.reduce_mean(eta))
        target.update(eta, cost, tf.constant(100.0))
        settled.append(target.is_settled())
        if settled[-1]:
            target.correct(dev_speedup=float(100.0 / (0.8 * cost)), train_speedup=float(100.0 / cost))
    assert float(100.0 / (0.8 * cost)) == pytest.approx(2.0, rel=0.03)
    assert float(target.correction) == pytest.approx(1.25) and settled.index(True) == 59


@pytest.mark.parametrize(
    "speedup, dev_speedup, correction", [(3.0, 9.0, 2.0), (3.0, 0.1, 0.5), (1.5, 9.0, 1.5), (3.0, 1.2, 1.2)]
)
def test_the_correction_is_limited(speedup, dev_speedup, correction):
    """Also to the target: a fraction above 1 would ask for more than BERT needs."""
    target = make_target(speedup)
    target.correct(dev_speedup, train_speedup=1.0)
    assert float(target.correction) == pytest.approx(correction)


@pytest.mark.parametrize("speedup, steps", [(2.0, 60), (2.0, 1000), (5.0, 60), (5.0, 1000)])
def test_feedback_reaches_the_target_in_any_number_of_steps(speedup, steps):
    """On a plant whose cost falls with the mean threshold."""
    target, eta = make_target(speedup, steps), bounded([0.25, 0.25, 0.25])
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


@pytest.mark.parametrize("objective", [{}, {"acc_steps": 3, "distillation": 0.7}], ids=str)
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
