"""Piecewise-linear fits: optimality against exhaustive search, known optima, extremes."""

from __future__ import annotations

import itertools
import time

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from actc.approx import ScalarFunction, check_certificate, fit_piecewise_linear
from actc.approx.catalogue import CATALOGUE, find
from actc.approx.pwl import Fit, PiecewiseLinear, bound_between_samples, sample_points
from actc.errors import ModelError, UsageError

LAST = 8 - 2**-12  # the largest of 65,536 equidistant values in [-8, 8)

# least error of any N-segment form over those values, N = 4, 8, 16, 32, 64
OPTIMA = {
    "GELU": (4.891e-2, 7.512e-3, 2.106e-3, 5.050e-4, 1.235e-4),
    "SiLU": (4.970e-2, 9.744e-3, 3.233e-3, 7.857e-4, 1.928e-4),
    "Mish": (4.221e-2, 1.021e-2, 2.449e-3, 6.145e-4, 1.563e-4),
    "Tanh": (6.039e-2, 1.281e-2, 2.977e-3, 7.194e-4, 1.768e-4),
    "Sigmoid": (2.530e-2, 5.673e-3, 1.358e-3, 3.334e-4, 8.268e-5),
    "Snake": (5.000e-1, 2.845e-1, 6.546e-2, 1.372e-2, 4.092e-3),
    "GoLU": (3.881e-2, 9.605e-3, 2.253e-3, 5.469e-4, 1.348e-4),
    "Erf": (5.636e-2, 1.132e-2, 2.563e-3, 6.113e-4, 1.489e-4),
    "Softplus": (4.100e-2, 9.555e-3, 2.328e-3, 5.764e-4, 1.436e-4),
}
SEGMENTS = (4, 8, 16, 32, 64)
# continuous / discontinuous optimum at N = 4, 8, 16, 32, from an independent search
CONTINUOUS_RATIO = {
    "GELU": (1.180, 1.000, 1.002, 1.000),
    "Tanh": (1.163, 1.067, 1.031, 1.015),
    "Sigmoid": (1.153, 1.064, 1.028, 1.013),
}


@pytest.mark.parametrize("name", OPTIMA)
def test_known_optima(name: str) -> None:
    for segments, optimum in zip(SEGMENTS, OPTIMA[name], strict=True):
        fit = fit_piecewise_linear(find(name).function(), -8, LAST, segments=segments)
        assert fit.max_error == pytest.approx(optimum, rel=1e-3)
        assert fit.max_error >= fit.lower_bound >= fit.max_error * 0.9995
        assert fit.form.segments <= segments


@pytest.mark.parametrize("name", CONTINUOUS_RATIO)
def test_continuous_optima(name: str) -> None:
    f = find(name).function()
    for segments, ratio in zip(SEGMENTS, CONTINUOUS_RATIO[name], strict=False):
        free = fit_piecewise_linear(f, -8, LAST, segments=segments)
        fit = fit_piecewise_linear(f, -8, LAST, segments=segments, continuous=True)
        assert fit.max_error / free.max_error == pytest.approx(ratio, abs=2e-3)
        assert fit.path_bound is not None
        assert fit.lower_bound <= fit.path_bound * (1 + 1e-12)
        assert fit.max_error <= fit.path_bound * (1 + 1e-3)
        assert _largest_jump(fit.form) < 2e-6


def _largest_jump(form: PiecewiseLinear) -> float:
    values = [
        form.slopes[side] * form.breakpoints + form.intercepts[side]
        for side in (slice(None, -1), slice(1, None))
    ]
    return float(np.abs(values[0] - values[1]).max(initial=0.0))


def _through(values: list[float]) -> ScalarFunction:
    """A function with the given values at 0, 1, 2, ..."""
    y = np.array(values)
    return ScalarFunction("f", lambda x: y[np.rint(x).astype(int)])


def _exact_fit(values: list[float], segments: int, continuous: bool) -> Fit:
    return fit_piecewise_linear(
        _through(values),
        0,
        len(values) - 1,
        segments=segments,
        points=len(values),
        continuous=continuous,
        tolerance=1e-9,
        precision="float64",
    )


