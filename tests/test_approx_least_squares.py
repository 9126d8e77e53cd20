"""Piecewise-linear forms of least weighted squared error, against exhaustive search."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actc.approx import ScalarFunction
from actc.approx.catalogue import find
from actc.approx.least_squares import LeastSquaresFit, fit_least_squares
from actc.errors import ModelError

Window = tuple[list[Fraction], list[Fraction], list[Fraction]]


def through(x: list[float], y: list[float]) -> ScalarFunction:
    """A function with the given values at the given points."""
    value = dict(zip(x, y, strict=True))
    return ScalarFunction("listed", lambda p: np.array([value[float(v)] for v in p]))


def squared_error(window: Window, slope: Fraction, intercept: Fraction) -> Fraction:
    terms = zip(*window, strict=True)
    return sum((w * (slope * x + intercept - y) ** 2 for x, y, w in terms), Fraction(0))


def real_cost(window: Window) -> Fraction:
    """Squared error of the best line: normal equations in rational arithmetic."""
    x, y, w = window
    total = sum(w)
    if not total:
        return Fraction(0)
    mean_x = sum(a * b for a, b in zip(w, x, strict=True)) / total
    mean_y = sum(a * b for a, b in zip(w, y, strict=True)) / total
    spread = sum(a * (b - mean_x) ** 2 for a, b in zip(w, x, strict=True))
    mixed = sum(a * (b - mean_x) * (c - mean_y) for a, b, c in zip(w, x, y, strict=True))
    slope = mixed / spread if spread else Fraction(0)
    return squared_error(window, slope, mean_y - slope * mean_x)


def grid_cost(step: Fraction, slopes: range) -> Callable[[Window], Fraction]:
    """Squared error of the best line on the grid: every slope, intercepts around the best."""

    def cost(window: Window) -> Fraction:
        x, y, w = window
        if not (total := sum(w)):
            return Fraction(0)
        found = []
        for slope in (step * m for m in slopes):
            level = sum(c * (b - slope * a) for a, b, c in zip(x, y, w, strict=True)) / total
            near = math.floor(level / step)
            found += [squared_error(window, slope, step * n) for n in range(near - 1, near + 3)]
        return min(found)

    return cost


def exhaustive(
    x: list[float],
    y: list[float],
    w: list[float],
    segments: int,
    cost: Callable[[Window], Fraction],
) -> Fraction:
    """Least squared error over all segmentations."""
    columns = [[Fraction(value) for value in values] for values in (x, y, w)]
    count = len(x)
    costs = {
        (a, b): cost((columns[0][a:b], columns[1][a:b], columns[2][a:b]))
        for a, b in itertools.combinations(range(count + 1), 2)
    }
    return min(
        sum((costs[span] for span in itertools.pairwise((0, *cuts, count))), Fraction(0))
        for used in range(1, min(segments, count) + 1)
        for cuts in itertools.combinations(range(1, count), used - 1)
    )


@st.composite
def instances(
    draw: st.DrawFn, most: int = 9, largest: int = 9, apart: int = 8
) -> tuple[list[float], list[float], list[float]]:
    count = draw(st.integers(1, most))
    gaps = draw(st.lists(st.integers(1, 9), min_size=count, max_size=count))
    x = [a / apart for a in itertools.accumulate(gaps)]
    values = st.one_of(st.integers(-2, 2).map(float), st.floats(-largest, largest, width=32))
    y = draw(st.lists(values, min_size=count, max_size=count))
    weight = st.one_of(st.integers(0, 4).map(float), st.floats(2**-20, 2**20))
    w = draw(st.lists(weight, min_size=count, max_size=count))
    return x, y, ([1.0] * count if not any(w) else w)


def check(fit: LeastSquaresFit, x: list[float], y: list[float], w: list[float]) -> None:
    """What the fit says of itself, recomputed."""
    error = np.abs(fit.form.evaluate(x) - np.array(y))
    assert fit.max_error == error.max()
    assert fit.mse == pytest.approx(np.average(error**2, weights=w), rel=1e-9, abs=1e-30)
    assert fit.rms == math.sqrt(fit.mse)


@settings(max_examples=120, deadline=None)
@given(instances(), st.integers(1, 5))
def test_no_segmentation_is_better(
    instance: tuple[list[float], list[float], list[float]], segments: int
) -> None:
    x, y, w = instance
    fit = fit_least_squares(through(x, y), np.array(x), np.array(w), segments)
    check(fit, x, y, w)
    rms = math.sqrt(exhaustive(x, y, w, segments, real_cost) / sum(map(Fraction, w)))
    assert fit.form.segments <= segments
    assert fit.lower_bound <= rms * (1 + 1e-15)
    assert fit.rms == pytest.approx(rms, rel=1e-9, abs=1e-13)
    assert fit.lower_bound >= rms * (1 - 1e-9) - 1e-10


@settings(max_examples=50, deadline=None)
@given(instances(6, 2, 2), st.integers(1, 4), st.sampled_from([1.0, 0.5, 0.25, 3.0]))
def test_no_line_of_the_grid_is_better(
    instance: tuple[list[float], list[float], list[float]], segments: int, step: float
) -> None:
    x, y, w = instance
    fit = fit_least_squares(through(x, y), np.array(x), np.array(w), segments, step=step)
    check(fit, x, y, w)
    used = [i for i, weight in enumerate(w) if weight > 0]
    chords = [(y[j] - y[i]) / (x[j] - x[i]) / step for i, j in itertools.pairwise(used)] or [0.0]
    slopes = range(math.floor(min(chords)), math.ceil(max(chords)) + 1)
    best = exhaustive(x, y, w, segments, grid_cost(Fraction(step), slopes))
    rms = math.sqrt(best / sum(map(Fraction, w)))
    assert fit.rms == pytest.approx(rms, rel=1e-9, abs=1e-13)
    assert rms * (1 - 1e-9) - 1e-10 <= fit.lower_bound <= rms * (1 + 1e-15)
    for values in (fit.form.slopes, fit.form.intercepts):
        np.testing.assert_array_equal(values / step, np.rint(values / step))


# best published forms of a genetic search, as evaluated on x = arange(lo, hi, 0.01)
GENETIC = {("GELU", 8): 7.21e-5, ("GELU", 16): 1.60e-5, ("HardSwish", 16): 1.84e-5}
# the optimum with real coefficients on the same points, from an independent program
OPTIMA = {
    ("GELU", -4.0, 4.0): {8: 1.17e-5, 16: 8.29e-7},
    ("HardSwish", -4.0, 4.0): {8: 1.08e-4, 16: 3.86e-6},
    ("Exp", -8.0, 0.0): {8: 3.38e-6, 16: 2.08e-7},
}


@pytest.mark.parametrize(("name", "low", "high"), OPTIMA)
def test_known_optima(name: str, low: float, high: float) -> None:
    x = np.arange(low, high, 0.01)
    for segments, optimum in OPTIMA[name, low, high].items():
        f = find(name).function()
        free = fit_least_squares(f, x, np.ones_like(x), segments)
        assert free.mse == pytest.approx(optimum, rel=5e-3)
        assert free.lower_bound >= free.rms * (1 - 1e-5)
        grid = fit_least_squares(f, x, np.ones_like(x), segments, step=2**-6)
        assert free.mse < grid.mse < GENETIC.get((name, segments), 1.0) / 2
        assert grid.lower_bound >= grid.rms * (1 - 1e-5)


def test_good_lines_on_high_ground_are_not_lost_to_cancellation() -> None:
    x = np.arange(60) / 64
    ripple = 2.0**-20 * np.array([0, 1, -1, 2, 0, -2] * 10)
    y = (1e4 + 100 * x + ripple).tolist()
    fit = fit_least_squares(through(x.tolist(), y), x, np.ones(60), 3)
    columns = [x.tolist(), y, [1.0] * 60]
    best = min(
        sum(
            real_cost(tuple([Fraction(v) for v in c[a:b]] for c in columns))  # type: ignore[arg-type]
            for a, b in itertools.pairwise((0, *cuts, 60))
        )
        for cuts in itertools.combinations(range(2, 60, 2), 2)
    )
    assert fit.rms <= math.sqrt(best / 60) * (1 + 1e-6)
    assert 0 < fit.lower_bound <= fit.rms


def test_samples_without_weight_cost_nothing() -> None:
    x = np.arange(8.0)
    f = ScalarFunction("spike", lambda x: np.where(x == 4, 100.0, x))
    fit = fit_least_squares(f, x, np.where(x == 4, 0.0, 1.0), 1)
    assert fit.rms == pytest.approx(0.0, abs=1e-14)
    assert fit.max_error == pytest.approx(96.0)
    assert fit.form.slopes[0] == pytest.approx(1.0)


def test_weights_say_where_the_form_is_good() -> None:
    f, x = find("GELU").function(), np.linspace(-8, 8, 401)
    bell = np.exp(-(x**2) / 2)
    weighted = fit_least_squares(f, x, bell, 8)
    even = fit_least_squares(f, x, np.ones_like(x), 8)
    errors = [(fit.form.evaluate(x) - f(x)) ** 2 for fit in (weighted, even)]
    assert np.average(errors[0], weights=bell) < 0.5 * np.average(errors[1], weights=bell)
    assert np.average(errors[1]) < 0.5 * np.average(errors[0])


def test_more_segments_than_samples() -> None:
    x, y = [0.0, 1.0, 2.0, 3.0], [0.0, 5.0, -1.0, 2.0]
    fit = fit_least_squares(through(x, y), np.array(x), np.ones(4), 100)
    assert fit.rms <= 1e-15
    assert fit.form.segments <= 4


def test_undefined_functions_are_refused() -> None:
    with pytest.raises(ModelError, match="ACT0303"):
        fit_least_squares(find("Log").function(), np.array([-1.0, 1.0]), np.ones(2), 1)


@pytest.mark.parametrize(
    ("x", "weights", "segments", "step", "message"),
    [
        ([], [], 1, None, "numbers each"),
        ([0.0, 1.0], [1.0], 1, None, "numbers each"),
        ([0.0] * 5000, [1.0] * 5000, 1, None, "numbers each"),
        ([1.0, 0.0], [1.0, 1.0], 1, None, "increase"),
        ([0.0, np.nan], [1.0, 1.0], 1, None, "finite"),
        ([0.0, 1.0], [1.0, -1.0], 1, None, "weights"),
        ([0.0, 1.0], [0.0, 0.0], 1, None, "weights"),
        ([0.0, 1.0], [1.0, 1.0], 0, None, "segments"),
        ([0.0, 1.0], [1.0, 1.0], 1, 0.0, "step"),
        ([0.0, 0.5, 1.0], [1.0, 1.0, 1.0], 1, 1e-9, "too fine"),
    ],
)
def test_wrong_arguments(
    x: list[float], weights: list[float], segments: int, step: float | None, message: str
) -> None:
    f = find("Square" if step == 1e-9 else "Tanh").function()
    with pytest.raises(ValueError, match=message):
        fit_least_squares(f, np.array(x), np.array(weights), segments, step=step)
