"""Forward passes against the published system's arrays."""

import numpy as np
import pytest

from tests import golden_quantities as quantities
from tests.golden import inputs, load, make_model
from tests.golden_quantities import assert_golden


@pytest.fixture(scope="module")
def model():
    return make_model()


def test_plain_bert():
    assert_golden(quantities.plain())


@pytest.mark.parametrize("case", quantities.SOFT_CASES, ids=lambda case: case["case"])
def test_soft_mode(model, case):
    assert_golden(quantities.soft(model, lambda: model(inputs()), case))


@pytest.mark.parametrize(("eta", "theta"), quantities.HARD_CASES)
def test_hard_mode(model, eta, theta):
    outputs, arrays = quantities.hard(model, eta, theta), load("3_hard_a")
    for row, output in enumerate(outputs):
        case = f"{eta}__{theta}/ex{row}"
        assert np.array_equal(np.concatenate(output.lengths), arrays[f"{case}/lengths"])
        for layer in range(12):
            assert output.kept_positions[layer][0].numpy().tolist() == arrays[f"{case}/kept_{layer}"].tolist()
    assert_golden(quantities.hard_values(eta, theta, outputs))
