"""Products of two wires, as in gates."""

from __future__ import annotations

from actc.targets.fpga.functions.multiples import multiple, subtract_at
from actc.targets.fpga.hdl import Wire
from actc.targets.fpga.units.arithmetic import add_at, square

_TABLE_BITS = 6
"""Bits of both operands together up to which a table is one level of look-up tables."""


def multiply(a: Wire, b: Wire) -> Wire:
    """``a * b`` of two wires of either sign, without hard multipliers.

    One row for each bit of the narrower one, each behind an adder of its own; the row of a
    sign bit is subtracted.
    """
    exact = a.range * b.range
    if a.value is not None or b.value is not None:
        wire, constant = (b, a.value) if a.value is not None else (a, b.value)
        assert constant is not None
        return _scaled(wire, constant)
    if a is b and not a.signed:
        return square(a)
    if a.width + b.width <= _TABLE_BITS:
        return _table(a, b).narrow(exact, "the product")
    wide, narrow = (a, b) if a.width >= b.width else (b, a)
    return _rows(wide, narrow).narrow(exact, "the product")


def _scaled(wire: Wire, constant: int) -> Wire:
    if constant == 0:
        return wire.graph.constant(0)
    size = abs(constant)
    zeros = (size & -size).bit_length() - 1
    found = multiple(wire, size >> zeros) << zeros
    return found if constant > 0 else -found


def _rows(wide: Wire, narrow: Wire) -> Wire:
    graph = wide.graph
    rows = [graph.select(narrow.bits(k, 1), [0, wide]).named("row") for k in range(narrow.width)]
    total = rows[0]
    for place, row in enumerate(rows[1:-1], 1):
        total = add_at(total, row, place)
    if narrow.width == 1:
        return -total if narrow.signed else total
    last = subtract_at if narrow.signed else add_at
    return last(total, rows[-1], narrow.width - 1)


def _table(a: Wire, b: Wire) -> Wire:
    left, right = a.bits(0, a.width), b.bits(0, b.width)
    address = a.graph.concatenate((left, a.width), (right, b.width))
    entries = []
    for code in range(address.range.high + 1):
        first, second = code >> b.width, code & ((1 << b.width) - 1)
        if a.signed and first >> (a.width - 1):
            first -= 1 << a.width
        if b.signed and second >> (b.width - 1):
            second -= 1 << b.width
        entries.append(first * second)
    return a.graph.lookup(address, entries)
