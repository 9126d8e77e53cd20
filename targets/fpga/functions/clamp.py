"""Saturation as logic of bits, where a comparison would take a carry chain."""

from __future__ import annotations

from actc.targets.fpga.hdl import Range, Wire


def clamp(wire: Wire, range: Range) -> Wire:
    """The member of `range` nearest to `wire`.

    One look-up table per bit of the result behind two flags: below 0, which is the sign,
    and above the end, an and-or of the first bits. `range` should begin at 0, or at the
    least number of a two's complement: any other start is subtracted and added again.

    Raises:
        ValueError: `wire` is never in `range`.
    """
    low, high = range.low, range.high
    if wire.range.high < low or wire.range.low > high:
        raise ValueError(f"{wire.range} does not meet {range}")
    if range.holds(wire.range):
        return wire
    if low == 0 or (wire.range.low >= low and low > 0):
        return _clamp(wire, high)
    return moved(_clamp(wire - low, high - low), low)


def moved(wire: Wire, low: int) -> Wire:
    """``wire + low``; of n bits by -2**(n-1), the first bit inverted."""
    size = wire.width - 1
    if wire.signed or -low != 1 << size:
        return wire + low
    top = wire.bits(size, 1) ^ 1
    if size == 0:
        return top.bits(0, 1, signed=True)
    word = wire.graph.concatenate((top, 1), (wire.bits(0, size), size))
    return word.bits(0, size + 1, signed=True).narrow(wire.range.plus(low), "a number moved")


def _clamp(wire: Wire, high: int) -> Wire:
    high = min(high, wire.range.high)
    graph, count = wire.graph, max(high.bit_length(), 1)
    kept = wire.bits(0, count)
    if wire.range.high > high:
        rest = wire.bits(0, max(wire.width - int(wire.signed), 1))
        over = rest.reaches(high + 1).named("over")
        kept = graph.select(over, [kept, high])
    if wire.signed:
        kept = graph.select(wire.bits(wire.width - 1, 1).named("negative"), [kept, 0])
    low = min(max(wire.range.low, 0), high)
    return kept.narrow(Range(low, high), "what is more is over, what is less negative")
