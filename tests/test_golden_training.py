"""Losses, gradients and optimiser steps against the published system's arrays."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models.length_reduction import soft_removal
from models.losses import contribution_loss
from models.training_step import Objective, adam
from tests.compare import assert_close
from tests.golden import GOLDEN, inputs, load, make_model, published_name

CASES = [
    "adam_g0_lam10_cw1_th1",
    "adam_g1_lam10_cw1_thrand",
    "sgd_g0_lam10_cw0_th1",
    "sgd_g1_lam10_cw1_thrand",
    "sgd_g1_lam1000_cw1_th1",
    "sgdclip",
]
NOISE = json.loads((GOLDEN / "5_eager_vs_graph_noise_a.json").read_text())


def compiled_model(meta: dict):
    """The golden model in the state and with the optimisers that `meta` tells."""
    model = make_model(meta["eta"], meta["theta"])
    model.bert.encoder.removal_lambda.assign(meta["lam"])
    objective = Objective(meta["GAMMA"], meta["PHI"], meta["class_weights"])
    if meta["kind"] == "adam":
        objective = Objective(meta["GAMMA"], meta["PHI"], meta["class_weights"], clip_norm=1.0)
        optimizers = adam(3e-5, 50, 3, 1e-12, weight_decay=0.01), adam(5e-4, 50, 3, 1e-12)
    else:
        speedup_rate = 0.5 if meta["kind"] == "sgdclip" else 1e-3
        optimizers = keras.optimizers.legacy.SGD(5e-4), keras.optimizers.legacy.SGD(speedup_rate)
    model.compile(optimizers[0], objective=objective, speedup_optimizer=optimizers[1])
    return model


def batch() -> tuple:
    arrays = load("inputs_a")
    tensors = {key: tf.constant(value) for key, value in inputs().items()}
    return tensors, {"labels": tf.constant(arrays["labels"]), "saliency": tf.constant(arrays["saliencies"])}


def tolerance(case: str, key: str, expected) -> float:
    """Rounding that the published system shows between its own eager and graph runs, tenfold."""
    noise = NOISE.get(f"5_train_a_{case}.npz", {}).get(key, 0.0)
    return max(2e-6 * max(1.0, float(np.abs(expected).max())), 10 * noise)


@pytest.mark.parametrize("case", CASES)
def test_steps(case):
    expected = load(f"5_train_a_{case}")
    meta = json.loads(str(expected["meta"]))
    model = compiled_model(meta)
    encoder = model.bert.encoder
    step = tf.function(model.train_step) if case == CASES[0] else model.train_step
    for number in range(1, meta["nsteps"] + 1):
        losses = model.losses_per_example(*batch())
        actual = {
            "loss": tf.reduce_mean(losses["loss"]),
            "head_loss": tf.reduce_mean(losses["cp_loss"]),
            "combined_loss": tf.reduce_mean(losses["speed_loss"]),
        }
        step(batch())
        actual |= {"ETA": encoder.eta.numpy(), "THETA": encoder.theta.numpy()}
        for name, value in actual.items():
            key = f"step{number}/{name}"
            allowed = tolerance(case, key, expected[key])
            if name in ("ETA", "THETA"):  # as exact as the gradients that moved them
                allowed = max(allowed, 2e-4 * np.abs(expected[key] - expected[f"step0/{name}"]).max())
            assert_close(value, expected[key], allowed, f"{case} {key}")


@pytest.mark.parametrize("case", ["adam_g1_lam10_cw1_thrand", "sgd_g1_lam10_cw1_thrand"])
def test_gradients(case):
    expected = load(f"5_train_a_{case}")
    model = compiled_model(json.loads(str(expected["meta"])))
    groups = model.parameter_groups()
    (main, speed), _ = model.group_gradients(*batch(), groups, 6.0)
    compared = 0
    for variable, gradient in zip(groups[0].variables, main, strict=True):
        key = f"grad/{published_name(variable.name)}"
        if variable.name.endswith(("key/bias:0", "score/bias:0")):
            continue  # zero but for rounding
        compared += 1
        size = np.abs(expected[key]).max()
        assert_close(tf.convert_to_tensor(gradient), expected[key], 2e-4 * size, key)
    assert compared == len(groups[0].variables) - 24
    for name, gradient in zip(("eta", "theta"), speed, strict=True):
        key = {"eta": "zeta_grad/ETA", "theta": "zeta_grad/THETA_PR_div_THETA"}[name]
        assert_close(gradient, expected[key], 2e-4 * np.abs(expected[key]).max(), key)


def test_parameters_after_five_steps_of_the_real_optimisers():
    expected = load("5_train_a_adam_g1_lam10_cw1_thrand")
    model = compiled_model(json.loads(str(expected["meta"])))
    start = {v.name: v.numpy() for v in model.trainable_variables}
    for _ in range(5):
        model.train_step(batch())
    for variable in model.trainable_variables:
        name = published_name(variable.name)
        if name in ("ETA:0", "THETA:0") or variable.name.endswith(("key/bias:0", "score/bias:0")):
            continue
        # epsilon 1e-12 turns rounding noise into a full step wherever the gradient is nothing but noise
        meaningful = np.abs(expected[f"grad/{name}"]) >= 1e-6
        if "word_embeddings" in name:
            meaningful[0] = False
        assert_close(variable.numpy()[meaningful], expected[f"params_step5/{name}"][meaningful], 1e-5, name)
    assert any(np.abs(v.numpy() - start[v.name]).max() > 3e-5 for v in model.trainable_variables)


def test_accumulated_micro_batches():
    expected = load("5_train_a_sgd_acc2")
    meta = json.loads(str(expected["meta"]))
    model = compiled_model(meta)
    inputs_, targets = batch()
    twice = (
        {k: tf.concat([v, v], 0) for k, v in inputs_.items()},
        {k: tf.concat([v, v], 0) for k, v in targets.items()},
    )
    model.objective = Objective(meta["GAMMA"], meta["PHI"], meta["class_weights"], acc_steps=2)
    for update in (2, 4):
        model.train_step(twice)
        assert_close(model.bert.encoder.eta, expected[f"step{update}/ETA"], 2e-6, f"eta, update {update}")
        assert_close(model.bert.encoder.theta, expected[f"step{update}/THETA"], 2e-6, f"theta, update {update}")


def unit_cases():
    keys = [key for key in load("6_units_a") if key.startswith("headloss")]
    assert len(keys) == 36
    return keys


@pytest.mark.parametrize("key", unit_cases())
def test_contribution_loss(key):
    arrays, vectors = load("6_units_a"), load("etas_thetas")
    _, kind, case, _ = key.split("/")
    eta, theta, slope = case.split("__")
    loss = contribution_loss(
        list(tf.constant(arrays[f"expl_{kind}"])),
        tf.constant(arrays["sal"]),
        tf.constant(arrays["attention_mask"]),
        tf.constant(vectors[eta]),
        tf.constant(vectors[f"{theta}_THETA"]),
        tf.constant(float(slope.removeprefix("lam"))),
    )
    expected = np.sum(arrays[key] * np.arange(12, 0, -1))
    assert_close(tf.reduce_mean(loss), expected, 1e-5 * expected, key)


@pytest.mark.parametrize("slope", ["10", "50", "1000", "100000", "1e+10", "1e+20"])
def test_soft_removal(slope):
    arrays = load("6_units_a")
    expected = arrays[f"soft/V2/lam{slope}"]
    actual = soft_removal(tf.constant(arrays["soft/x"]), tf.constant(arrays["soft/delta"]), tf.constant(float(slope)))
    assert_close(actual, expected, 1e-3)
