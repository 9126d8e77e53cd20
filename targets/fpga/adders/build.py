"""Wires of adder graphs."""

from __future__ import annotations

from collections.abc import Sequence

from actc.targets.fpga.adders.program import AdderGraph, Node, Part, Term
from actc.targets.fpga.hdl import Wire

_REASON = "a sum of independent inputs"


def build(graph: AdderGraph, inputs: Sequence[Wire], constants: Sequence[int]) -> list[Wire]:
    """The wires of the outputs: terms of the graph, plus a constant each."""
    home = inputs[0].graph
    program = graph.program
    wires = list(inputs)
    for index, node in enumerate(program.sums, program.inputs):
        wires.append(_made(node, wires).narrow(program.ranges[index], _REASON))
    outputs = []
    for term, constant in zip(graph.outputs, constants, strict=True):
        if term is None:
            outputs.append(home.constant(constant))
            continue
        scaled = program.ranges[term.node] << term.shift
        exact = (scaled if term.sign > 0 else -scaled).plus(constant)
        outputs.append(_output(wires[term.node], term, constant).narrow(exact, _REASON))
    return outputs


def _made(node: Node, wires: Sequence[Wire]) -> Wire:
    if isinstance(node, Part):
        whole = wires[node.node]
        return whole.bits(node.low, 1) if node.single else whole >> node.low
    first, second = wires[node.first], wires[node.second]
    if node.lead < 0:
        return (second << node.shift) - first
    high = first >> node.shift
    if node.carry < 0:
        high = high + second if node.sign > 0 else high - second
    else:
        high = _carried(high, second, node.sign, wires[node.carry])
    return _above(high, first, node.shift)


def _carried(high: Wire, second: Wire, sign: int, carry: Wire) -> Wire:
    """``high + sign * (second + carry)`` in one chain: a place below the sum makes the carry.

    That is 1 + carry of a sum, and 0 - carry of a difference.
    """
    longer = _above(second, carry, 1)
    if sign > 0:
        return (_above(high, high.graph.constant(1), 1) + longer) >> 1
    return ((high << 1) - longer) >> 1


def _above(high: Wire, low: Wire, place: int) -> Wire:
    """`high` from bit `place` on, over the low bits of `low`."""
    if place == 0:
        return high
    word = (high.bits(0, high.width), high.width), (low.bits(0, place), place)
    joined = high.graph.concatenate(*word)
    return joined.bits(0, high.width + place, signed=high.signed)


def _output(node: Wire, term: Term, constant: int) -> Wire:
    """A term plus a constant, whose bits below the shift need no adder."""
    high = constant >> term.shift
    total = high + node if term.sign > 0 else high - node
    low = constant - (high << term.shift)
    return _above(total, node.graph.constant(low), term.shift) if low else total << term.shift
