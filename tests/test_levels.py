"""Cuts and levels of two, against trying everything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from models import normal

from actc.numerics.levels import TwoLevels, best_cuts, two_levels

Array = np.ndarray[Any, Any]


def within(values: Array, cut: float) -> float:
    """Sum of squares about the means of both sides."""
    sides = [values[values >= cut], values[values < cut]]
    return float(sum(((side - side.mean()) ** 2).sum() for side in sides if side.size))


@pytest.mark.parametrize("seed", range(5))
def test_cuts_have_the_least_square_error(seed: int) -> None:
    values = np.maximum(normal(3, 40, seed=seed), -0.3).astype(np.float64)
    for channel, cut in enumerate(best_cuts(values)):
        row = values[channel]
        tried = [within(row, edge) for edge in np.unique(row)]
        assert within(row, float(cut)) == pytest.approx(min(tried), rel=1e-9)
        upper, lower = row[row >= cut], row[row < cut]
        assert cut == pytest.approx((upper.mean() + lower.mean()) / 2, rel=1e-6)


@pytest.mark.parametrize("number", [0.0, 0.1, -3.7])
def test_a_channel_of_one_number_is_always_up(number: float) -> None:
    values = np.full((1, 9), np.float32(number))
    cuts = best_cuts(values)
    assert (values >= cuts[:, None]).all()
    assert two_levels(values, cuts, padded=False).high > 0


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_levels_have_the_least_square_error(padded: bool, shift: float) -> None:
    values = np.maximum(normal(4, 60) + shift, 0).astype(np.float64)
    cuts = best_cuts(values)
    found = two_levels(values, cuts, padded=padded)
    upper = values >= cuts[:, None]

    def error(low: float, high: float) -> float:
        left = values - np.where(upper, high, low)
        if not padded:  # readers have the mean of each channel in their bias
            left = left - left.mean(axis=1, keepdims=True)
        return float((left**2).sum())

    sizes = np.linspace(0.01, 6, 600)
    forms = [(-s, s) for s in sizes] + ([(0.0, s) for s in sizes] if padded else [])
    assert error(found.low, found.high) <= min(error(*form) for form in forms) * (1 + 1e-6)
    assert found.low in (-found.high, 0.0)


def test_ties_are_up() -> None:
    levels = TwoLevels(np.array([0.5, -1.0], np.float32), -2.0, 2.0)
    x = np.array([[0.5, -1.0], [0.49, -1.01]], np.float32)
    np.testing.assert_array_equal(levels(x, np.arange(2)[None]), [[2, 2], [-2, -2]])
