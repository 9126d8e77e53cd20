"""The forms that a function can take, each with what builds it on a wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from actc.targets.fpga.functions.scaling import scalings
from actc.targets.fpga.functions.steps import StepFunction
from actc.targets.fpga.hdl import Range, Wire
from actc.targets.fpga.units.selectors import Search

TABLE_BITS = 12
"""Bits of input up to which tables are written into logic."""
_MEMORY_BITS = 16
_SEARCH_RUNS = 600


@dataclass(frozen=True, slots=True)
class Form:
    """One way to compute a function.

    Attributes:
        name: of the form.
        build: what computes it on a wire of the function's range.
    """

    name: str
    build: Callable[[Wire], Wire]


def forms(steps: StepFunction, *, memory: bool) -> Iterator[Form]:
    """All forms worth comparing; the first one always exists.

    Args:
        memory: whether tables in block memory are wanted.
    """
    bits = steps.range.width
    if steps.levels.size <= _SEARCH_RUNS or bits > TABLE_BITS:
        yield Form("search", lambda x: search(steps, x))
    if bits <= TABLE_BITS:
        yield Form("table", lambda x: table(steps, x, memory=False))
    if memory and bits <= _MEMORY_BITS:
        yield Form("memory", lambda x: table(steps, x, memory=True))
    for scaling in scalings(steps):
        yield Form("scaling", scaling.build)


def constant(steps: StepFunction, x: Wire) -> Wire:
    """The one level of a function without steps."""
    return x.graph.constant(int(steps.levels[0]))


def search(steps: StepFunction, x: Wire) -> Wire:
    """The run found by a balanced search, comparisons as ands and ors of bits."""
    low = domain(x.range).low
    starts = [0, *(steps.starts[1:] - low).tolist()]
    return Search(position(x), starts).pick(steps.levels.tolist())


def table(steps: StepFunction, x: Wire, *, memory: bool) -> Wire:
    """One lookup; beyond the range the value of its end."""
    address = position(x)
    codes = np.arange(address.range.high + 1) + domain(x.range).low
    return x.graph.lookup(address, steps.evaluate(codes).tolist(), memory=memory)


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
