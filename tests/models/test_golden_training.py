"""Losses, gradients and optimiser steps against the published system's arrays."""

from functools import cache

import pytest
import tensorflow as tf

from tests import golden_quantities as quantities
from tests.golden import spreads, tolerance
from tests.golden_quantities import LOSSES, STEPPED_CASE, THRESHOLDS, assert_golden

LARGEST_ROUNDING = 0.02
"""Share of the thresholds' movement that rounding may make; the steps after that say nothing."""

COMPARISONS = {
    "adam_g0_lam10_cw1_th1": 25,
    STEPPED_CASE: 25,
    "sgd_g0_lam10_cw0_th1": 18,  # without the thresholds of step 4 and all of step 5
    "sgd_g1_lam10_cw1_thrand": 18,  # likewise
    "sgd_g1_lam1000_cw1_th1": 25,
    "sgdclip": 15,
}

train = cache(quantities.training)


def steady_keys(case: str) -> list[str]:
    """Losses and thresholds of all steps until rounding exceeds LARGEST_ROUNDING."""
    keys = []
    for number in range(1, quantities.steps_of(case) + 1):
        step = f"5_train_a_{case}/step{number}"
        keys += [f"{step}/{name}" for name in LOSSES]
        thresholds = [f"{step}/{name}" for name in THRESHOLDS]
        if max(spreads()[key] for key in thresholds) > LARGEST_ROUNDING:
            break
        keys += thresholds
    return keys


@pytest.mark.parametrize("case", quantities.TRAINING_CASES)
def test_steps(case):
    values = train(case, tf.function) if case == quantities.TRAINING_CASES[0] else train(case)
    keys = steady_keys(case)
    assert len(keys) == COMPARISONS[case]
    assert_golden({key: values[key] for key in keys})


def test_gradients():
    values = quantities.gradients()
    assert len(values) == 249 + 2
    assert_golden(values)


def test_parameters_after_five_steps_of_the_real_optimisers():
    prefix = f"5_train_a_{STEPPED_CASE}"
    values = {key: value for key, value in train(STEPPED_CASE).items() if f"{prefix}/step" not in key}
    growths = {key: value for key, value in values.items() if key.startswith(f"{prefix}/growth")}
    assert len(values) == 2 * len(growths) == 2 * (249 - 24)
    assert_golden(values)
    decay = 0.01 * 3e-5 * (0 + 1 / 3 + 2 / 3 + 1 + 46 / 47)
    visible = [key for key in growths if tolerance(key) * abs(quantities.expected(key)) < decay]
    assert len(visible) == len(growths)


def test_accumulated_micro_batches():
    values = quantities.accumulation()
    assert len(values) == 4
    assert_golden(values)


@pytest.mark.parametrize("key", quantities.head_loss_cases())
def test_contribution_loss(key):
    assert_golden(quantities.head_loss(key))


def test_every_contribution_loss_is_compared():
    assert len(quantities.head_loss_cases()) == 36


@pytest.mark.parametrize("slope", quantities.SLOPES)
def test_soft_removal(slope):
    assert_golden(quantities.removal(slope))
