"""Pipelines of stages: sums of products, and functions of totals, without control."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from actc.targets.fpga.hdl import Bus, Design, Graph, Range, Wire
from actc.targets.fpga.hdl.hierarchy import hierarchy, write_design
from actc.targets.fpga.pipeline import Timing, pipeline
from actc.targets.fpga.popcount import Pair, all_agreements


@dataclass(frozen=True)
class Pipeline:
    """A datapath with registers.

    Attributes:
        module: its name.
        files: of it.
        latency: clocks from inputs to outputs.
        clocked: whether it has a port `clk`.
        ports: name of each bus -> name of its port.
    """

    module: str
    files: dict[str, str]
    latency: int
    clocked: bool
    ports: dict[str, str]


def pipelined(design: Design, timing: Timing, clock_mhz: float) -> Pipeline:
    """A datapath that takes new inputs every clock.

    Raises:
        UsageError: ACT0561, the clock cannot be reached.
    """
    made = pipeline(design, timing, clock_mhz=clock_mhz)
    written = hierarchy(made)
    read = {bus.name for bus in made.inputs}
    assert read == {bus.name for bus in design.inputs}
    return Pipeline(
        written.top, write_design(made), int(made.latency or 0), written.clocked, written.ports
    )


def bus(graph: Graph, name: str, count: int, range: Range, *, signed: bool | None = None) -> Bus:
    """An input of `count` elements."""
    wires = tuple(graph.input(f"{name}_{index}", range) for index in builtins.range(count))
    return output(name, wires, range, signed=signed)


def output(name: str, wires: Sequence[Wire], range: Range, *, signed: bool | None = None) -> Bus:
    """Wires side by side, each as wide as `range`."""
    sign = range.signed if signed is None else signed
    return Bus(name, (len(wires),), tuple(wires), width_of(range, sign), sign)


def width_of(range: Range, signed: bool) -> int:
    """Bits of a range, with a sign bit in any case if `signed`."""
    # not the width of a hull with -1: 0 alone takes a bit and the sign, as of every wire
    return range.width + int(signed and not range.signed)


def total(wires: Sequence[Wire]) -> Wire:
    """The sum, as a tree whose narrowest wires are added first."""
    left = sorted(wires, key=lambda wire: wire.width)
    while len(left) > 1:
        paired = [a + b for a, b in zip(left[::2], left[1::2], strict=False)]
        left = sorted([*paired, *left[2 * len(paired) :]], key=lambda wire: wire.width)
    return left[0]


@dataclass(frozen=True, slots=True)
class Code:
    """How weights are stored: ``weight = base + step * code``, or as they are.

    Attributes:
        range: of the codes.
        base, step: what they stand for.
    """

    range: Range
    base: int = 0
    step: int = 1

    @property
    def width(self) -> int:
        """Bits of a code."""
        return self.range.width


@lru_cache(maxsize=1024)
def code_of(levels: tuple[int, ...]) -> Code:
    """The narrowest code of some weights (sorted, each once).

    Signs alone (-1 and 1) take one bit: 2 b - 1. A base other than 0 costs a sum of the
    inputs, which all outputs share, so it is taken only where it saves a bit.
    """
    plain = Range(levels[0], levels[-1])
    steps = [level - levels[0] for level in levels]
    step = 0
    for value in steps:
        while value:
            step, value = value, step % value
    count = Range(0, steps[-1] // step if step else 0)
    if count.width < plain.width and step:
        return Code(count, levels[0], step)
    return Code(plain)


def dot(
    x: Sequence[Wire], codes: Sequence[Sequence[Wire]], code: Code, *, hard: bool
) -> list[Wire]:
    """``sum of weight * x`` for each row of weights.

    In logic the bits of the weights choose inputs, which are added bit by bit of the weights:
    an and goes into the adder behind it.

    Args:
        x: the inputs.
        codes: of the weights, a row for each sum.
        hard: whether products are written as such, for hard multipliers.
    """
    graph = x[0].graph
    base = total(x) * code.base if code.base else graph.constant(0)
    found = []
    for row in codes:
        if hard:
            own = total([wire.times(weight) for wire, weight in zip(x, row, strict=True)])
        else:
            own = _by_bits(x, row)
        found.append(own * code.step + base)
    return found


def counts(
    words: Sequence[Sequence[Wire]],
    rows: Sequence[Sequence[Wire]],
    family: str,
    *,
    counted: int = 1,
    outside: Wire | None = None,
) -> list[Wire]:
    """How many inputs agree with their weight, times `counted`, for each row of weights.

    Args:
        words: of inputs, a bit each; one for each row, or one for all.
        rows: of weights, a bit each.
        family: of the FPGA.
        outside: where it is 1 each input counts 1 instead, which is between agreement
            (`counted` = 2) and none; None: nowhere.
    """
    given = words if len(words) == len(rows) else [words[0]] * len(rows)
    pairs = [
        [Pair(*pair) for pair in zip(word, row, strict=True)]
        for word, row in zip(given, rows, strict=True)
    ]
    found = [total * counted for total in all_agreements(pairs, family)]
    if outside is None:
        return found
    graph = outside.graph
    return [
        graph.select(outside, [total, len(row)]) for total, row in zip(found, rows, strict=True)
    ]


def _by_bits(x: Sequence[Wire], row: Sequence[Wire]) -> Wire:
    graph, width = x[0].graph, row[0].width
    planes = []
    for bit in range(width):
        chosen = [graph.select(w.bits(bit, 1), [0, wire]) for wire, w in zip(x, row, strict=True)]
        planes.append(total(chosen) << bit)
    if not row[0].signed:
        return _neighbours(planes)
    return _neighbours(planes[:-1]) - planes[-1] if width > 1 else -planes[-1]


def _neighbours(planes: Sequence[Wire]) -> Wire:
    """The sum as a tree of neighbours, so that adders stay narrow."""
    left = list(planes)
    while len(left) > 1:
        odd = left[-1:] if len(left) % 2 else []
        left = [a + b for a, b in zip(left[::2], left[1::2], strict=False)] + odd
    return left[0]
