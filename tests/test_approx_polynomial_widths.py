"""Piecewise polynomials of higher degrees, narrow coefficients, and the search for them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from fixed_point_units import random_gates, unit
from hypothesis import given, settings
from hypothesis import strategies as st
from polynomial_trials import brute_serves, window

from actc.approx.dyadic import fit_segment_tree
from actc.approx.fixed_polynomial import (
    PolynomialFit,
    fit_polynomial,
)
from actc.approx.gates import Gates, NoForm
from actc.approx.polynomial_leaves import needed, powers
from actc.approx.polynomial_pattern import pattern_search
from actc.approx.polynomial_tree import fewest_leaves
from actc.approx.signed_digits import signed_width


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6])
def test_powers_left_out_are_combinations_of_others(bits: int) -> None:
    count = 1 << bits
    for square, cube in itertools.product(range(2 * bits + 1), range(3 * bits + 1)):
        u = powers(np.arange(count), (square, cube))
        kept = needed(u)
        basis = np.array([np.ones(count), *(u[k] for k in kept)])
        assert np.linalg.matrix_rank(basis) == len(basis)
        assert count <= 4 or all(k in kept or not u[k].any() for k in range(3))
        for k in set(range(3)) - set(kept):
            shares = np.linalg.lstsq(basis.T, u[k], rcond=None)[0]
            assert np.array_equal(np.rint(shares) @ basis, u[k])


@given(random_gates(bits=4), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_higher_degrees_need_no_more_leaves(gates: Gates, shift: int) -> None:
    fits = [
        fit_segment_tree(gates, shift=shift),
        fit_polynomial(gates, 2, truncations=(0,), shift=shift),
        fit_polynomial(gates, 3, truncations=(0, 0), shift=shift),
    ]
    counts = [fit.form.segments for fit in fits if not isinstance(fit, NoForm)]
    assert len(counts) == 3
    assert counts == sorted(counts, reverse=True)


def width_range(width: int) -> range:
    """The integers of so many bits, signed; of no bits: zero."""
    return range(-(1 << width >> 1), max(1 << width >> 1, 1))


@given(random_gates(bits=3, height=4), st.integers(0, 4), st.integers(0, 2))
@settings(max_examples=30, deadline=None)
def test_first_coefficient_is_narrow(gates: Gates, truncation: int, shift: int) -> None:
    form = fewest_leaves(gates, (truncation,), shift, 8)
    assert form is not None
    widths = [signed_width(column) if column.any() else 0 for column in form.coefficients.T]
    if widths[2] == 0:
        return
    boxes = [width_range(widths[1]), width_range(widths[2] - 1)]
    sizes = 8 >> form.depths
    ends = np.cumsum(sizes)
    assert not all(
        brute_serves(gates.low[start:end], gates.high[start:end], (truncation,), shift, boxes)
        for start, end in zip((ends - sizes).tolist(), ends.tolist(), strict=True)
    )


@dataclass(frozen=True)
class Bowl:
    cost: tuple[int, ...]


def test_pattern_search_in_a_box() -> None:
    seen: list[tuple[int, ...]] = []

    def bowl(point: tuple[int, ...], best: Bowl | None) -> Bowl | None:
        seen.append(point)
        assert (best is None) == (len(seen) == 1)
        return Bowl(((point[0] - 9) ** 2 + (point[1] + 20) ** 2,))

    box = [(0, 50), (-15, 15)]
    assert pattern_search(box, [(60, 3), (50, 3), (2, 2)], bowl) == ((9, -15), Bowl((25,)))
    assert len(seen) == len(set(seen))
    assert all(0 <= a <= 50 and -15 <= b <= 15 for a, b in seen)
    assert pattern_search(box, [(0, 0)], lambda point, best: None) is None


def test_constants_end_with_zeros() -> None:
    gates = unit("GELU", 8, "faithful")
    fit = fit_polynomial(gates, 2, truncations=(4,), shift=12)
    assert isinstance(fit, PolynomialFit)
    form = fit.form
    bits = int(np.bitwise_or.reduce(form.coefficients[:, 0]))
    step = 2 * (bits & -bits)  # one more zero
    free = []
    for start, depth, row in zip(form.starts, form.depths, form.coefficients, strict=True):
        size = 256 >> int(depth)
        total = sum(a * u for a, u in zip(row[1:], window((4,), size), strict=True))
        least = ((gates.low[start : start + size] << 12) - total).max()
        most = (((gates.high[start : start + size] + 1) << 12) - 1 - total).min()
        free.append(-(-least // step) * step <= most)
    assert not all(free)
