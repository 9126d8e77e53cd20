"""Which integer lines serve a function, in blocks of inputs that share a slope.

``(slope * t + constant) >> shift`` gives a level if ``slope * t + constant`` lies between
``level << shift`` and ``((level + 1) << shift) - 1``. Over all inputs of a block the gap
between the largest lower and the least upper bound of its constant is convex in the slope;
so is the largest gap of all blocks, and the slopes that serve all form an interval.
Both of its ends are found by cutting planes (Kelley, 1960).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.functions.steps import StepFunction
from actc.targets.fpga.hdl import Range

Numbers = npt.NDArray[Any]
"""int64, or Python integers (object) where products exceed 61 bits."""

_PRODUCT_BITS = 61


class Cut(NamedTuple):
    """Slopes that a pair of points leaves; None: any."""

    low: int | None
    high: int | None


@dataclass(frozen=True, eq=False)
class Side:
    """Bounds of ``slope * t + constant`` from one side.

    Attributes:
        t, bound: [n], coordinates and bounds, in the order of the blocks.
        blocks: int64 [m], blocks that have such a bound, increasing.
        first: int64 [m], where each of them begins.
    """

    t: Numbers
    bound: Numbers
    blocks: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]

    @classmethod
    def of(cls, t: Numbers, bound: Numbers, block: Numbers) -> Side:
        """From the block of each point."""
        first = np.flatnonzero(np.diff(block, prepend=-1))
        return cls(t, bound, block[first], first)

    def part(self, block: int) -> tuple[Numbers, Numbers]:
        """Coordinates and bounds of a block."""
        place = int(np.searchsorted(self.blocks, block))
        end = self.first[place + 1] if place + 1 < len(self.first) else None
        inside = slice(self.first[place], end)
        return self.t[inside], self.bound[inside]


@dataclass(frozen=True, eq=False)
class Bounds:
    """Bounds of all inputs.

    Attributes:
        lower, upper: of lines.
        both: int64 [b], blocks that have bounds from both sides.
    """

    lower: Side
    upper: Side
    both: npt.NDArray[np.int64]

    @classmethod
    def of(cls, steps: StepFunction, shift: int, low: int, low_bits: int, saturate: bool) -> Bounds:
        """Bounds for blocks of ``2**low_bits`` inputs, the first from `low` on.

        Args:
            saturate: the least level allows everything below, the largest everything above.
        """
        whole = low_bits >= steps.range.width
        position = steps.starts - low
        starts = position
        if not whole:
            first = (steps.range.low - low) >> low_bits
            last = (steps.range.high - low) >> low_bits
            begins = np.arange(first + 1, last + 1, dtype=np.int64) << low_bits
            starts = np.union1d(position, begins)
        levels = steps.evaluate(starts + low)
        ends = np.append(starts[1:] - 1, steps.range.high - low)
        points = np.stack([starts, ends], axis=1).ravel()
        block = np.zeros_like(points) if whole else points >> low_bits
        t = points + low if whole else points & ((1 << low_bits) - 1)
        size = max(int(np.abs(t).max()).bit_length(), 1)
        bits = size + steps.hull.width + shift + 2
        kind = np.dtype(np.int64 if bits <= _PRODUCT_BITS else object)
        t, level = t.astype(kind), np.repeat(levels, 2).astype(kind)
        inner = np.repeat(levels > levels.min(), 2) | (not saturate)
        outer = np.repeat(levels < levels.max(), 2) | (not saturate)
        lower = Side.of(t[inner], level[inner] << shift, block[inner])
        upper = Side.of(t[outer], ((level[outer] + 1) << shift) - 1, block[outer])
        return cls(lower, upper, np.intersect1d(lower.blocks, upper.blocks))

    def slopes(self) -> Range | None:
        """All integer slopes that serve; None if there is none, or nothing asks for one."""
        if not self.both.size:
            return None
        steepest = int(self.upper.bound.max()) - int(self.lower.bound.min())
        low, high = -steepest, steepest
        for end in ("low", "high"):
            while True:
                cut = self._cut(low if end == "low" else high)
                if cut is None:
                    break
                low = low if cut.low is None else max(low, cut.low)
                high = high if cut.high is None else min(high, cut.high)
                if low > high:
                    return None
        return Range(low, high)

    def constants(self, slope: int) -> tuple[dict[int, int], dict[int, int]]:
        """First and last constant of each block that is bounded from below, from above."""
        least = self._bounds(self.lower, slope, np.maximum)
        most = self._bounds(self.upper, slope, np.minimum)
        return (
            dict(zip(self.lower.blocks.tolist(), map(int, least), strict=True)),
            dict(zip(self.upper.blocks.tolist(), map(int, most), strict=True)),
        )

    def _bounds(self, side: Side, slope: int, ufunc: np.ufunc) -> Numbers:
        found: Numbers = ufunc.reduceat(side.bound - slope * side.t, side.first)
        return found

    def _cut(self, slope: int) -> Cut | None:
        """What the worst pair of points leaves, if this slope does not serve."""
        least = self._bounds(self.lower, slope, np.maximum)
        most = self._bounds(self.upper, slope, np.minimum)
        gaps = (
            least[np.searchsorted(self.lower.blocks, self.both)]
            - most[np.searchsorted(self.upper.blocks, self.both)]
        )
        worst = int(gaps.argmax())
        if gaps[worst] <= 0:
            return None
        low_t, lower = self.lower.part(int(self.both[worst]))
        high_t, upper = self.upper.part(int(self.both[worst]))
        top = int((lower - slope * low_t).argmax())
        bottom = int((upper - slope * high_t).argmin())
        run = int(low_t[top]) - int(high_t[bottom])
        rise = int(lower[top]) - int(upper[bottom])
        if run > 0:
            return Cut(-(-rise // run), None)
        return Cut(None, -rise // -run)
