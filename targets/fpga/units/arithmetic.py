"""Sums, squares and products as rows that are added one above the other.

Each row goes through an adder of its own, which begins where the row begins: a carry
chain takes one LUT for a bit. Written as ``a + b + c`` or ``a * b``, yosys sums all rows
at once, which takes two LUTs for a bit of every row but two; see docs/hdl.md.
"""

from __future__ import annotations

from actc.targets.fpga.hdl import Range, Wire

_TABLE_BITS = 5
"""Squares of so few bits are tables."""


def add_at(total: Wire, row: Wire, place: int) -> Wire:
    """``total + row * 2**place``; the bits of `total` below the place need no adder."""
    high = (total >> place) + row
    if place == 0:
        return high
    whole = high.bits(0, high.width)
    word = total.graph.concatenate((whole, high.width), (total.bits(0, place), place))
    return word.bits(0, high.width + place, signed=high.signed)


def product(a: Wire, b: Wire) -> Wire:
    """``a * b`` of unsigned wires, one row for each bit of the narrower one."""
    wide, narrow = (a, b) if a.width >= b.width else (b, a)
    graph = a.graph
    rows = [graph.select(narrow.bits(k, 1), [0, wide]).named("row") for k in range(narrow.width)]
    total = rows[0]
    for place, row in enumerate(rows[1:], 1):
        total = add_at(total, row, place)
    return total.narrow(Range(0, a.range.high * b.range.high), "the product")


def square(t: Wire) -> Wire:
    """``t * t`` of an unsigned wire, by halves: ``h**2, l**2`` side by side, plus ``2 h l``."""
    graph, bits = t.graph, t.width
    if bits <= _TABLE_BITS:
        squares = [value * value for value in range(1 << bits)]
        return graph.lookup(t, squares).named("square")
    half = bits // 2
    low, high = t.bits(0, half), t.bits(half, bits - half)
    sides = graph.concatenate((square(high), 2 * (bits - half)), (square(low), 2 * half))
    total = add_at(sides, product(high, low), half + 1)
    return total.narrow(Range(0, t.range.high**2), "the square")
