"""Lines between two saturated ends: ``y = clamp((factor x + constant) >> shift)``.

What a requantized accumulator is, mostly. The multiplier of the model has 31 bits, but
any line that stays within the same steps gives the same codes. The slopes that do form an
interval, because the gap between the largest lower and the least upper bound of the
constant is convex in the slope (see :mod:`actc.approx.signed_digits`); the cheapest
constant of that interval is taken: usually two adders, sometimes one or none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.functions.clamp import clamp, moved
from actc.targets.fpga.functions.multiples import (
    MAX_ADDERS,
    Constants,
    multiple_plus,
    multiples,
    split,
)
from actc.targets.fpga.functions.steps import StepFunction
from actc.targets.fpga.hdl import Range, Wire
from actc.targets.fpga.units.terms import signed_digits

_PRODUCT_BITS = 61
"""Input, output and shift bits together up to which all products stay within int64."""
_MAX_SHIFT = 48
_MOST_FACTORS = 4


@dataclass(frozen=True, slots=True)
class Scaling:
    """``clamp((factor * x + constant) >> shift, range)``; of ``~x`` if mirrored.

    Attributes:
        factor: odd, positive.
        constant: integer.
        shift: negative: to the left.
        range: of the values.
        mirrored: the function decreases.
    """

    factor: int
    constant: int
    shift: int
    range: Range
    mirrored: bool = False

    def build(self, x: Wire) -> Wire:
        """The wire."""
        x = ~x if self.mirrored else x
        shift = max(self.shift, 0)
        # saturation begins at 0, so the start is taken off before and added after
        base = 0 if self._fits(x) else self.range.low
        constant = self.constant - (base << shift)
        line = multiple_plus(x << max(-self.shift, 0), self.factor, constant) >> shift
        return moved(clamp(line, self.range.plus(-base)), base)

    def _fits(self, x: Wire) -> bool:
        line = (x.range << max(-self.shift, 0)) * Range(self.factor, self.factor)
        return self.range.holds(line.plus(self.constant) >> max(self.shift, 0))


class _Bounds(NamedTuple):
    """``lower <= slope * x + constant`` at some x, ``<= upper`` at others."""

    low_x: npt.NDArray[Any]
    lower: npt.NDArray[Any]
    high_x: npt.NDArray[Any]
    upper: npt.NDArray[Any]

    @classmethod
    def of(cls, steps: StepFunction, shift: int) -> _Bounds:
        """Both ends of each run stay in it; what saturates may go on."""
        bits = steps.range.width + steps.hull.width + shift + 1
        kind = np.dtype(np.int64 if bits <= _PRODUCT_BITS else object)
        ends = np.concatenate([steps.starts, steps.ends]).astype(kind)
        levels = np.concatenate([steps.levels, steps.levels]).astype(kind)
        inner, outer = levels > steps.levels.min(), levels < steps.levels.max()
        return cls(
            ends[inner],
            levels[inner] << shift,
            ends[outer],
            ((levels[outer] + 1) << shift) - 1,
        )

    def constants(self, slope: int) -> tuple[int, int]:
        """First and last constant of a slope; the first is beyond the last if none serves."""
        least = int((self.lower - slope * self.low_x).max())
        most = int((self.upper - slope * self.high_x).min())
        return least, most

    def slopes(self) -> Range | None:
        """All integer slopes that some constant serves: Newton's method from both sides."""
        steepest = int(self.upper.max()) - int(self.lower.min())
        low, high = -steepest, steepest
        while True:
            cut = self._cut(low)
            if cut is None:
                break
            low, high = max(low, cut[0]), min(high, cut[1])
            if low > high:
                return None
        while True:
            cut = self._cut(high)
            if cut is None:
                return Range(low, high)
            high = min(high, cut[1])

    def _cut(self, slope: int) -> tuple[int, int] | None:
        """The slopes that the worst pair of points leaves, if this one does not serve."""
        above, below = self.lower - slope * self.low_x, self.upper - slope * self.high_x
        top, bottom = int(above.argmax()), int(below.argmin())
        if above[top] <= below[bottom]:
            return None
        run = int(self.low_x[top]) - int(self.high_x[bottom])
        rise = int(self.lower[top]) - int(self.upper[bottom])
        if run > 0:
            return -(-rise // run), 1 << 62
        # a point that misses its own run would be no function
        return -(1 << 62), -rise // -run


def scalings(steps: StepFunction) -> Iterator[Scaling]:
    """Lines that give the function, of the fewest adders, the narrowest first.

    None for functions of two runs, which are one comparison, or if no line does.
    """
    if steps.levels.size < 3:
        return
    mirrored = int(steps.levels[np.argmax(steps.starts)]) < int(steps.levels[0])
    own = steps.mirrored() if mirrored else steps
    shift = min(_MAX_SHIFT, 2 * own.range.width + 4)
    slopes = _Bounds.of(own, shift).slopes()
    if slopes is None or slopes.high < 1:
        return
    for factor, place in _factors(Range(max(slopes.low, 1), slopes.high)):
        kept = shift - place
        least, most = _Bounds.of(own, max(kept, 0)).constants(factor << max(-kept, 0))
        for constant in _constants(factor, least, most):
            yield Scaling(factor, constant, kept, steps.hull, mirrored)


def _factors(slopes: Range) -> Iterator[tuple[int, int]]:
    """Odd factors and places with ``factor << place`` among the slopes, cheapest first."""
    for adders in range(MAX_ADDERS + 1):
        found = _among(multiples(adders), slopes)
        if found:
            yield from found[:_MOST_FACTORS]
            return
    yield _fewest_digits(slopes)


def _among(factors: Constants, slopes: Range) -> list[tuple[int, int]]:
    places = np.ceil(np.log2(slopes.low) - np.log2(factors)).astype(np.int64)
    found = []
    for less in (1, 0):  # the logarithms are rounded
        place = places - less
        usable = (place >= 0) & (place < 62)
        scaled = factors << np.where(usable, place, 0)
        usable &= (slopes.low <= scaled) & (scaled <= slopes.high)
        usable &= scaled >> np.where(usable, place, 0) == factors
        found += list(zip(factors[usable].tolist(), place[usable].tolist(), strict=True))
    return sorted(set(found))


def _fewest_digits(slopes: Range) -> tuple[int, int]:
    """Of the roundest slopes one of the fewest signed digits."""
    best: tuple[int, int, int] | None = None
    for place in range(slopes.high.bit_length()):
        first = -(-slopes.low >> place)
        for factor in range(first, min(slopes.high >> place, first + 7) + 1):
            if factor & 1 or place == 0:
                score = (len(signed_digits(factor)), factor, place)
                best = score if best is None else min(best, score)
    assert best is not None  # place 0 always has one
    _, factor, place = best
    zeros = (factor & -factor).bit_length() - 1
    return factor >> zeros, place + zeros


def _constants(factor: int, least: int, most: int) -> list[int]:
    """Constants in least..most: one that costs nothing beside the factor, and the roundest."""
    found = []
    if factor > 1:
        free = max(least, 0)
        if free <= most and free < 1 << split(factor).left_shift:
            found.append(free)
    roundest = 0
    if not least <= 0 <= most:
        zeros = (least ^ most).bit_length() if (least < 0) == (most < 0) else 0
        while zeros and not least <= most >> zeros << zeros:
            zeros -= 1
        roundest = most >> zeros << zeros
    return list(dict.fromkeys([*found, roundest]))


def offset_of(scaling: Scaling, steps: StepFunction) -> list[int]:
    """Offsets d of x that spare the constant: ``factor * (x + d) + less``."""
    return sorted({scaling.constant // scaling.factor, -(-scaling.constant // scaling.factor)})