def _window_error(y: npt.NDArray[np.float64]) -> float:
    """Least error of a line: the worst triple's (Helly)."""
    return max(
        (
            abs(y[j] - (y[i] + (y[k] - y[i]) * (j - i) / (k - i))) / 2
            for i, j, k in itertools.combinations(range(len(y)), 3)
        ),
        default=0.0,
    )


def _exhaustive(values: list[float], segments: int) -> float:
    """Dynamic program over all segmentations."""
    y, count = np.array(values), len(values)
    error = {(a, b): _window_error(y[a:b]) for a in range(count) for b in range(a + 1, count + 1)}
    best = [0.0] + [error[0, b] for b in range(1, count + 1)]
    for _ in range(segments - 1):
        best = [0.0] + [
            min(max(best[a], error[a, b]) for a in range(b)) for b in range(1, count + 1)
        ]
    return best[count]


VALUES = st.lists(
    st.one_of(st.integers(-9, 9).map(float), st.floats(-100, 100)), min_size=3, max_size=13
)


@settings(max_examples=300, deadline=None)
@given(VALUES, st.integers(1, 5))
def test_no_segmentation_is_better(values: list[float], segments: int) -> None:
    fit = _exact_fit(values, segments, continuous=False)
    optimum = _exhaustive(values, segments)
    assert fit.max_error == pytest.approx(optimum, rel=1e-7, abs=1e-11)
    assert fit.lower_bound == pytest.approx(optimum, rel=1e-7, abs=1e-11)
    assert check_certificate(fit.certificate, _through(values)) == []


def _best_path(values: list[float], links: int) -> float:
    """Least error of a continuous path, by linear programs over all combinatorial types.

    A type says which samples each link serves, and whether link s is above link s + 1
    before or after their knot in the gap between, or an extra link joins them there.
    """
    count, best = len(values), np.inf
    for used in range(1, links + 1):
        for cuts in itertools.combinations(range(1, count), used - 1):
            for joints in itertools.product((-1, 0, 1), repeat=used - 1):
                if used + joints.count(0) <= links:
                    best = min(best, _path_error(values, (0, *cuts, count), joints))
    return float(best)


def _path_error(values: list[float], edges: tuple[int, ...], joints: tuple[int, ...]) -> float:
    size = 2 * (len(edges) - 1) + 1
    rows, limits = [], []
    for link, (first, end) in enumerate(itertools.pairwise(edges)):
        for x, sign in itertools.product(range(first, end), (1.0, -1.0)):
            row = np.zeros(size)
            row[2 * link : 2 * link + 2] = sign * x, sign
            row[-1] = -1
            rows.append(row)
            limits.append(sign * values[x])
    for link, sign in enumerate(joints):
        for x, side in ((edges[link + 1] - 1, sign), (edges[link + 1], -sign)):
            row = np.zeros(size)
            row[2 * link : 2 * link + 4] = side * x, side, -side * x, -side
            if sign:
                rows.append(row)
                limits.append(0.0)
    bounds = [(None, None)] * (size - 1) + [(0, None)]
    cost = np.eye(size)[-1]
    solution = linprog(cost, np.array(rows), np.array(limits), bounds=bounds, method="highs")
    return float(solution.fun) if solution.success else np.inf


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-9, 9).map(float), min_size=3, max_size=7), st.integers(1, 3))
def test_no_continuous_path_is_better(values: list[float], links: int) -> None:
    fit = _exact_fit(values, links, continuous=True)
    assert fit.max_error == pytest.approx(_best_path(values, links), rel=1e-6, abs=1e-7)
    assert _largest_jump(fit.form) < 1e-6 * (1 + np.abs(fit.form.slopes).max())


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 40), st.booleans(), st.sampled_from([0.0, 1e-3, 1.0])
)
def test_rough_functions(seed: int, segments: int, continuous: bool, roughness: float) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 1, 500).cumsum() * 0.05 + rng.normal(0, roughness, 500)
    f = ScalarFunction("walk", lambda x: steps[np.clip((x + 5) * 50, 0, 499).astype(int)])
    fit = fit_piecewise_linear(f, -5, 5, segments=segments, points=1500, continuous=continuous)
    x = sample_points(-5, 5, 1500, "float32")
    error = np.abs(fit.form.evaluate(x) - f(x)).max()
    assert error == pytest.approx(fit.max_error, rel=1e-9, abs=1e-12)
    assert 0 <= fit.lower_bound <= fit.max_error <= fit.between_samples
    if not continuous:
        assert fit.lower_bound >= fit.max_error * 0.9998 - 1e-6
    assert check_certificate(fit.certificate, f) == []


