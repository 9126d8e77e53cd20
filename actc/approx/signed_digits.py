"""Piecewise-linear forms with an integer datapath, with the fewest segments.

The datapath is ``y = (S x + C) >> q``: the shift floors, C holds the rounding
constant, S is a sum of at most k powers of two with signs (k - 1 adders instead of a
multiplier) or any multiple of a grid. Because

    low <= (S x + C) >> q <= high   <=>   low 2**q <= S x + C <= (high + 1) 2**q - 1

a window of gates asks for one integer line between integer bounds: everything is
exact. "One line of the set serves the window" holds for every part of a window for
which it holds, so taking the longest windows one after the other needs the fewest
segments of that slope set and shift, wherever the breakpoints may lie.

For one window the slopes that serve it form an interval, because the gap between the
largest lower and the least upper bound of C is convex in S. Kelley's cutting planes
(1960) find a member or prove that there is none: a slope that fails has a pair of
points that rules out all slopes on one side as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.function import ScalarFunction
from actc.approx.gates import FixedFit, Gates, least_error, verified
from actc.approx.own_gates import with_own_gates
from actc.approx.slope_sets import Grid, SignedDigits, Slopes, digit_count

MAX_DIGITS = 4
MAX_SHIFT = 28
_PRODUCT_BITS = 61
"""Input, output and shift bits together, so that ``S x + C`` stays within int64."""


class HasSegments(Protocol):
    """A form made of segments."""

    @property
    def segments(self) -> int:
        """Number of segments."""


Segmented = TypeVar("Segmented", bound=HasSegments)


class Line(NamedTuple):
    """``y = (slope * x + constant) >> q``."""

    slope: int
    constant: int


class Bracket(NamedTuple):
    """Slopes that points seen so far leave, and the last point that says so."""

    low: int
    high: int
    low_from: int = 0
    high_from: int = 0


def widest_shift(gates: Gates) -> int:
    """The largest shift with which all products stay within int64; at most 28."""
    return min(MAX_SHIFT, _PRODUCT_BITS - gates.input.bits - gates.output.bits)


class IntegerLines:
    """Finds the integer lines that serve windows of gates.

    Args:
        gates: n gates.
        shift: q, 0..:func:`widest_shift`.

    Raises:
        ValueError: the shift is out of range.

    Attributes:
        x: int64 [n], input codes.
        lower, upper: int64 [n], bounds of ``S x + C``.
        everything: the slopes that can serve two neighbouring points.
    """

    def __init__(self, gates: Gates, shift: int) -> None:
        if not 0 <= shift <= widest_shift(gates):
            raise ValueError(f"the shift must be in 0..{widest_shift(gates)}, not {shift}")
        self.x = gates.input.codes()
        self.lower = gates.low << shift
        self.upper = ((gates.high + 1) << shift) - 1
        steepest = int(self.upper.max()) - int(self.lower.min())
        self.everything = Bracket(-steepest, steepest)

    def __len__(self) -> int:
        return len(self.x)

    def solve(
        self, start: int, end: int, slopes: Slopes, bracket: Bracket
    ) -> tuple[Line | None, Bracket]:
        """A line of `slopes` through the gates [start, end), start < end.

        Args:
            bracket: from a window with the same start that does not end later.

        Returns:
            the line, None if there is none; and the slopes that are left, valid for
            all longer windows. Without a line, the window up to the later of the
            bracket's two points has none either.
        """
        x, lower, upper = (array[start:end] for array in (self.x, self.lower, self.upper))
        while True:
            slope = slopes.between(bracket.low, bracket.high)
            if slope is None:
                return None, bracket
            product = slope * x
            above, below = lower - product, upper - product
            top, bottom = int(above.argmax()), int(below.argmin())
            least, largest = int(above[top]), int(below[bottom])
            if least <= largest:
                return Line(slope, (least + largest) // 2), bracket
            # C from the one point misses the other: slopes must turn towards it
            run = top - bottom
            rise = int(lower[top]) - int(upper[bottom])
            last = start + max(top, bottom)
            if run > 0:
                bracket = bracket._replace(low=-(-rise // run), low_from=last)
            else:
                bracket = bracket._replace(high=-rise // -run, high_from=last)

    def longest(self, start: int, slopes: Slopes, guess: int) -> tuple[int, Line]:
        """The end of the longest window from `start` that one line serves, and the line.

        Args:
            guess: how long it may be.
        """
        fits, misfits = start + 1, len(self) + 1
        line, bracket = self.solve(start, fits, _ZERO, self.everything)
        assert line is not None
        length = max(guess, 2)
        while misfits - fits > 1:
            end = min(start + length, misfits - 1)
            found, left = self.solve(start, end, slopes, bracket)
            if found is not None:
                line, bracket, fits = found, left, end
                length = 2 * (end - start)
            else:
                misfits = min(end, max(left.low_from, left.high_from) + 1)
            if misfits <= len(self):
                length = (fits + misfits + 1) // 2 - start
        return fits, line


_ZERO = SignedDigits(0, 0)


@dataclass(frozen=True, eq=False)
class IntegerPiecewiseLinear:
    """``y = (slopes[i] * x + constants[i]) >> shift``, i = number of breakpoints <= x.

    Attributes:
        input, output: the formats; x and y are codes. Outputs do not saturate: fits
            keep every one of them within the output format.
        breakpoints: int64 [n-1], input codes, strictly increasing.
        slopes, constants: int64 [n].
        shift: arithmetic shift to the right, 0..28.

    Raises:
        ValueError: shapes disagree, or breakpoints do not increase.
    """

    input: FixedPoint
    output: FixedPoint
    breakpoints: Codes
    slopes: Codes
    constants: Codes
    shift: int

    def __post_init__(self) -> None:
        for name in ("breakpoints", "slopes", "constants"):
            own = np.array(getattr(self, name), np.int64)
            own.setflags(write=False)
            object.__setattr__(self, name, own)
        if not self.slopes.shape == self.constants.shape == (self.breakpoints.size + 1,):
            raise ValueError("n segments have n slopes, n constants and n - 1 breakpoints")
        if np.any(np.diff(self.input.check(self.breakpoints), prepend=self.input.low) <= 0):
            raise ValueError("breakpoints must increase, from above the lowest code on")

    @property
    def segments(self) -> int:
        """Number of segments."""
        return self.slopes.size

    @property
    def digits(self) -> int:
        """Most signed digits of a slope."""
        return max(map(digit_count, self.slopes.tolist()))

    @property
    def storage_bits(self) -> int:
        """Breakpoints as input codes; slopes and constants as signed integers."""
        width = signed_width(self.slopes) + signed_width(self.constants)
        return self.breakpoints.size * self.input.bits + self.segments * width

    def evaluate(self, codes: Codes) -> Codes:
        """Output codes (int64) of input codes (integers, any shape)."""
        x = self.input.check(codes)
        which = np.searchsorted(self.breakpoints, x, side="right")
        found: Codes = (self.slopes[which] * x + self.constants[which]) >> self.shift
        return found

    def to_json(self) -> dict[str, Any]:
        """JSON-ready description."""
        return {
            "form": "integer_piecewise_linear",
            "segments": self.segments,
            "digits": self.digits,
            "shift": self.shift,
            "breakpoints": self.breakpoints.tolist(),
            "slopes": self.slopes.tolist(),
            "constants": self.constants.tolist(),
        }


def signed_width(values: Codes) -> int:
    """Bits of the narrowest two's complement format that holds all values."""
    # ~v for negative v: -8 fits where 7 fits
    largest = int(np.where(values < 0, ~values, values).max(initial=0))
    return largest.bit_length() + 1


