"""The hardware of one lane: a function of a total and of parameters of its channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from actc.targets.fpga.folded.functions.cells import Cells, cells_of
from actc.targets.fpga.folded.program import Integers
from actc.targets.fpga.hdl import Graph, Module, Output, Range, Wire, evaluate

Builder = Callable[[Wire, Sequence[Wire]], Wire]
"""What builds a function from the total and the wires of all columns."""


@dataclass(frozen=True, eq=False)
class LaneFunction:
    """A family of functions, one for each channel, as one piece of hardware.

    Attributes:
        name: of the form, for reports.
        input: the hull of all channels' totals.
        output: holds all values.
        columns: int64 [channels] each: numbers that the hardware needs of a channel. Those
            that are the same for all channels become constants.
        builder: builds it from the total and a wire for each column.
        family: whose cells `cost` counts.
    """

    name: str
    input: Range
    output: Range
    columns: tuple[Integers, ...]
    builder: Builder = field(repr=False)
    family: str = "ecp5"

    @cached_property
    def parameters(self) -> tuple[Integers, ...]:
        """Columns that differ between channels, each once: what a memory has to give."""
        return tuple(self.columns[number] for number in self._kept)

    @cached_property
    def _kept(self) -> tuple[int, ...]:
        known: dict[bytes, int] = {}
        for number, column in enumerate(self.columns):
            if np.any(column != column[0]):
                known.setdefault(column.tobytes(), number)
        return tuple(known.values())

    @property
    def parameter_bits(self) -> int:
        """Bits of the parameters of one channel."""
        return sum(_hull(column).width for column in self.parameters)

    @property
    def cost(self) -> float:
        """Estimated logic cells of one lane, without its parameters and other resources."""
        return self._cells.logic

    @property
    def multipliers(self) -> int:
        """Estimated hard multipliers of one lane."""
        return self._cells.multipliers

    @property
    def memories(self) -> int:
        """Block memories of one lane, for its tables."""
        return self._cells.memories

    def build(self, total: Wire, parameters: Sequence[Wire]) -> Wire:
        """The function in the graph of `total`, without registers.

        Args:
            total: of range `input`.
            parameters: a wire for each of `parameters`, with its values' range.

        Returns:
            the value; its range is held by `output`.
        """
        given = {
            self.columns[number].tobytes(): wire
            for number, wire in zip(self._kept, parameters, strict=True)
        }
        wires = [
            given.get(column.tobytes(), total.graph.constant(int(column[0])))
            for column in self.columns
        ]
        return self.builder(total, wires)

    def evaluate(self, channel: int, totals: Integers) -> Integers:
        """What the hardware gives for totals of a channel."""
        inputs: dict[str, Integers] = {"total": np.asarray(totals, np.int64)}
        for number, column in enumerate(self.parameters):
            inputs[f"parameter{number}"] = np.full_like(inputs["total"], column[channel])
        return evaluate(self.module, inputs)["value"].astype(np.int64)

    @cached_property
    def module(self) -> Module:
        """One lane with ports: "total", "parameter0" and so on, "value"."""
        graph = Graph()
        total = graph.input("total", self.input)
        wires = [
            graph.input(f"parameter{number}", _hull(column))
            for number, column in enumerate(self.parameters)
        ]
        value = self.build(total, wires)
        return Module("lane", (total, *wires), (Output("value", value, value.width),))

    @cached_property
    def _cells(self) -> Cells:
        return cells_of(self.module, self.family)


def plain_function(
    offsets: Integers, totals: Range, family: str = "ecp5", factor: int = 1
) -> LaneFunction:
    """``factor * total + offset`` of each channel.

    Args:
        offsets: int64 [channels].
        totals: the hull of all channels' totals.
        factor: a power of two; places that all offsets have alike are wires.
    """
    column = np.asarray(offsets, np.int64)
    output = totals * Range(factor, factor) + _hull(column)
    low = column % factor
    if np.any(low != low[0]):

        def build(total: Wire, wires: Sequence[Wire]) -> Wire:
            return total * factor + wires[0]

        return LaneFunction("sum with a bias", totals, output, (column,), build, family)

    def build_high(total: Wire, wires: Sequence[Wire]) -> Wire:
        return _above(total + wires[0], int(low[0]), factor)

    high = column // factor
    return LaneFunction("sum with a bias", totals, output, (high,), build_high, family)


def _above(high: Wire, low: int, factor: int) -> Wire:
    """``high * factor + low``, whose low bits are constants."""
    if low == 0:
        return high * factor
    places = factor.bit_length() - 1
    word = (high.bits(0, high.width), high.width), (high.graph.constant(low), places)
    joined = high.graph.concatenate(*word)
    whole = joined.bits(0, high.width + places, signed=high.signed)
    return whole.narrow((high.range << places).plus(low), "both parts have no others")


def _hull(column: Integers) -> Range:
    return Range(int(column.min()), int(column.max()))
