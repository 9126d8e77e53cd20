"""Operators that take longer than a clock period, in parts that registers can lie between.

Sums and differences become two of half the width, and the carry is added to the upper one;
comparisons by order compare the upper halves first; large selections and tables choose
between the results of two of half the size. That costs logic, so only what cannot be done
otherwise is split.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import singledispatch
from math import ceil
from typing import TypeVar

from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.hdl.design import Bus, Design, Span
from actc.targets.fpga.hdl.graph import Graph, Wire
from actc.targets.fpga.pipeline.delays import delay
from actc.targets.fpga.pipeline.timing import Timing

_Item = TypeVar("_Item")
_CLAIM = "the same in parts"


def split(design: Design, timing: Timing, period: float) -> Design:
    """The design with operators of at most `period` ns, as far as they can be split.

    It is `design` itself if nothing takes longer. Products and comparisons for equality
    are never split.
    """
    needed = design.module().wires()
    if all(delay(wire, timing) <= period for wire in needed):
        return design
    graph, old = Graph(), design.graph
    made: dict[int, Wire] = {}
    inputs = {wire.index for bus in design.inputs for wire in bus.wires}
    for index in sorted(inputs | {wire.index for wire in needed}):
        wire = old.wires[index]
        with graph.scope(old.scopes[index]):
            whole = graph.make(wire.operator, *(made[o.index] for o in wire.operands))
            made[index] = _Splitter(timing, period).fit(whole)
        if index in old.hints:
            made[index].named(old.hints[index])

    def moved(buses: tuple[Bus, ...]) -> tuple[Bus, ...]:
        return tuple(replace(bus, wires=tuple(made[w.index] for w in bus.wires)) for bus in buses)

    spans = tuple(Span(made[span.start.index], made[span.end.index]) for span in design.spans)
    return Design(design.name, moved(design.inputs), moved(design.outputs), design.comments, spans)


class _Splitter:
    """Splits wires until each takes at most a period."""

    def __init__(self, timing: Timing, period: float) -> None:
        self._timing = timing
        self._period = period

    def fit(self, wire: Wire) -> Wire:
        """A wire of the same values; the same one if it is fast enough or cannot be split."""
        if delay(wire, self._timing) <= self._period:
            return wire
        return _split(wire.operator, wire, self).narrow(wire.range, _CLAIM)

    def half(self, width: int) -> int | None:
        """Low bits to split off a carry chain of some bits; None if no chain is short enough."""
        timing = self._timing
        fitting = int((self._period - timing.level - timing.chain) / timing.carry) - 1
        return ceil(width / ceil(width / fitting)) if fitting >= 2 else None


@singledispatch
def _split(operator: op.Operator, wire: Wire, splitter: _Splitter) -> Wire:
    return wire


@_split.register(op.Add)
@_split.register(op.Subtract)
@_split.register(op.Negate)
def _(operator: op.Operator, wire: Wire, splitter: _Splitter) -> Wire:
    half = splitter.half(wire.width)
    if half is None:
        return wire
    graph = wire.graph
    low = graph.make(operator, *(operand.bits(0, half) for operand in wire.operands))
    high = splitter.fit(graph.make(operator, *(operand >> half for operand in wire.operands)))
    # what the low part carries or borrows: -1, 0 or 1
    high = splitter.fit(high + (low >> half))
    return _joined(high, low.bits(0, half), half, wire)


def _joined(high: Wire, low: Wire, place: int, wire: Wire) -> Wire:
    """``high * 2**place + low``, which is known to equal `wire`."""
    count = wire.width - place
    word = wire.graph.concatenate((high.bits(0, count), count), (low, place))
    return word.bits(0, wire.width, signed=wire.signed)


@_split.register
def _(operator: op.Compare, wire: Wire, splitter: _Splitter) -> Wire:
    first, second = wire.operands
    half = splitter.half(first.range.hull(second.range).width)
    if operator.kind not in ("<", ">=") or half is None:
        return wire
    high = [operand >> half for operand in wire.operands]
    low = [operand.bits(0, half) for operand in wire.operands]
    below = splitter.fit(high[0] < high[1])
    equal = splitter.fit(high[0].equals(high[1]))
    less = below | (equal & splitter.fit(low[0] < low[1]))
    return less if operator.kind == "<" else less ^ 1


@_split.register
def _(operator: op.Saturate, wire: Wire, splitter: _Splitter) -> Wire:
    (operand,) = wire.operands
    graph, inside = wire.graph, operand
    for bound, outside in (
        (operator.range.low, splitter.fit(operand < operator.range.low)),
        (operator.range.high, splitter.fit(operand > operator.range.high)),
    ):
        inside = splitter.fit(graph.select(outside, [inside, bound]))
    return inside


@_split.register
def _(operator: op.Select, wire: Wire, splitter: _Splitter) -> Wire:
    index, *options = wire.operands

    def choose(part: Sequence[Wire], low: Wire) -> Wire:
        return splitter.fit(wire.graph.select(low, part))

    return _halves(wire, index, options, choose, splitter)


@_split.register
def _(operator: op.Lookup, wire: Wire, splitter: _Splitter) -> Wire:
    (address,) = wire.operands
    if operator.memory:
        return wire

    def look_up(part: Sequence[int], low: Wire) -> Wire:
        return splitter.fit(wire.graph.lookup(low, part))

    return _halves(wire, address, operator.values, look_up, splitter)


def _halves(
    wire: Wire,
    index: Wire,
    items: Sequence[_Item],
    choose: Callable[[Sequence[_Item], Wire], Wire],
    splitter: _Splitter,
) -> Wire:
    """`wire`, the item at `index`, as that of the lower or that of the upper half."""
    top = index.width - 1
    if top < 1:
        return wire
    size = 1 << top
    padded = [*items, *[items[-1]] * (2 * size - len(items))][: 2 * size]
    low = index.bits(0, top)
    parts = [choose(padded[:size], low), choose(padded[size:], low)]
    return splitter.fit(index.graph.select(index.bits(top, 1), parts))
