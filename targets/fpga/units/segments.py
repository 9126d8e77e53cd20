"""The freedom that a piecewise-linear form leaves its datapath."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actc.approx.fixed_point import Codes
from actc.targets.fpga.hdl import Wire


@dataclass(frozen=True, slots=True)
class Window:
    """A segment's own coordinate: the low bits of the position.

    Attributes:
        bits: how many; 0 when no segment has a slope.
        signed: whether they are read as two's complement.
    """

    bits: int
    signed: bool

    def serves(self, start: int, end: int) -> bool:
        """Whether the coordinate grows by one from position to position in [start, end)."""
        moved = (1 << self.bits) >> 1 if self.signed else 0
        return (start + moved) >> self.bits == (end - 1 + moved) >> self.bits

    def values(self, position: Codes) -> Codes:
        """The coordinate of positions."""
        moved = (1 << self.bits) >> 1 if self.signed else 0
        found: Codes = ((position + moved) & ((1 << self.bits) - 1)) - moved
        return found

    def wire(self, position: Wire) -> Wire:
        """The coordinate of the unit's position."""
        if self.bits == 0:
            return position.graph.constant(0)
        return position.bits(0, self.bits, signed=self.signed)


def narrowest_window(slopes: Sequence[int], starts: Sequence[int], bits: int) -> Window:
    """The fewest bits that serve all segments with a slope; unsigned if that is enough.

    Args:
        starts: first position of each segment.
        bits: of the position.
    """
    ends = [*starts[1:], 1 << bits]
    sloped = [(a, b) for slope, a, b in zip(slopes, starts, ends, strict=True) if slope]
    for width in range(bits):
        for signed in (False, True):
            window = Window(width, signed)
            if all(window.serves(a, b) for a, b in sloped):
                return window
    return Window(bits, False)


@dataclass(frozen=True)
class Constants:
    """The constants of each segment that leave its outputs as they are.

    Attributes:
        low, high: Python integers, one pair per segment.
    """

    low: list[int]
    high: list[int]

    @classmethod
    def of(
        cls, slopes: Sequence[int], starts: Sequence[int], t: Codes, outputs: Codes, shift: int
    ) -> Constants:
        """All c with ``(slope t + c) >> shift`` equal to the outputs.

        Args:
            starts: first position of each segment.
            t, outputs: int64, of each position.
        """
        lengths = np.diff([*starts, len(t)])
        products = np.repeat(np.array(slopes, np.int64), lengths) * t
        least = np.maximum.reduceat((outputs << shift) - products, starts)
        most = np.minimum.reduceat(((outputs + 1) << shift) - 1 - products, starts)
        if np.any(least > most):
            raise ValueError("the outputs are not on lines of these slopes")
        return cls(least.tolist(), most.tolist())

    def moved(self, corrections: Sequence[int]) -> Constants:
        """The constants plus something in each segment."""
        return Constants(
            [low + more for low, more in zip(self.low, corrections, strict=True)],
            [high + more for high, more in zip(self.high, corrections, strict=True)],
        )

    def shifted(self, places: int) -> Constants:
        """For sums whose other parts have no bits at the last places."""
        return Constants([v >> places for v in self.low], [v >> places for v in self.high])

    def roundest(self) -> list[int]:
        """Of each segment the constant with the most zeros at its end."""
        chosen = []
        for low, high in zip(self.low, self.high, strict=True):
            zeros = 0
            while high >> (zeros + 1) << (zeros + 1) >= low and zeros < high.bit_length() + 1:
                zeros += 1
            chosen.append(high >> zeros << zeros)
        return chosen


def common_zeros(values: Sequence[int], most: int) -> int:
    """Zero bits that all values end with, `most` at most."""
    union = 0
    for value in values:
        union |= value
    return min(((union & -union).bit_length() - 1) if union else most, most)
