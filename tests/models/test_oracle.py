"""models/ against the NumPy oracle, equation by equation, and the losses' gradients against finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from models import length_reduction
from models.losses import contribution_loss, length_loss, task_loss
from models.slope_schedule import slope
from tests import oracle, tiny
from tests.compare import assert_close

SLOPES = [10.0, 1000.0, 1e20]
PROBE = np.array([0.6, 1.4])


@pytest.fixture(scope="module")
def model():
    model = tiny.make_model(hidden_act="gelu")
    model.bert.encoder.theta_probe.assign(PROBE)
    return model


def weights(model) -> dict[str, np.ndarray]:
    return {v.name.split("/", 1)[1]: v.numpy().astype(np.float64) for v in model.weights}


@pytest.mark.parametrize("lam", SLOPES)
def test_soft_pass(model, lam):
    model.bert.encoder.removal_lambda.assign(lam)
    batch, eta = tiny.inputs((7, 5, 2, 1)), model.bert.encoder.eta.numpy()
    outputs = model(batch)
    for row in range(4):
        logits, explanations, lengths = oracle.run_soft(
            batch["input_ids"][row], batch["attention_mask"][row], weights(model), eta, PROBE, lam, heads=3
        )
        tolerance = 1e-3 if lam == 1000 else 1e-4  # the oracle is float64, and the line is steep
        assert_close(outputs.logits[row], logits, tolerance)
        assert_close(np.stack(outputs.explanations)[:, row], explanations, tolerance)
        assert_close(np.stack(outputs.lengths)[:, row], lengths, tolerance)


def test_hard_pass(model):
    dropped = 0
    for seed in range(20):
        batch = tiny.inputs([7], seed)
        outputs = model(batch, lr_mode=True)
        logits, kept = oracle.run_hard(
            batch["input_ids"][0], weights(model), model.bert.encoder.eta.numpy(), PROBE, heads=3
        )
        assert_close(outputs.logits[0], logits, 1e-4)
        assert [k[0].numpy().tolist() for k in outputs.kept_positions] == kept
        dropped += 7 - len(kept[-1])
    assert dropped > 20


@pytest.mark.parametrize("lam", SLOPES)
@pytest.mark.parametrize("delta", [0.0, 1e-12, 0.01, 0.2, 0.5, 1.0])
def test_soft_removal(lam, delta):
    shares = np.concatenate([[0.0, 1.0], np.random.default_rng(0).random(40)]).astype(np.float32)
    shares = shares[np.abs(shares - delta) > 1e-3 * (delta > 0)]
    actual = length_reduction.soft_removal(shares[None], tf.constant([[delta]], tf.float32), lam)[0].numpy()
    expected = np.array([oracle.removal(float(s), float(np.float32(delta)), lam) for s in shares])
    assert not np.isnan(actual).any()
    assert_close(actual / (1 + np.abs(expected)), expected / (1 + np.abs(expected)), 1e-4)


def test_contributions_of_a_fading_mask():
    rng = np.random.default_rng(1)
    scores, alive = rng.normal(size=(4, 6)).astype("f4"), rng.random((4, 6)).astype("f4")
    alive[:, 0], alive[1, 2:], alive[3] = 0, 0, 0
    actual = length_reduction.contributions(scores, alive)
    expected = [oracle.contributions(*(x.astype(float) for x in row)) for row in zip(scores, alive, strict=True)]
    assert_close(actual, expected, 1e-6)
    assert_close(tf.reduce_sum(actual, axis=1), np.ones(4), 1e-6)


@pytest.mark.parametrize("lam", [10.0, 1000.0])
def test_contribution_loss(lam):
    rng = np.random.default_rng(2)
    mask = tiny.inputs((7, 5, 2, 7))["attention_mask"]
    explanations = rng.random((3, 4, 7)) ** 3 * mask
    explanations = (explanations / explanations.sum(-1, keepdims=True)).astype("f4")
    saliency = (rng.random((4, 7)) * mask).astype("f4")
    saliency[3] = 0
    eta, theta = np.array([0.3, 0.6, 0.9], "f4"), np.array([0.7, 1.3], "f4")
    actual = contribution_loss(list(explanations), saliency, mask, eta, theta, lam)
    expected = [
        oracle.contribution_loss(explanations[:, r].astype(float), saliency[r].astype(float), mask[r], eta, theta, lam)
        for r in range(4)
    ]
    assert expected[3] == 0
    assert_close(actual, expected, 1e-3)


def test_class_weights_and_length_loss():
    logits, labels, factors = np.array([[1.0, 2, 0], [0, 0, 3]], "f4"), np.array([1, 0]), (1.0, 3.0, 5.0)
    log_probabilities = np.log(oracle.softmax(logits.astype(float)))
    expected = [-factors[y] * row[y] for y, row in zip(labels, log_probabilities, strict=True)]
    assert_close(task_loss(labels, logits, factors), expected, 1e-6)
    assert_close(length_loss([tf.constant([1.0, 2]), tf.constant([0.5, 1])]), [1.5, 3], 0)


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(5, [10, 100, 1e3, 1e4, 1e5]), (3, [50, 2500, 125000]), (10, [10 * 3**e for e in range(10)]), (1, [10])],
)
def test_slope_schedule(epochs, expected):
    assert [slope(epoch, epochs) for epoch in range(epochs)] == expected


def test_gradients_of_the_thresholds_by_finite_differences(model):
    """d(L_CE + phi L_len) of the float64 oracle; lambda is small, so that a step of 1e-5 stays on one line."""
    phi, lam = 0.05, 10.0
    encoder = model.bert.encoder
    encoder.removal_lambda.assign(lam)
    inputs, targets = tiny.batch((7, 5))
    arrays = tiny.inputs((7, 5))
    with tf.GradientTape() as tape:
        tape.watch(encoder.theta_probe)
        outputs = model(inputs)
        speed = task_loss(targets["labels"], outputs.logits, None) + phi * length_loss(outputs.lengths)
        loss = tf.reduce_sum(speed)
    actual = tape.gradient(loss, [encoder.eta, encoder.theta_probe])
    eta, held = encoder.eta.numpy().astype(float), weights(model)

    def value(eta, probe):
        total = 0.0
        for row in range(2):
            ids, mask = arrays["input_ids"][row], arrays["attention_mask"][row]
            logits, _, lengths = oracle.run_soft(ids, mask, held, eta, probe, lam, heads=3)
            total += -np.log(oracle.softmax(logits))[int(targets["labels"][row])] + phi * lengths.sum()
        return total

    step = 1e-5
    for index in range(3):
        up, down = (value(eta + sign * step * np.eye(3)[index], PROBE) for sign in (1, -1))
        assert_close(actual[0][index], (up - down) / (2 * step), 2e-3 * max(1.0, abs(actual[0][index])), f"eta {index}")
    for index in range(2):
        up, down = (value(eta, PROBE + sign * step * np.eye(2)[index]) for sign in (1, -1))
        assert_close(actual[1][index], (up - down) / (2 * step), 2e-3, f"theta {index}")
