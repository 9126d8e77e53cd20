"""Piecewise polynomials on integers: units, choices among fits, least errors."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from fixed_point_units import formats, unit
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from actc.approx import ScalarFunction, polynomial_leaves
from actc.approx.catalogue import CATALOGUE, find
from actc.approx.dyadic import fit_segment_tree
from actc.approx.fixed_point import FixedPoint
from actc.approx.fixed_polynomial import (
    PolynomialFit,
    fit_polynomial,
    fit_polynomial_leaves,
    widest_polynomial_shift,
)
from actc.approx.gates import NoForm, make_gates

NAMES = ["GELU", "Tanh", "Sigmoid", "Softplus"]


def check_unit(name: str, bits: int, degree: int) -> None:
    gates = unit(name, bits, "faithful")
    fit = fit_polynomial(gates, degree)
    assert isinstance(fit, PolynomialFit)
    assert fit.minimal
    assert fit.max_error_ulp < 1
    assert fit.to_json()["minimal"] is True
    assert gates.admit(fit.form.evaluate(gates.input.codes()))
    assert fit.form.degree == degree
    assert fit.form.coefficients[:, degree].any()
    tree = fit_segment_tree(gates).form
    assert fit.form.segments < tree.segments
    assert fit.form.storage_bits < tree.storage_bits


@pytest.mark.parametrize(("name", "degree"), [("GELU", 2), ("Tanh", 2), ("Softplus", 3)])
def test_units_of_8_bits(name: str, degree: int) -> None:
    check_unit(name, 8, degree)


def test_unit_of_12_bits() -> None:
    check_unit("GELU", 12, 2)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("degree", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_units(name: str, degree: int, bits: int) -> None:
    check_unit(name, bits, degree)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 12])
def test_every_tenth_of_the_catalogue(bits: int) -> None:
    for entry in CATALOGUE[::10]:
        gates = make_gates(entry.function(), *formats(entry.name, bits), "faithful")
        fit = fit_polynomial(gates, 2)
        assert isinstance(fit, PolynomialFit), entry.name
        assert fit.minimal, entry.name
        tree = fit_segment_tree(gates, shift=fit.form.shift).form
        exact = fit_polynomial(gates, 2, truncations=(0,), shift=fit.form.shift)
        assert isinstance(exact, PolynomialFit), entry.name
        assert exact.form.segments <= tree.segments, entry.name


def test_choice_within_few_leaves() -> None:
    gates = unit("Tanh", 8, "faithful")
    finest = fit_polynomial(gates, 2, truncations=(0,), shift=widest_polynomial_shift(gates))
    assert isinstance(finest, PolynomialFit)
    few = fit_polynomial(gates, 2, max_leaves=finest.form.segments)
    free = fit_polynomial(gates, 2)
    assert isinstance(few, PolynomialFit)
    assert isinstance(free, PolynomialFit)
    assert few.form.segments == finest.form.segments
    assert cost(free) <= cost(few) < cost(finest)
    assert fit_polynomial(gates, 2, max_shift=free.form.shift - 1) != free
    assert isinstance(fit_polynomial(gates, 2, max_leaves=1), NoForm)


def cost(fit: PolynomialFit) -> int:
    return fit.form.storage_bits + fit.form.product_bits


def test_degree_that_no_leaf_needs() -> None:
    fit = fit_polynomial(unit("Relu", 8, "correctly_rounded"), 3)
    assert isinstance(fit, PolynomialFit)
    assert fit.form.degree == 2
    assert fit.form.segments == 2
    assert not fit.form.coefficients[:, 2].any()


def test_search_that_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    gates = unit("Tanh", 8, "faithful")
    whole = fit_polynomial(gates, 3, truncations=(0, 0), shift=8)
    monkeypatch.setattr(polynomial_leaves, "MAX_TRIES", 2)
    fit = fit_polynomial(gates, 3, truncations=(0, 0), shift=8)
    assert isinstance(whole, PolynomialFit)
    assert isinstance(fit, PolynomialFit)
    assert whole.minimal
    assert not fit.minimal
    assert fit.form.segments > whole.form.segments
    assert gates.admit(fit.form.evaluate(gates.input.codes()))


def tree_error(values: np.ndarray, leaves: int, shift: int) -> float:
    """Least error of quadratics with u_2 = t**2, outputs 0..3, in so many leaves."""
    best = math.inf
    t = np.arange(len(values))
    for a2, a1 in itertools.product(range(-9, 10), range(-30, 31)):
        constants = np.arange(-200, 200)
        outputs = (constants[:, None] + a1 * t + a2 * t**2) >> shift
        inside = np.all((outputs >= 0) & (outputs <= 3), axis=1)
        errors = np.abs(outputs - values).max(axis=1)[inside]
        best = min(best, float(errors.min(initial=math.inf)))
    middle = len(values) // 2
    for left in range(1, leaves if middle else 1):
        halves = (values[:middle], left), (values[middle:], leaves - left)
        best = min(best, max(tree_error(part, count, shift) for part, count in halves))
    return best


@given(st.lists(st.integers(0, 24), min_size=4, max_size=4), st.integers(1, 2))
@settings(max_examples=10, deadline=None)
def test_least_error_of_few_leaves(eighths: list[int], leaves: int) -> None:
    values = np.array(eighths) / 8
    f = ScalarFunction("listed", lambda x: values[x.astype(int)])
    source = FixedPoint(False, 2, 0)
    fit = fit_polynomial_leaves(f, source, source, leaves, 2, truncations=(0,), shift=1)
    assert fit.form.segments <= leaves
    assert fit.max_error == tree_error(values, leaves, 1)


def real_error(values: np.ndarray, degree: int) -> float:
    """Least error of a polynomial with real coefficients, by linear programming."""
    x = np.linspace(-1, 1, len(values))
    powers_of_x = np.stack([x**k for k in range(degree + 1)], axis=1)
    ones = np.ones((len(x), 1))
    rows = np.block([[powers_of_x, -ones], [-powers_of_x, -ones]])
    cost = np.eye(degree + 2)[-1]
    found = linprog(cost, rows, np.concatenate([values, -values]), bounds=(None, None))
    return float(found.fun)


@pytest.mark.parametrize("degree", [2, 3])
def test_least_error_with_a_chosen_datapath(degree: int) -> None:
    source, output = FixedPoint(True, 8, 4), FixedPoint(True, 12, 8)
    f = find("GELU").function()
    fit = fit_polynomial_leaves(f, source, output, 2, degree)
    assert fit.form.segments == 2
    real = max(real_error(half, degree) for half in np.split(f(source.values()), 2))
    # the rounding of the output may help or cost half a unit
    assert abs(fit.max_error - real) < 0.51 * output.ulp


@pytest.mark.parametrize(
    ("degree", "options", "message"),
    [
        (1, {}, "degree is 2 or 3"),
        (4, {}, "degree is 2 or 3"),
        (2, {"shift": -1}, "shift must be"),
        (2, {"max_shift": 99}, "shift must be"),
        (2, {"truncations": (0, 0)}, "truncations"),
        (3, {"truncations": (0, 25)}, "cut off"),
        (2, {"truncations": (-1,)}, "cut off"),
        (2, {"max_leaves": 0}, "leaf"),
    ],
)
def test_wrong_options(degree: int, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_polynomial(unit("GELU", 8, "faithful"), degree, **options)