def fit_integer_lines(
    gates: Gates,
    *,
    digits: int | None = None,
    grid: int = 1,
    shift: int | None = None,
    max_shift: int | None = None,
) -> FixedFit[IntegerPiecewiseLinear]:
    """Fewest segments within the gates, for a slope set and a shift.

    Args:
        digits: slopes are sums of at most so many signed powers of two, 1..4; where
            fewer digits serve a segment, fewer are taken. None: multiples of `grid`.
        grid: >= 1.
        shift: q, 0..:func:`widest_shift`. None: the least q up to `max_shift` that
            needs no more segments than `max_shift`. More shift never needs more
            segments, since (2S, 2C, q+1) computes the same as (S, C, q).
        max_shift: by default the input's bits plus 8, or the widest shift.

    Raises:
        ValueError: an argument is out of range.
    """

    def fewest(shift: int) -> IntegerPiecewiseLinear:
        lines = _fewest(gates, shift, slope_set(gates, shift, digits, grid), len(gates))
        assert lines is not None  # a segment for each input always serves
        return lines

    if shift is not None:
        return verified(fewest(shift), gates)
    return verified(least_shift(gates, fewest, max_shift), gates)


def fit_segments(
    f: ScalarFunction,
    input: FixedPoint,
    output: FixedPoint,
    segments: int,
    *,
    digits: int | None = None,
    grid: int = 1,
    shift: int | None = None,
) -> FixedFit[IntegerPiecewiseLinear]:
    """Least absolute error of at most `segments` segments, for a slope set and a shift.

    The gates of the fit are those of the error that it attains, the least that
    :func:`~actc.approx.gates.least_error` finds.

    Args:
        segments: >= 1.
        digits, grid: as for :func:`fit_integer_lines`.
        shift: by default the input's bits plus 8, or the widest shift.

    Raises:
        ModelError: ACT0303, `f` is not a number somewhere.
        UsageError: ACT0311, the input has more than 16 bits.
        ValueError: an argument is out of range.
    """
    if segments < 1:
        raise ValueError(f"there is at least one segment, not {segments}")

    def fit(gates: Gates) -> FixedFit[IntegerPiecewiseLinear] | None:
        q = min(input.bits + 8, widest_shift(gates)) if shift is None else shift
        lines = _fewest(gates, q, slope_set(gates, q, digits, grid), segments)
        return None if lines is None else verified(lines, gates)

    return with_own_gates(f, least_error(f, input, output, fit))


