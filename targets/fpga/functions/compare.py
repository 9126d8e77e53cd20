"""Largest wires: trees of comparisons."""

from __future__ import annotations

from collections.abc import Sequence

from actc.targets.fpga.functions.apply import integer_function
from actc.targets.fpga.functions.options import FunctionOptions
from actc.targets.fpga.functions.steps import Function, StepFunction
from actc.targets.fpga.hdl import Range, Wire

_DEFAULT = FunctionOptions()


def maximum(wires: Sequence[Wire]) -> Wire:
    """The largest value.

    Raises:
        ValueError: there are no wires.
    """
    return _largest(wires)[0]


def argmax(wires: Sequence[Wire]) -> Wire:
    """The place of the largest value, from 0; of equal ones the first (ONNX ArgMax).

    Raises:
        ValueError: there are no wires.
    """
    return _largest(wires)[1]


def _largest(wires: Sequence[Wire]) -> tuple[Wire, Wire]:
    """The largest value and its place, by a balanced tree."""
    if not wires:
        raise ValueError("nothing has no largest value")
    graph = wires[0].graph
    found = [(wire, graph.constant(place)) for place, wire in enumerate(wires)]
    while len(found) > 1:
        pairs = [found[k : k + 2] for k in range(0, len(found), 2)]
        found = [_larger(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return found[0]


def _larger(first: tuple[Wire, Wire], second: tuple[Wire, Wire]) -> tuple[Wire, Wire]:
    (a, place_a), (b, place_b) = first, second
    later = a < b
    graph = a.graph
    low = max(a.range.low, b.range.low)
    value = graph.select(later, [a, b])
    value = value.narrow(Range(low, value.range.high), "the larger of two")
    return value, graph.select(later, [place_a, place_b])


def softmax_terms(
    wires: Sequence[Wire],
    table: Sequence[int] | Function | StepFunction,
    options: FunctionOptions = _DEFAULT,
) -> tuple[list[Wire], Wire]:
    """The integers of IntSoftmax: ``e = table[max - x]`` of each wire, and their sum.

    The division of one by the other is left to the host.

    Args:
        table: entries for distances from 0 on; at least as many as there are distances.

    Raises:
        UsageError: ACT0545, the table is too short.
        ValueError: there are no wires.
    """
    largest = maximum(wires)
    if not callable(table) and not isinstance(table, StepFunction):
        table = StepFunction.of(Range(0, len(table) - 1), list(table))
    terms = []
    for wire in wires:
        distance = largest - wire
        inside = Range(0, distance.range.high)
        terms.append(integer_function(distance.narrow(inside, "a maximum"), table, options))
    return terms, total(terms)


def total(wires: Sequence[Wire]) -> Wire:
    """The sum, by a balanced tree."""
    found = list(wires)
    while len(found) > 1:
        pairs = [found[k : k + 2] for k in range(0, len(found), 2)]
        found = [pair[0] + pair[1] if len(pair) == 2 else pair[0] for pair in pairs]
    return found[0]
