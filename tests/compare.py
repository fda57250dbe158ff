"""Comparison of arrays that names the worst element; NaN on either side fails."""

import numpy as np


def assert_close(actual, expected, tolerance: float, what: str = "") -> None:
    """Fails when the largest absolute difference exceeds `tolerance`, or shapes differ, or anything is NaN."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, f"{what} shapes {actual.shape} and {expected.shape}"
    assert not np.isnan(actual).any() and not np.isnan(expected).any(), f"{what} holds NaN"
    if actual.size == 0:
        return
    difference = np.abs(actual - expected)
    worst = np.unravel_index(difference.argmax(), difference.shape)
    assert difference[worst] <= tolerance, (
        f"{what} differs by {difference[worst]:.3g} (allowed {tolerance:.3g}) at {worst}: "
        f"{actual[worst]} against {expected[worst]}"
    )