def least_shift(
    gates: Gates, fewest: Callable[[int], Segmented], max_shift: int | None
) -> Segmented:
    """The form of least shift that needs no more segments than at `max_shift`.

    Args:
        fewest: the form of fewest segments for a shift; never more for a larger one.
        max_shift: by default the input's bits plus 8, or the widest shift.
    """
    high = min(gates.input.bits + 8, widest_shift(gates)) if max_shift is None else max_shift
    best = fewest(high)
    low = -1
    while high - low > 1:
        middle = (low + high) // 2
        found = fewest(middle)
        if found.segments == best.segments:
            best, high = found, middle
        else:
            low = middle
    return best


def slope_set(gates: Gates, shift: int, digits: int | None, grid: int) -> Slopes:
    """The slopes to choose from; see :func:`fit_integer_lines`."""
    if digits is not None and not 1 <= digits <= MAX_DIGITS:
        raise ValueError(f"digits must be in 1..{MAX_DIGITS}, not {digits}")
    if grid < 1:
        raise ValueError(f"the grid must be at least 1, not {grid}")
    if digits is None:
        return Grid(grid)
    return SignedDigits(digits, shift + gates.output.bits + 1)


def plainest(lines: IntegerLines, start: int, end: int, slopes: Slopes, line: Line) -> Line:
    """The line for [start, end) with the fewest signed digits, if digits matter."""
    if isinstance(slopes, SignedDigits):
        for digits in range(slopes.digits):
            fewer = SignedDigits(digits, slopes.top)
            found, _ = lines.solve(start, end, fewer, lines.everything)
            if found is not None:
                return found
    return line


def _fewest(gates: Gates, shift: int, slopes: Slopes, limit: int) -> IntegerPiecewiseLinear | None:
    """The fewest segments; None if they are more than `limit`."""
    lines = IntegerLines(gates, shift)
    starts: list[int] = []
    chosen: list[Line] = []
    start, length = 0, len(gates)
    while start < len(gates):
        if len(starts) == limit:
            return None
        end, line = lines.longest(start, slopes, length)
        chosen.append(plainest(lines, start, end, slopes, line))
        starts.append(start)
        start, length = end, end - start
    return IntegerPiecewiseLinear(
        gates.input,
        gates.output,
        lines.x[starts[1:]],
        np.array([line.slope for line in chosen], np.int64),
        np.array([line.constant for line in chosen], np.int64),
        shift,
    )
