"""Piecewise-linear forms of least weighted squared error, exactly.

For samples (x_j, y_j) with weights w_j, such as a calibration histogram, the best N
windows and their lines are found by dynamic programming over all O(n^2) windows
(Bellman and Roth, Curve fitting by segmented straight lines, 1969). The residual norm
of a window's least-squares line comes from a QR decomposition that takes in one sample
after the other by Givens rotations (Golub and Van Loan, Matrix Computations, 6.5), for
the windows of all starts at once. It is backward stable, which bounds what float64
rounding can hide: prefix sums would lose good lines to cancellation.

On a grid of coefficients the best line of a window is a nearest lattice point in the
norm of R, found by enumerating the slopes outwards from the real optimum until their
distance alone exceeds the best found.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from actc.approx.function import Float64Array, ScalarFunction
from actc.approx.pwl import PiecewiseLinear

MAX_SAMPLES = 4096
"""The table of windows takes n**2 float64."""
MAX_SLOPES = 1 << 16
"""Most slopes on a grid that are tried per window."""

_Indices = npt.NDArray[np.intp]

# Rounding of n samples through three rotations each, relative to the norm of a column:
# 3 n sqrt(2) gamma_6 of Higham, Accuracy and Stability, lemma 19.9, is below 26 n u; the
# rest covers forming the rows.
_ROUNDING = 32 * 2.0**-53


@dataclass(frozen=True, eq=False)
class LeastSquaresFit:
    """A piecewise-linear form and how far it is from the least squared error.

    Attributes:
        form: slopes and intercepts float64, multiples of the step if there is one.
            Breakpoints are samples of weight above zero.
        mse: weighted mean of the squared error over the samples.
        rms: its root.
        max_error: largest error over all samples, those of weight zero too.
        lower_bound: no form of as many segments with breakpoints anywhere, continuous or
            not, has a smaller rms on the samples (with a step: none whose coefficients
            are multiples of it, and whose slopes are between the least and the largest
            difference quotient of neighbouring samples, rounded outwards to the step).
            It is the optimum less a proven bound of the float64 rounding.
    """

    form: PiecewiseLinear
    mse: float
    rms: float
    max_error: float
    lower_bound: float


class _Points(NamedTuple):
    """Samples of weight above zero; weights are relative to the largest."""

    x: Float64Array
    y: Float64Array
    weights: Float64Array


class _Windows(NamedTuple):
    """Triangular factors of the windows [i..j], for many i at once.

    With the window's first sample as origin, a line ``v = m u + c`` has the squared error
    ``(z1 - r11 c - r12 m)**2 + (z2 - r22 m)**2 + rest``.
    """

    first: _Indices
    last: _Indices
    r11: Float64Array
    r12: Float64Array
    r22: Float64Array
    z1: Float64Array
    z2: Float64Array
    rest: Float64Array


def fit_least_squares(
    f: ScalarFunction,
    x: Float64Array,
    weights: Float64Array,
    segments: int,
    *,
    step: float | None = None,
) -> LeastSquaresFit:
    """Approximate `f` with the least weighted sum of squared errors at `x`.

    Args:
        f: finite at `x`.
        x: float64 [n], strictly increasing, n <= 4096.
        weights: float64 [n], >= 0, not all zero; such as the counts of a histogram whose
            bins have their middles at `x`.
        segments: at most so many, >= 1.
        step: slopes and intercepts are multiples of it, such as 2**-6; > 0.

    Raises:
        ModelError: ACT0303 or ACT0304, `f` is not a number or infinite at a sample.
        ValueError: an argument is out of range.
    """
    x, weights = np.array(x, np.float64), np.array(weights, np.float64)
    _require_valid(x, weights, segments, step)
    y = f.finite(x)
    used = weights > 0
    points = _Points(x[used], y[used], weights[used] / weights.max())
    costs = _costs(points)
    cuts, total = _best_cuts(costs, segments)
    if step is None:
        lines = [_line(points, first, end) for first, end in _spans(cuts, points)]
    else:
        grid = _Grid(points, step)
        # The snapped optimum bounds the windows that the best form on the grid may use.
        bound = sum(grid.line(first, end)[0] for first, end in _spans(cuts, points))
        cuts, total = _best_cuts(grid.costs(costs, bound), segments)
        lines = [grid.line(first, end)[1] for first, end in _spans(cuts, points)]
    slopes, intercepts = np.array(lines).T
    form = PiecewiseLinear(points.x[cuts], slopes, intercepts)
    error = form.evaluate(x) - y
    mse = math.fsum(weights * error**2) / math.fsum(weights)
    return LeastSquaresFit(
        form,
        mse,
        math.sqrt(mse),
        float(np.abs(error).max()),
        _lower_bound(points, total, step or 0.0),
    )


def _require_valid(
    x: Float64Array, weights: Float64Array, segments: int, step: float | None
) -> None:
    if not (x.ndim == 1 and x.shape == weights.shape and 1 <= x.size <= MAX_SAMPLES):
        raise ValueError(f"x and weights are two lists of 1..{MAX_SAMPLES} numbers each")
    if not np.isfinite(x).all() or np.any(np.diff(x) <= 0):
        raise ValueError("x must be finite and increase")
    if not np.isfinite(weights).all() or weights.min() < 0 or not weights.max() > 0:
        raise ValueError("weights must be finite and >= 0, not all zero")
    if segments < 1:
        raise ValueError(f"segments must be at least 1, not {segments}")
    if step is not None and not 0 < step < math.inf:
        raise ValueError(f"step must be above 0, not {step}")


def _factors(points: _Points) -> Iterator[_Windows]:
    """The windows that end with each sample, for all their starts."""
    x, y = points.x, points.y
    roots = np.sqrt(points.weights)
    r11, r12, r22, z1, z2, rest = np.zeros((6, len(x)))
    for last in range(len(x)):
        part = slice(0, last + 1)
        weight = roots[last]
        u, v = weight * (x[last] - x[part]), weight * (y[last] - y[part])
        radius = np.hypot(r11[part], weight)
        c, s = r11[part] / radius, weight / radius
        r11[part] = radius
        r12[part], u = c * r12[part] + s * u, c * u - s * r12[part]
        z1[part], v = c * z1[part] + s * v, c * v - s * z1[part]
        radius = np.hypot(r22[part], u)
        turned = radius > 0  # not so for a single sample: its residual stays as it is
        c = np.divide(r22[part], radius, out=np.ones(last + 1), where=turned)
        s = np.divide(u, radius, out=np.zeros(last + 1), where=turned)
        r22[part] = radius
        z2[part], v = c * z2[part] + s * v, c * v - s * z2[part]
        rest[part] += v * v
        state = (array[part] for array in (r11, r12, r22, z1, z2, rest))
        yield _Windows(np.arange(last + 1), np.full(last + 1, last), *state)


def _costs(points: _Points) -> Float64Array:
    """Squared error of the best line of each window; [last, first], infinite if empty."""
    costs = np.full((len(points.x), len(points.x)), np.inf)
    for last, windows in enumerate(_factors(points)):
        costs[last, : last + 1] = windows.rest
    return costs


def _best_cuts(costs: Float64Array, segments: int) -> tuple[list[int], float]:
    """First samples of all windows but the first in the best segmentation, and its cost."""
    best = [costs[:, 0]]
    scratch = np.empty((len(costs), len(costs) - 1))
    while len(best) < min(segments, len(costs)):
        np.add(costs[:, 1:], best[-1][:-1], out=scratch)
        best.append(np.minimum(best[-1], scratch.min(axis=1)))
    cuts: list[int] = []
    last = len(costs) - 1
    for layer in range(len(best) - 1, 0, -1):
        if best[layer][last] < best[layer - 1][last]:  # otherwise one segment less will do
            first = 1 + int(np.argmin(costs[last, 1:] + best[layer - 1][:-1]))
            cuts.append(first)
            last = first - 1
    return cuts[::-1], float(best[-1][-1])


def _spans(cuts: list[int], points: _Points) -> list[tuple[int, int]]:
    """First sample and end (excluded) of each window."""
    return list(zip([0, *cuts], [*cuts, len(points.x)], strict=True))


def _line(points: _Points, first: int, end: int) -> tuple[float, float]:
    """Slope and intercept of the least-squares line, from centred sums without rounding."""
    x, y, weights = (values[first:end] for values in points)
    total = math.fsum(weights)
    middle, level = math.fsum(weights * x) / total, math.fsum(weights * y) / total
    u, v = x - middle, y - level
    spread = math.fsum(weights * u * u)
    slope = math.fsum(weights * u * v) / spread if end - first > 1 and spread > 0 else 0.0
    return slope, level - slope * middle


class _Grid:
    """Lines whose slope and intercept are multiples of a step."""

    def __init__(self, points: _Points, step: float) -> None:
        self.points, self.step = points, step
        chords = np.diff(points.y) / np.diff(points.x)
        # one sample has no chord: its best line is level
        self.low = math.floor(chords.min(initial=np.inf) / step) if chords.size else 0
        self.high = math.ceil(chords.max(initial=-np.inf) / step) if chords.size else 0
        if self.high - self.low >= MAX_SLOPES:
            raise ValueError(f"step {step:g} is too fine: more than {MAX_SLOPES} slopes")

    def line(self, first: int, end: int) -> tuple[float, tuple[float, float]]:
        """Cost, and slope and intercept, of the best line of one window."""
        x, y, weights = (values[first:end] for values in self.points)
        *_, windows = _factors(_Points(x, y, weights))
        window = _Windows._make(values[:1] for values in windows)
        cost, slope, intercept = self._best(window, x[:1], y[:1])
        return float(cost[0]), (float(slope[0]) * self.step, float(intercept[0]) * self.step)

    def costs(self, real: Float64Array, bound: float) -> Float64Array:
        """Squared errors as :func:`_costs`; infinite where above `bound` for real lines."""
        limit = bound * (1 + 1e-9) + 1e-300
        parts: list[_Windows] = []
        for windows in _factors(self.points):
            keep = windows.rest <= limit
            parts.append(_Windows._make(values[keep] for values in windows))
        windows = _Windows._make(map(np.concatenate, zip(*parts, strict=True)))
        found = np.full_like(real, np.inf)
        first = windows.first
        cost, _, _ = self._best(windows, self.points.x[first], self.points.y[first])
        found[windows.last, first] = cost
        return found

    def _best(
        self, windows: _Windows, x: Float64Array, y: Float64Array
    ) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Cost, slope and intercept (in steps) of the best line on the grid.

        Slopes are tried outwards from the real optimum. A slope k + 1/2 steps or more away
        costs at least ``((k + 1/2) step r22)**2``, so that a window is done when that
        exceeds the best cost found.

        Args:
            x, y: origin of each window.
        """
        r22, step = windows.r22, self.step
        real = np.divide(windows.z2, r22, out=np.zeros_like(r22), where=r22 > 0) / step
        center = np.clip(np.rint(real), self.low, self.high)
        cost, slope, intercept = np.full_like(r22, np.inf), center.copy(), center.copy()
        active = np.arange(len(r22))
        for distance in range(self.high - self.low + 1):
            for tried in {distance, -distance}:
                self._try(windows, x, y, active, center[active] + tried, cost, slope, intercept)
            away = (distance + 0.5) * step * r22[active] * (1 - 1e-9)
            open_ended = away**2 < cost[active] - windows.rest[active]
            active = active[open_ended & (cost[active] > 0)]
            if not active.size:
                break
        return cost, slope, intercept

    def _try(
        self,
        windows: _Windows,
        x: Float64Array,
        y: Float64Array,
        active: _Indices,
        tried: Float64Array,
        cost: Float64Array,
        slope: Float64Array,
        intercept: Float64Array,
    ) -> None:
        """Take the slopes `tried` with their best intercepts where they are better."""
        inside = (tried >= self.low) & (tried <= self.high)
        which, steps = active[inside], tried[inside]
        m = steps * self.step
        level = (windows.z1[which] - windows.r12[which] * m) / windows.r11[which]
        exact = y[which] - m * x[which] + level
        rounded = np.rint(exact / self.step)
        aside = windows.r22[which] * m - windows.z2[which]
        above = windows.r11[which] * (rounded * self.step - exact)
        found = windows.rest[which] + aside**2 + above**2
        better = found < cost[which]
        which = which[better]
        cost[which], slope[which] = found[better], steps[better]
        intercept[which] = rounded[better]


def _lower_bound(points: _Points, total: float, step: float) -> float:
    """The rms of squared errors `total`, less what rounding may have added.

    The computed factor of a window is exact for columns that differ by at most
    ``_ROUNDING n`` of their norms. With the slope at most the steepest chord L (and the
    step), u at most twice the largest x, and so on, each sample's residual moves by no
    more than that times 4 (max|y| + (L + step) max|x| + step), in the root of the mean square
    over the window and so over all windows.
    """
    x, y, weights = points
    count = len(x)
    steepest = float(np.abs(np.diff(y) / np.diff(x)).max(initial=0.0)) + step
    magnitude = 4 * (float(np.abs(y).max()) + steepest * float(np.abs(x).max()) + step)
    rms = math.sqrt(total / math.fsum(weights)) * (1 - 8 * count * 2.0**-53)
    return max(rms - _ROUNDING * count * magnitude, 0.0)
