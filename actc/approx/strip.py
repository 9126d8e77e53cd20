"""The narrowest strip: the minimax line through a run of samples.

For samples (x_j, y_j) a line with slope m leaves the vertical width

    w(m) = max over j >= lower_from of (y_j - m x_j)
         - min over j >= upper_from of (y_j - m x_j)

and the least error of any line is ``min w / 2``. With both starts equal this is the
discrete Chebyshev line of a window; different starts are what continuous paths need
(:mod:`actc.approx.greedy`). w is convex and piecewise linear: each pair (top, bottom)
is a cut ``(y_t - y_b) - m (x_t - x_b) <= w(m)``. The minimum lies between one rising
and one falling cut; replacing them by the supporting pair at their crossing is the
exchange algorithm (Remez, 1934) and ends after finitely many steps, for convex
windows after one. The final cuts are the witness: their at most four points alone
admit no better line.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np

from actc.approx.function import Float64Array

_RELATIVE_GAP = 1e-9
_MAX_EXCHANGES = 200


class Cut(NamedTuple):
    """A pair of sample indices whose vertical distance bounds the width from below."""

    top: int
    bottom: int


class Strip(NamedTuple):
    """The best line over a window.

    Attributes:
        slope, intercept: the line in the middle of the strip.
        error: largest deviation of a sample from it, as computed in float64.
        lower: no line has a smaller error (up to float64 rounding).
        rising, falling: the witness of `lower`; None for windows without width.
    """

    slope: float
    intercept: float
    error: float
    lower: float
    rising: Cut | None = None
    falling: Cut | None = None

    @property
    def last_witness(self) -> int:
        """Largest sample index in the witness: the window up to it is as bad."""
        assert self.rising is not None
        assert self.falling is not None
        return max(*self.rising, *self.falling)


class Samples:
    """Samples of a function with scratch space; not thread-safe.

    Args:
        x: float64 [n], strictly increasing, n >= 1.
        y: float64 [n], finite.

    Attributes:
        noise: errors of this size are float64 rounding.
        allowance: float64 [n], the part of each sample's error that does not count.
        core: the equidistant samples.
        tops, bottoms: the values less and plus the allowance: how far up and down
            samples pull a line.
    """

    def __init__(self, x: Float64Array, y: Float64Array) -> None:
        self.x, self.y = np.ascontiguousarray(x), np.ascontiguousarray(y)
        # indexing a memoryview gives a Python float, several times faster than an array
        self.xs = cast("memoryview[float]", self.x.data)
        self.ys = cast("memoryview[float]", self.y.data)
        # A line through neighbouring samples rounds with its slope times x, not only with y.
        steepest = float(np.abs(np.diff(y) / np.diff(x)).max(initial=0.0))
        reach = max(float(np.abs(y).max()), steepest * float(np.abs(x).max()), 1e-290)
        self.noise = 8 * float(np.finfo(np.float64).eps) * reach
        self.allowance = np.zeros_like(x)
        self.tops = self.bottoms = self.ys
        self.core = slice(None)
        self._scratch = np.empty_like(x)

    def __len__(self) -> int:
        return len(self.xs)

    def strip(self, lower_from: int, upper_from: int, end: int) -> Strip:
        """:func:`narrowest_strip`; samples with further conditions override it."""
        return narrowest_strip(self, lower_from, upper_from, end)

    def support(
        self, slope: float, lower_from: int, upper_from: int, end: int
    ) -> tuple[Cut, float, float]:
        """The supporting pair at `slope`, and its residuals (top, bottom)."""
        start = min(lower_from, upper_from)
        residual = self._scratch[: end - start]
        np.multiply(self.x[start:end], -slope, out=residual)
        residual += self.y[start:end]
        top = lower_from + int(residual[lower_from - start :].argmax())
        bottom = upper_from + int(residual[upper_from - start :].argmin())
        return Cut(top, bottom), float(residual[top - start]), float(residual[bottom - start])

    def cut_width(self, cut: Cut, slope: float) -> float:
        """Value of `cut` at `slope`."""
        top, bottom = cut
        return (self.tops[top] - self.bottoms[bottom]) - slope * (self.xs[top] - self.xs[bottom])

    def crossing(self, one: Cut, other: Cut) -> float:
        """The slope at which two cuts have the same value."""
        xs, tops, bottoms = self.xs, self.tops, self.bottoms
        height = (tops[one.top] - bottoms[one.bottom]) - (tops[other.top] - bottoms[other.bottom])
        return height / ((xs[one.top] - xs[one.bottom]) - (xs[other.top] - xs[other.bottom]))

    def touching_slope(self, cut: Cut, width: float) -> float:
        """The slope at which `cut` has the value `width`."""
        top, bottom = cut
        return (self.tops[top] - self.bottoms[bottom] - width) / (self.xs[top] - self.xs[bottom])


def narrowest_strip(samples: Samples, lower_from: int, upper_from: int, end: int) -> Strip:
    """The line of least error over ``samples[..end]`` (end excluded).

    Args:
        lower_from: the line must not run far below samples from here on.
        upper_from: the line must not run far above samples from here on.
        end: both starts are < end.
    """
    last = end - 1
    if lower_from == last or upper_from == last:
        return _one_sided(samples, lower_from, upper_from, last)
    rising, falling = Cut(lower_from, last), Cut(last, upper_from)
    slope = samples.crossing(rising, falling)
    for _ in range(_MAX_EXCHANGES):
        support, top, bottom = samples.support(slope, lower_from, upper_from, end)
        rising, falling = _exchange(samples, slope, support, rising, falling)
        crossing = samples.crossing(rising, falling)
        lower = min(samples.cut_width(rising, crossing), samples.cut_width(falling, crossing))
        width = top - bottom
        if width - lower <= _RELATIVE_GAP * width + samples.noise:
            break
        slope = crossing
    error = max(width, 0.0) / 2
    return Strip(slope, (top + bottom) / 2, error, max(lower, 0.0) / 2, rising, falling)


def _exchange(
    samples: Samples, slope: float, support: Cut, rising: Cut, falling: Cut
) -> tuple[Cut, Cut]:
    """Replace the cuts by the best pairs that the new supporting points allow.

    Both cuts are at least as wide at `slope` as before, so their crossing never
    falls, and rises until the supporting pair is one of them.
    """
    xs = samples.xs
    best_rising, best_falling = rising, falling
    rising_width = samples.cut_width(rising, slope)
    falling_width = samples.cut_width(falling, slope)
    for top, bottom in (
        support,
        (support.top, rising.bottom),
        (support.top, falling.bottom),
        (rising.top, support.bottom),
        (falling.top, support.bottom),
    ):
        cut = Cut(top, bottom)
        width = samples.cut_width(cut, slope)
        if xs[top] < xs[bottom] and width > rising_width:
            best_rising, rising_width = cut, width
        elif xs[top] > xs[bottom] and width > falling_width:
            best_falling, falling_width = cut, width
    return best_rising, best_falling


def _one_sided(samples: Samples, lower_from: int, upper_from: int, last: int) -> Strip:
    """Only the last sample is bounded on one side: a steep line has no error."""
    start = min(lower_from, upper_from)
    x, y = samples.xs[last], samples.ys[last]
    if start == last:
        return Strip(0.0, y, 0.0, 0.0)
    slopes = (y - samples.y[start:last]) / (x - samples.x[start:last])
    slope = float(slopes.max() if lower_from == last else slopes.min())
    return Strip(slope, y - slope * x, 0.0, 0.0)
