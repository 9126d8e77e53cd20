"""All integers of as many bits as a wire has, and where in them it stands."""

from __future__ import annotations

from actc.targets.fpga.hdl import Range, Wire


def domain(range: Range) -> Range:
    """All integers of as many bits as a wire of `range` has, of its sign."""
    whole = Range.unsigned(range.width)
    return whole.plus(-(1 << (range.width - 1))) if range.signed else whole


def position(x: Wire) -> Wire:
    """``x - least integer of its bits``: unsigned, for signed x with the first bit inverted."""
    if not x.signed:
        return x
    rest = x.width - 1
    top = x.bits(rest, 1) ^ 1
    if rest == 0:
        return top
    return x.graph.concatenate((top, 1), (x.bits(0, rest), rest))
