"""Power-of-two segment trees with real coefficients."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actc.approx import ScalarFunction, check_certificate, fit_piecewise_linear
from actc.approx.catalogue import find
from actc.approx.float_tree import TreeFit, fit_tree
from actc.errors import ModelError, UsageError

LAST = 8 - 2**-12  # the last of 65,536 samples in [-8, 8)
LEAVES = (4, 8, 16, 32, 64)
# error of the best tree over that of the best free segments, from an independent program
RATIOS = {
    "GELU": (1.74, 5.02, 2.22, 2.60, 2.13),
    "SiLU": (2.58, 2.79, 2.05, 2.04, 2.21),
    "Mish": (2.17, 3.39, 2.95, 2.00, 2.35),
    "Tanh": (4.45, 3.19, 2.46, 2.16, 2.39),
    "Sigmoid": (2.79, 1.90, 2.60, 2.04, 2.13),
    "Snake": (1.00, 1.21, 1.74, 2.22, 1.88),
    "GoLU": (2.43, 3.84, 3.28, 2.35, 2.30),
    "Erf": (5.42, 4.41, 3.20, 1.80, 2.01),
    "Softplus": (2.92, 1.52, 1.65, 1.68, 1.71),
}


@pytest.mark.parametrize("name", RATIOS)
def test_known_trees(name: str) -> None:
    f = find(name).function()
    for leaves, ratio in zip(LEAVES, RATIOS[name], strict=True):
        tree = fit_tree(f, -8, 8, leaves=leaves)
        free = fit_piecewise_linear(f, -8, LAST, segments=leaves)
        assert tree.max_error / free.max_error == pytest.approx(ratio, abs=5.1e-3)
        # coefficients are float32, which costs 2e-8 of errors of 1e-4
        assert tree.max_error * 0.9998 <= tree.lower_bound <= tree.max_error
        require_tree(tree, -8, 8)


def require_tree(tree: TreeFit, lo: float, hi: float) -> None:
    """The breakpoints are the ends of dyadic parts of the given depths."""
    place, starts = 0.0, []
    for depth in tree.depths.tolist():
        starts.append(lo + place * (hi - lo))
        assert place * 2.0**depth == int(place * 2.0**depth)
        place += 2.0**-depth
    assert place == 1.0
    np.testing.assert_array_equal(tree.form.breakpoints, np.float32(starts[1:]))


def through(values: list[float]) -> ScalarFunction:
    y = np.array(values)
    return ScalarFunction("listed", lambda x: y[np.rint(x).astype(int)])


def line_error(y: list[float]) -> float:
    """Least error of a line: the worst triple's (Helly)."""
    return max(
        (
            abs(y[j] - (y[i] + (y[k] - y[i]) * (j - i) / (k - i))) / 2
            for i, j, k in itertools.combinations(range(len(y)), 3)
        ),
        default=0.0,
    )


def least_error(values: tuple[float, ...], leaves: int) -> float:
    """Least error over all trees with at most so many leaves."""

    @functools.cache
    def best(start: int, end: int, leaves: int) -> float:
        found = line_error(list(values[start:end]))
        middle = (start + end) // 2
        for left in range(1, leaves if end - start > 1 else 1):
            halves = best(start, middle, left), best(middle, end, leaves - left)
            found = min(found, max(halves))
        return found

    return best(0, len(values), leaves)


VALUES = st.lists(
    st.one_of(st.integers(-9, 9).map(float), st.floats(-100, 100)), min_size=16, max_size=16
)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.integers(1, 9))
def test_no_tree_is_better(values: list[float], leaves: int) -> None:
    f = through(values)
    fit = fit_tree(f, 0, 16, leaves=leaves, points=16, precision="float64")
    optimum = least_error(tuple(values), leaves)
    assert fit.form.segments <= leaves
    assert fit.max_error == pytest.approx(optimum, rel=1e-7, abs=1e-11)
    assert fit.lower_bound == pytest.approx(optimum, rel=1e-7, abs=1e-11)
    assert fit.lower_bound <= fit.max_error
    assert check_certificate(fit.certificate, f) == []
    require_tree(fit, 0, 16)


@settings(max_examples=100, deadline=None)
@given(VALUES, st.floats(0.01, 50))
def test_fewest_leaves(values: list[float], error: float) -> None:
    f = through(values)
    fit = fit_tree(f, 0, 16, max_error=error, points=16, precision="float64")
    assert fit.max_error <= error
    fewer = fit.form.segments - 1
    assert fewer == 0 or least_error(tuple(values), fewer) > error * (1 - 1e-9)


def test_functions_that_are_their_own_tree_are_reproduced() -> None:
    fit = fit_tree(find("ReLU").function(), -8, 8, leaves=64)
    assert fit.depths.tolist() == [1, 1]
    assert fit.form.slopes.tolist() == [0.0, 1.0]
    assert (fit.max_error, fit.lower_bound) == (0.0, 0.0)


def test_the_bound_holds_between_samples() -> None:
    f, dense = find("GELU").function(), np.linspace(-6, 5.9, 50_001)
    fit = fit_tree(f, -6, 6, leaves=11, points=256)
    error = np.abs(fit.form.evaluate(dense) - f(dense)).max()
    assert fit.max_error < error <= fit.between_samples


def test_narrow_ranges_far_from_zero() -> None:
    f = ScalarFunction("sine", lambda x: np.sin(20 * x))
    fit = fit_tree(f, 1e6, 1e6 + 1, leaves=64)  # float32 has 16 numbers there
    assert fit.form.segments == len(fit.depths)
    assert np.all(np.diff(fit.form.breakpoints) > 0)
    with pytest.raises(UsageError, match="ACT0305"):
        fit_tree(f, 1e6, 1e6 + 1, max_error=0.0)


def test_errors_below_the_precision_are_refused() -> None:
    with pytest.raises(UsageError, match="ACT0305") as caught:
        fit_tree(find("Tanh").function(), -8, 8, max_error=1e-9)
    assert "segment tree of Tanh" in str(caught.value)


def test_undefined_functions_are_refused() -> None:
    with pytest.raises(ModelError, match="ACT0303"):
        fit_tree(find("Log").function(), -1, 1, leaves=4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either"),
        ({"leaves": 4, "max_error": 0.1}, "either"),
        ({"leaves": 0}, "leaves must"),
        ({"leaves": 5000}, "leaves must"),
        ({"max_error": math.nan}, "max_error must"),
        ({"leaves": 2, "points": 1}, "points"),
    ],
)
def test_wrong_arguments(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_tree(find("Tanh").function(), -1, 1, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("lo", "hi"), [(1.0, 1.0), (0.0, math.inf), (math.nan, 1.0)])
def test_wrong_ranges(lo: float, hi: float) -> None:
    with pytest.raises(ValueError, match="finite range"):
        fit_tree(find("Tanh").function(), lo, hi, leaves=2)
