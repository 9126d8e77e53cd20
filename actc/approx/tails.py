"""Domains with infinite ends.

Of a function that approaches a line s x + b, a piecewise-linear form stays within an error
out to infinity only if its last segment has the slope s; its offset is free. Such a domain
is sampled as its core, equidistantly, and beyond it at points out to 2**40, 256 per octave
(:mod:`actc.approx.sampling`). Windows that hold samples beyond 2**20 are served by lines
of slope s only. That is hereditary, so the greedy of :mod:`actc.approx.greedy` is minimal
for it too, and it costs next to nothing against all lines: a line within eps of samples
2**20 apart turns by less than eps / 2**19. The certificate's triples bound all lines.

Values of 2**40 have rounding errors far above any error asked for. What counts in a tail
is the error beyond one unit in the last place of the value, in float32 (float64: 2**-44 of
it, the slack that certificates leave to mathematical libraries).
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import islice
from typing import cast

import numpy as np

from actc.approx.certificate import attained_error, rounded_up
from actc.approx.coefficients import Coefficients, Precision
from actc.approx.function import Float64Array, ScalarFunction
from actc.approx.sampling import REACH, sample_points, tail_points
from actc.approx.shape import SETTLED, Asymptote, Side, asymptote
from actc.approx.strip import Cut, Samples, Strip
from actc.diagnostics import Diagnostic
from actc.errors import UsageError

ALLOWED = {"float32": 2.0**-23, "float64": 2.0**-44}
"""The part of a value in a tail that does not count as error."""
_LEAST_CORE, _LARGEST_CORE = 8.0, 64.0
_SAME_SLOPE = 2.0**-49
_ROUNDING = 2.0**-50
_MAX_RIVALS = 64


class TailSamples(Samples):
    """Samples of a domain with one or two infinite ends.

    Args:
        f: finite at the samples.
        lo, hi: lo <= hi, at least one of them infinite.
        points: number of samples of the core.
        precision: format of x.

    Attributes:
        lo, hi: the ends of the core, both finite.
        tails: octaves to the left and to the right of it.
        slopes: of the asymptotes; NaN at a finite end.

    Raises:
        ModelError: ACT0303 or ACT0304, `f` is not a number or infinite at a sample.
        UsageError: ACT0350, `f` approaches no line at an infinite end.
    """

    def __init__(
        self, f: ScalarFunction, lo: float, hi: float, points: int, precision: Precision
    ) -> None:
        left = _line_at(f, -1, hi) if math.isinf(lo) else None
        right = _line_at(f, 1, lo) if math.isinf(hi) else None
        self.lo = lo if left is None else -_core_end(left, -hi)
        self.hi = hi if right is None else _core_end(right, lo)
        self.tails = (
            0 if left is None else round(math.log2(REACH / -self.lo)),
            0 if right is None else round(math.log2(REACH / self.hi)),
        )
        core = sample_points(self.lo, self.hi, points, precision)
        before = -tail_points(-self.lo, self.tails[0], precision)[::-1] if left else core[:0]
        after = tail_points(self.hi, self.tails[1], precision) if right else core[:0]
        x = np.concatenate([before, core, after])
        super().__init__(x, f.finite(x))
        self.core = slice(len(before), len(before) + len(core))
        near = np.abs(x) <= SETTLED
        self.noise = _noise(x[near], self.y[near])
        self.allowance = ALLOWED[precision] * np.abs(self.y)
        self.allowance[self.core] = 0.0
        self.slopes = (left.slope if left else math.nan, right.slope if right else math.nan)
        if abs(self.slopes[0] - self.slopes[1]) <= _SAME_SLOPE * abs(self.slopes[0]):
            self.slopes = (self.slopes[0], self.slopes[0])
        # number of samples left of -2**20, index of the first one right of 2**20
        self._left = int(np.searchsorted(x, -SETTLED)) if left else 0
        self._right = int(np.searchsorted(x, SETTLED, side="right")) if right else len(x)
        self._highs, self._lows = self.y - self.allowance, self.y + self.allowance
        self.tops = cast("memoryview[float]", self._highs.data)
        self.bottoms = cast("memoryview[float]", self._lows.data)
        self._above = [(self._highs - slope * x, self._lows - slope * x) for slope in self.slopes]

    def support(
        self, slope: float, lower_from: int, upper_from: int, end: int
    ) -> tuple[Cut, float, float]:
        """The supporting pair at `slope`, and its residuals (top, bottom)."""
        highs = self._highs[lower_from:end] - slope * self.x[lower_from:end]
        lows = self._lows[upper_from:end] - slope * self.x[upper_from:end]
        top, bottom = int(highs.argmax()), int(lows.argmin())
        cut = Cut(lower_from + top, upper_from + bottom)
        return cut, float(highs[top]), float(lows[bottom])

    def strip(self, lower_from: int, upper_from: int, end: int) -> Strip:
        """The best line; one parallel to the asymptote if the window reaches far out."""
        start = min(lower_from, upper_from)
        left, right = start < self._left, end > self._right
        if not (left or right) or end - start < 3:
            return super().strip(lower_from, upper_from, end)
        if left and right and self.slopes[0] != self.slopes[1]:
            return self._diverging(start)
        side = 0 if left else 1
        highs, lows = (above[start:end] for above in self._above[side])
        top, bottom = int(highs.argmax()), int(lows.argmin())
        high, low = float(highs[top]), float(lows[bottom])
        error = max(high - low, 0.0) / 2
        # two far samples hold the slope; the window up to the last witness must be as bad
        held = (start, min(end, self._left) - 1) if left else (end - 1, max(start, self._right))
        rising, falling = _witness((start + top, start + bottom, *held), start, end)
        return Strip(self.slopes[side], (high + low) / 2, error, error, rising, falling)

    def _diverging(self, start: int) -> Strip:
        """No line follows two different asymptotes."""
        one, middle, other = start, self._left, self._right
        part = (self.xs[middle] - self.xs[one]) / (self.xs[other] - self.xs[one])
        chord = self.ys[one] + part * (self.ys[other] - self.ys[one])
        allowed = self.allowance[[one, middle, other]] @ (1 - part, 1, part)
        lower = max(abs(self.ys[middle] - chord) - float(allowed), 0.0) / 2
        error = REACH / 4 * abs(self.slopes[1] - self.slopes[0])
        return Strip(0.0, 0.0, error, min(lower, error), Cut(one, middle), Cut(other, middle))

    def attained(self, form: Coefficients) -> float:
        """Largest error that counts, rounded up; exact as `attained_error` is."""
        x, y = self.x, self.y
        error = attained_error(x[self.core], y[self.core], *form)
        which = np.searchsorted(form.breakpoints, x, side="right")
        slope, intercept = form.slopes[which], form.intercepts[which]
        counted = np.abs(slope * x + intercept - y) - self.allowance
        doubt = _ROUNDING * (np.abs(slope * x) + np.abs(intercept) + np.abs(y))
        doubt[self.core] = -math.inf  # done
        rivals = np.flatnonzero(counted + doubt > error)
        rivals = rivals[np.argsort(counted[rivals], kind="stable")[-_MAX_RIVALS:]]
        exact = (
            abs(Fraction(slope[i]) * Fraction(x[i]) + Fraction(intercept[i]) - Fraction(y[i]))
            - Fraction(float(self.allowance[i]))
            for i in rivals.tolist()
        )
        return max(error, rounded_up(max(exact, default=Fraction(0))))


def _witness(indices: tuple[int, ...], start: int, end: int) -> tuple[Cut, Cut]:
    """At least three different samples of the window, `indices` among them."""
    found = list(dict.fromkeys(indices))
    found += islice((i for i in range(start, end) if i not in found), max(3 - len(found), 0))
    a, b, c, d = (*found, found[0])[:4]
    return Cut(a, b), Cut(c, d)


def _line_at(f: ScalarFunction, side: Side, other: float) -> Asymptote:
    """The asymptote on an infinite side.

    Args:
        other: the other end of the domain.
    """
    origin = 0.0 if math.isinf(other) else side * max(side * other, 0.0)
    line = asymptote(f, side, origin=origin)
    if line is None:
        end = "-inf" if side < 0 else "inf"
        raise UsageError(
            Diagnostic(
                "ACT0350",
                f"function {f.name} approaches no straight line at {end}",
                notes=(f"its last segment cannot stay within any error on the way to {end}",),
                help="give the domain a finite end there",
            )
        )
    return line


def _core_end(line: Asymptote, other: float) -> float:
    """Where the core ends towards infinity, a power of two; beyond the other end."""
    reach = min(max(line.start, _LEAST_CORE), _LARGEST_CORE)
    if not math.isinf(other):
        reach = max(reach, 2 * other)
    return 2.0 ** math.ceil(math.log2(reach))


def _noise(x: Float64Array, y: Float64Array) -> float:
    """Rounding of a line through neighbouring samples."""
    run = np.abs(np.diff(y) / np.diff(x)) * np.maximum(np.abs(x[1:]), np.abs(x[:-1]))
    reach = max(float(np.abs(y).max()), float(run.max(initial=0.0)), 1e-290)
    return 8 * float(np.finfo(np.float64).eps) * reach