@pytest.mark.parametrize("name", ["GELU", "Tanh", "HardSwish", "Snake"])
def test_fewest_segments_for_an_error(name: str) -> None:
    f = find(name).function()
    fit = fit_piecewise_linear(f, -8, LAST, max_error=5e-3)
    assert fit.max_error <= 5e-3
    fewer = fit_piecewise_linear(f, -8, LAST, segments=fit.form.segments - 1)
    assert fewer.lower_bound > 5e-3
    assert len(fit.certificate["fewest"]["triples"]) == fit.form.segments - 1
    assert check_certificate(fit.certificate, f) == []
    joined = fit_piecewise_linear(f, -8, LAST, max_error=5e-3, continuous=True)
    assert joined.max_error <= 5e-3
    assert joined.form.segments >= fit.form.segments


def test_an_error_below_the_coefficients_precision_is_refused() -> None:
    with pytest.raises(UsageError, match="ACT0305") as caught:
        fit_piecewise_linear(find("Tanh").function(), -8, 8, max_error=1e-9)
    assert "of Tanh was found within 1e-09" in str(caught.value)


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize(
    ("name", "segments"), [("ReLU", 2), ("HardTanh", 3), ("Identity", 1), ("Abs", 2), ("ReLU6", 3)]
)
def test_piecewise_linear_functions_are_reproduced(
    name: str, segments: int, continuous: bool
) -> None:
    f = find(name).function()
    fit = fit_piecewise_linear(f, -8, 8, segments=16, continuous=continuous)
    assert fit.form.segments == segments
    assert fit.max_error <= 1e-13
    assert fit.lower_bound == 0.0
    assert set(np.abs(fit.form.slopes)) <= {0.0, 1.0}
    assert set(fit.form.intercepts) <= {-1.0, 0.0, 1.0, 6.0}
    assert check_certificate(fit.certificate, f) == []


def test_jumps_need_no_slope() -> None:
    fit = fit_piecewise_linear(find("Floor").function(), -4, 3.999, segments=8)
    np.testing.assert_array_equal(fit.form.slopes, 0.0)
    np.testing.assert_array_equal(fit.form.intercepts, np.arange(-4, 4))
    assert fit.max_error == 0.0
    assert fit.between_samples >= 1.0


@pytest.mark.parametrize("value", [0.0, 3.25, -1e-3])
def test_one_point_and_constants(value: float) -> None:
    constant = ScalarFunction("c", lambda x: np.full_like(x, value))
    for lo, hi in ((1.5, 1.5), (-1.0, 1.0)):
        fit = fit_piecewise_linear(constant, lo, hi, segments=4)
        assert fit.form.segments == 1
        np.testing.assert_allclose(fit.form.evaluate([lo, hi, 100.0]), value, rtol=1e-7)
        assert check_certificate(fit.certificate, constant) == []


def test_narrow_ranges_far_from_zero() -> None:
    f = ScalarFunction("f", lambda x: np.sin(x))
    fit = fit_piecewise_linear(f, 1e6, 1e6 + 1, segments=8)
    # float32 holds 17 numbers there, and an intercept near 1e6 times the slope
    assert 0 < fit.max_error < 0.1
    assert check_certificate(fit.certificate, f) == []


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_extreme_magnitudes(scale: float) -> None:
    f = ScalarFunction("f", lambda x: scale * np.tanh(x))
    fit = fit_piecewise_linear(f, -8, LAST, segments=16)
    assert fit.max_error / scale == pytest.approx(OPTIMA["Tanh"][2], rel=1e-3)


def test_undefined_and_infinite_functions_are_refused() -> None:
    with pytest.raises(ModelError, match="ACT0303"):
        fit_piecewise_linear(find("Log").function(), -1, 1, segments=4)
    with pytest.raises(ModelError, match="ACT0304"):
        fit_piecewise_linear(find("Log").function(), 0, 1, segments=4)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"segments": 4, "max_error": 0.1},
        {"segments": 0},
        {"segments": 5000},
        {"max_error": -1.0},
        {"max_error": float("nan")},
        {"segments": 4, "points": 1},
    ],
)
def test_wrong_arguments(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"segments|max_error|points"):
        fit_piecewise_linear(find("Tanh").function(), -1, 1, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("lo", "hi"), [(1.0, -1.0), (np.inf, np.inf), (np.nan, 1.0)])
