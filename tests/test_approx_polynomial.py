"""Piecewise polynomials in fixed point."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from fixed_point_units import random_gates
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polynomial_trials import brute_leaves, brute_serves, window
from scipy.optimize import Bounds, LinearConstraint, milp

from actc.approx import polynomial_search
from actc.approx.fixed_point import FixedPoint
from actc.approx.fixed_polynomial import (
    IntegerPolynomial,
    PolynomialFit,
    fit_polynomial,
)
from actc.approx.gates import Gates, NoForm
from actc.approx.polynomial_leaves import LeafSearch
from actc.approx.polynomial_search import Refutation, Rows, solve

S4, WIDE = FixedPoint(True, 4, 0), FixedPoint(True, 32, 0)


def form(**changes: Any) -> IntegerPolynomial:
    fields: dict[str, Any] = {
        "input": S4,
        "output": WIDE,
        "depths": [1, 2, 2],
        "coefficients": [[1, 2, 3], [4, -5, 6], [-7, 8, -9]],
        "truncations": (1,),
        "shift": 2,
    }
    return IntegerPolynomial(**(fields | changes))


@given(st.data())
def test_evaluation_of_described_leaves(data: st.DataObject) -> None:
    truncations = data.draw(
        st.tuples(st.integers(0, 8)) | st.tuples(st.integers(0, 8), st.integers(0, 12))
    )
    degree = len(truncations) + 1
    row = st.lists(st.integers(-99, 99), min_size=degree + 1, max_size=degree + 1)
    depths = data.draw(st.sampled_from([[0], [1, 2, 2], [2, 3, 3, 1], [1, 2, 3, 4, 4]]))
    rows = data.draw(st.lists(row, min_size=len(depths), max_size=len(depths)))
    polynomial = form(
        depths=depths,
        coefficients=rows,
        truncations=truncations,
        shift=data.draw(st.integers(0, 9)),
    )
    described = json.loads(json.dumps(polynomial.to_json()))
    outputs = []
    for depth, (c, a1, *rest) in zip(described["depths"], described["coefficients"], strict=True):
        for t in range(16 >> depth):
            total = c + a1 * t
            for k, (a, cut) in enumerate(zip(rest, described["truncations"], strict=True), 2):
                total += a * (t**k // 2**cut)
            outputs.append(total // 2 ** described["shift"])
    assert polynomial.evaluate(S4.codes()).tolist() == outputs
    assert polynomial.segments == len(depths)
    assert polynomial.degree == degree == described["degree"]


def test_sizes() -> None:
    polynomial = form(coefficients=[[8, 0, 3], [-16, 2, 0], [0, -4, 0]])
    # c: -16..8 in steps of 8; a_1: -4..2 in steps of 2; a_2: 0..3
    assert polynomial.widths == (2, 2, 3)
    # the largest leaf has 8 inputs: t <= 7, t**2 >> 1 <= 24
    assert polynomial.power_widths == (3, 5)
    assert polynomial.storage_bits == 3 * 7 + 5
    assert polynomial.product_bits == 2 * 3 + 3 * 5 + 3 * 4 // 2
    cubic = form(depths=[0], coefficients=[[1, 1, 1, 0]], truncations=(0, 4))
    assert cubic.widths == (2, 2, 2, 0)
    assert cubic.power_widths == (4, 8, 8)
    assert cubic.product_bits == 2 * 4 + 2 * 8 + 4 * 5 // 2
    cubic = form(depths=[0], coefficients=[[1, 0, 0, 1]], truncations=(0, 4))
    assert cubic.product_bits == 2 * 8 + 4 * 5 // 2 + 4 * 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depths": [1, 1, 2]}, "tree"),
        ({"depths": [2, 1, 2]}, "tree"),
        ({"depths": [1, 2, 5]}, "depths are"),
        ({"depths": [1, 2]}, "n leaves"),
        ({"depths": []}, "n leaves"),
        ({"truncations": (1, 1)}, "n leaves"),
        ({"truncations": ()}, "degree"),
        ({"truncations": (1, 1, 1)}, "degree"),
        ({"truncations": (9,)}, "cut off"),
        ({"truncations": (-1,)}, "cut off"),
        ({"shift": -1}, "shift"),
        ({"shift": 62}, "shift"),
        ({"coefficients": [[1, 2, 3], [4, 5, 6], [7, 8, 1 << 60]]}, "62 bits"),
        ({"input": FixedPoint(True, 32, 0), "depths": [0], "coefficients": [[0, 0, 0]]}, "62 bits"),
    ],
)
def test_refuses_what_is_no_form(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        form(**changes)


def test_largest_exact_sizes() -> None:
    # t <= 7 and u_2 = t**2 >> 1 <= 24 in the first leaf
    largest = ((1 << 62) - 1) // 24
    polynomial = form(coefficients=[[0, 0, largest], [0, 0, 0], [0, 0, 0]], shift=0)
    assert polynomial.evaluate(np.array([-1]))[0] == 24 * largest
    with pytest.raises(ValueError, match="62 bits"):
        form(coefficients=[[24, 0, largest], [0, 0, 0], [0, 0, 0]])


@st.composite
def small_rows(draw: st.DrawFn) -> tuple[Rows, list[range]]:
    """Rows of no polynomial in particular, and the ranges of all coefficients but c."""
    count, size = draw(st.integers(2, 3)), draw(st.integers(2, 6))
    entry = st.integers(-6, 6)
    phi = np.zeros((count, size + count - 1), np.int64)
    for k in range(count - 1):
        phi[k, :size] = draw(st.lists(entry, min_size=size, max_size=size))
        phi[k, -1 - k] = max(np.abs(phi[k]).max(), 1)
    phi[-1, :size] = 1
    lower = draw(st.lists(st.integers(-30, 30), min_size=size, max_size=size))
    upper = [low + draw(st.integers(0, 9)) for low in lower]
    reach = draw(st.integers(1, 6))
    ends = reach * phi.max(axis=1)[:-1][::-1]
    boxes = [range(-reach, reach + 1)] * (count - 1)
    return Rows(phi, np.array([*lower, *-ends]), np.array([*upper, *ends])), boxes


@pytest.mark.parametrize("blind", [False, True])
@given(small_rows())
@settings(max_examples=150, deadline=None)
def test_integer_points(blind: bool, case: tuple[Rows, list[range]]) -> None:
    rows, boxes = case
    data = rows.phi.shape[1] - len(boxes)
    products = [np.array(point) @ rows.phi[:-1, :data] for point in itertools.product(*boxes)]
    lower, upper = rows.lower[:data], rows.upper[:data]
    exists = any((lower - part).max() <= (upper - part).min() for part in products)
    with pytest.MonkeyPatch.context() as patch:
        if blind:  # the linear program only says where to look
            patch.setattr(polynomial_search, "_relax", lambda rows, unit: (0.4, None))
        found = solve(rows, iter(range(10_000)), 1.0)
    assert isinstance(found, list) == exists
    if isinstance(found, list):
        sums = np.array(found) @ rows.phi
        assert np.all((rows.lower <= sums) & (sums <= rows.upper))
    if isinstance(found, Refutation):
        assert not np.any(rows.phi[:, found.rows] @ np.array(found.weights))
        bounds = [
            w * int(rows.upper[r] if w > 0 else rows.lower[r])
            for r, w in zip(found.rows, found.weights, strict=True)
        ]
        assert sum(bounds) < 0


# Values differ by less than 8 << shift. On 4 or 8 points some second difference of u_2
# is not 0, so a_2 is at most twice that; a_1 is p(1) - p(0), less a_2 only without
# truncation, when all second differences are 2 and a_2 is half as large.
@given(random_gates(bits=3, height=2, width=3), st.integers(0, 6), st.integers(0, 2))
@settings(max_examples=40, deadline=None)
def test_fewest_leaves_of_all_quadratics(gates: Gates, truncation: int, shift: int) -> None:
    boxes = [range(-64, 65), range(-64, 65)]
    fit = fit_polynomial(gates, 2, truncations=(truncation,), shift=shift)
    assert isinstance(fit, PolynomialFit)
    assert fit.minimal

    def serves(low: np.ndarray, high: np.ndarray) -> bool:
        return brute_serves(low, high, (truncation,), shift, boxes)

    assert fit.form.segments == brute_leaves(gates, 0, len(gates), serves)


_STEP = np.array([0] + 15 * [2])
STEP = Gates("step", FixedPoint(False, 4, 0), S4, 0.5, _STEP * 1.0, _STEP, _STEP)


@given(
    random_gates(bits=4, height=4),
    st.tuples(st.integers(0, 7), st.integers(0, 11)),
    st.integers(0, 2),
    st.sampled_from([2, 4, 8, 16]),
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)),
)
@example(STEP, (0, 0), 0, 2, (0, 0, 0))
@settings(max_examples=80, deadline=None)
def test_limited_cubic_leaves(
    gates: Gates, truncations: tuple[int, int], shift: int, count: int, widths: tuple[int, ...]
) -> None:
    limits = tuple((-w, w + 1) for w in widths)
    search = LeafSearch(gates, truncations, shift)
    leaf = search.solve(0, count, limits)
    boxes = [range(low, high + 1) for low, high in limits]
    low, high = gates.low[:count], gates.high[:count]
    assert (leaf is not None) == brute_serves(low, high, truncations, shift, boxes)
    assert search.undecided == 0
    if leaf is not None:
        assert all(a in box for a, box in zip(leaf.slopes, boxes, strict=True))
        total = sum(a * u for a, u in zip(leaf.slopes, window(truncations, count), strict=True))
        for constant in (leaf.low, leaf.high):
            y = (total + constant) >> shift
            assert np.all((low <= y) & (y <= high))
        for constant in (leaf.low - 1, leaf.high + 1):
            y = (total + constant) >> shift
            assert not np.all((low <= y) & (y <= high))


def milp_solution(
    low: np.ndarray, high: np.ndarray, truncations: tuple[int, ...], shift: int
) -> np.ndarray | None:
    """Coefficients by branch and bound in floating point, if they hold exactly."""
    columns = [np.ones(len(low), np.int64), *window(truncations, len(low))]
    matrix = np.stack(columns, axis=1)
    found = milp(
        np.zeros(len(columns)),
        constraints=LinearConstraint(matrix, low << shift, ((high + 1) << shift) - 1),
        integrality=np.ones(len(columns)),
        bounds=Bounds(-(2**20), 2**20),
    )
    if found.x is None:
        return None
    rounded = np.rint(found.x).astype(np.int64)
    y = (matrix @ rounded) >> shift
    return rounded if np.all((low <= y) & (y <= high)) else None


@st.composite
def near_polynomials(draw: st.DrawFn) -> tuple[Gates, tuple[int, ...], int]:
    """Gates around a polynomial, some of them moved by one: hard to decide."""
    bits, degree = draw(st.integers(2, 6)), draw(st.integers(2, 3))
    truncations = tuple(draw(st.integers(0, k * bits)) for k in range(2, degree + 1))
    shift = draw(st.integers(0, 8))
    source = FixedPoint(False, bits, 0)
    total = np.zeros(source.count, np.int64)
    for u in window(truncations, source.count):
        total += draw(st.integers(-20, 20)) * u
    pushed = draw(st.lists(st.integers(-1, 1), min_size=source.count, max_size=source.count))
    low = ((total + draw(st.integers(-99, 99))) >> shift) + np.array(pushed)
    high = low + draw(st.integers(0, 2))
    gates = Gates("near", source, FixedPoint(True, 24, 0), 1.0, (low + high) / 2, low, high)
    return gates, truncations, shift


@given(near_polynomials())
@settings(max_examples=80, deadline=None)
def test_leaves_that_a_solver_finds(case: tuple[Gates, tuple[int, ...], int]) -> None:
    gates, truncations, shift = case
    search = LeafSearch(gates, truncations, shift)
    leaf = search.solve(0, len(gates))
    assert search.undecided == 0
    if leaf is None:
        assert milp_solution(gates.low, gates.high, truncations, shift) is None


@given(near_polynomials())
@settings(max_examples=40, deadline=None)
def test_random_trees(case: tuple[Gates, tuple[int, ...], int]) -> None:
    gates, truncations, shift = case
    degree = len(truncations) + 1
    fit = fit_polynomial(gates, degree, truncations=truncations, shift=shift)
    assert isinstance(fit, PolynomialFit)
    assert fit.minimal
    assert gates.admit(fit.form.evaluate(gates.input.codes()))
    more = fit_polynomial(gates, degree, truncations=truncations, shift=shift + 1)
    assert isinstance(more, PolynomialFit)
    assert more.form.segments <= fit.form.segments
    if fit.form.segments > 1:
        fewer = fit_polynomial(
            gates,
            degree,
            truncations=truncations,
            shift=shift,
            max_leaves=fit.form.segments - 1,
        )
        assert isinstance(fewer, NoForm)
        assert "no tree of at most" in fewer.reason


def test_halves_may_need_more_than_the_whole() -> None:
    # t**2 >> 4 for t = 0..7: its last four values are on no line, and too close for a_2
    values = np.array([0, 0, 0, 0, 1, 1, 2, 3])
    output = FixedPoint(False, 2, 0)
    whole = Gates("square", FixedPoint(False, 3, 0), output, 0.5, values * 1.0, values, values)
    half = Gates(
        "half", FixedPoint(False, 2, 0), output, 0.5, values[4:] * 1.0, values[4:], values[4:]
    )
    fits = [fit_polynomial(gates, 2, truncations=(4,), shift=0) for gates in (whole, half)]
    assert [fit.form.segments for fit in fits if isinstance(fit, PolynomialFit)] == [1, 2]
