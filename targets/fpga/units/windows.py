"""A segment's own coordinate: some low bits of the position, without an adder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actc.approx.fixed_point import Codes
from actc.targets.fpga.hdl import Wire


@dataclass(frozen=True, slots=True)
class Window:
    """The low bits of the position.

    Within a segment that :meth:`serves` accepts they differ from the position by a
    constant, which goes into the segment's own constant.

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