def test_wrong_ranges(lo: float, hi: float) -> None:
    with pytest.raises(ValueError, match="is not a range"):
        fit_piecewise_linear(find("Tanh").function(), lo, hi, segments=2)


def test_form_is_checked() -> None:
    with pytest.raises(ValueError, match="increase"):
        PiecewiseLinear(np.array([1.0, 1.0]), np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match="n - 1 breakpoints"):
        PiecewiseLinear(np.array([1.0, 2.0]), np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="finite"):
        PiecewiseLinear(np.array([1.0]), np.array([1.0, np.nan]), np.ones(2))


def test_a_breakpoint_belongs_to_the_segment_on_its_right() -> None:
    form = PiecewiseLinear(np.array([0.0, 1.0]), np.array([1.0, 2.0, 3.0]), np.zeros(3))
    x = np.array([[-1.0, -0.0, 0.5], [1.0, np.nextafter(1.0, 0.0), 2.0]])
    np.testing.assert_array_equal(form.segment(x), [[0, 1, 1], [2, 1, 2]])
    np.testing.assert_allclose(form.evaluate(x), [[-1.0, 0.0, 1.0], [3.0, 2.0, 6.0]])


def test_coefficients_are_float32_and_run_in_float32() -> None:
    f = find("SiLU").function()
    fit = fit_piecewise_linear(f, -8, LAST, segments=32)
    form = fit.form
    for values in (form.breakpoints, form.slopes, form.intercepts):
        np.testing.assert_array_equal(values, values.astype(np.float32))
    x = sample_points(-8, LAST, 65536, "float32").astype(np.float32)
    which = form.segment(x)
    y = form.slopes.astype(np.float32)[which] * x + form.intercepts.astype(np.float32)[which]
    assert y.dtype == np.float32
    assert np.abs(y - f(x)).max() <= fit.max_error + 2.0**-23 * 16


@pytest.mark.parametrize("continuous", [False, True])
def test_bound_holds_between_samples(continuous: bool) -> None:
    dense = np.linspace(-6, 6, 50_001)
    for entry in CATALOGUE:
        if entry.name in ("Sqrt", "Rsqrt", "Log", "Log1p", "Reciprocal", "Tan"):
            continue
        if entry.name in ("SIREN", "FINER"):  # 203 points do not follow their waves
            continue
        f = entry.function()
        fit = fit_piecewise_linear(f, -6, 6, segments=7, points=203, continuous=continuous)
        error = np.abs(fit.form.evaluate(dense) - f(dense)).max()
        assert error <= fit.between_samples * (1 + 1e-12), entry.name


def test_bound_between_samples_sees_a_kink_between_them() -> None:
    x = np.linspace(0, 1, 11)
    f = ScalarFunction("kink", lambda x: np.abs(x - 0.45))
    form = PiecewiseLinear(np.array([0.5]), np.array([-1.0, 1.0]), np.array([0.45, -0.45]))
    assert np.abs(form.evaluate(x) - f(x)).max() < 1e-15
    # just left of 0.5 the first line is 0.1 below the function
    assert 0.1 <= bound_between_samples(f, x, f(x), form) <= 0.4


def test_median_fit_takes_less_than_100_ms() -> None:
    times = []
    for name in OPTIMA:
        start = time.process_time()
        fit_piecewise_linear(find(name).function(), -8, LAST, segments=16)
        times.append(time.process_time() - start)
    assert np.median(times) < 0.1


@pytest.mark.parametrize("name", ["SIREN", "FINER"])
def test_a_continuous_fit_of_a_steep_undersampled_function_ends(name: str) -> None:
    f = find(name).function()
    fit = fit_piecewise_linear(f, -6, 6, segments=7, points=203, continuous=True)
    x = sample_points(-6, 6, 203, "float32")
    error = float(np.abs(fit.form.evaluate(x) - f(x)).max())
    assert error <= fit.max_error * (1 + 1e-12)
    assert fit.lower_bound <= fit.max_error
