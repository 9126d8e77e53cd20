"""From codes to values: a table that all channels share, or a few of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actc.cost.model import blocks
from actc.targets.fpga.families import find_family
from actc.targets.fpga.folded.functions.staircases import is_identity
from actc.targets.fpga.folded.program import Integers
from actc.targets.fpga.functions import FunctionOptions, StepFunction
from actc.targets.fpga.functions.choose import build, choose
from actc.targets.fpga.functions.clamp import moved
from actc.targets.fpga.functions.forms import TABLE_BITS, extended, table
from actc.targets.fpga.functions.memories import MEMORY_BITS, MEMORY_WIDTH, storable
from actc.targets.fpga.hdl import Range, Wire

SAVED = 60
"""Logic cells that each block memory has to save."""


@dataclass(frozen=True, eq=False)
class Tables:
    """Tables of one range of codes.

    Attributes:
        tables: functions of the code.
        options: whose costs decide.
        memory: whether tables lie in block memories, where these save enough: a register
            has to follow them.
    """

    tables: tuple[StepFunction, ...]
    options: FunctionOptions
    memory: bool

    @classmethod
    def of(cls, values: Sequence[Integers], options: FunctionOptions, memory: bool) -> Tables:
        """From the values of all codes from 0 on, of each table."""
        codes = Range(0, len(values[0]) - 1)
        return cls(tuple(StepFunction.of(codes, own) for own in values), options, memory)

    @property
    def title(self) -> str:
        """What follows the code, for reports."""
        count = len(self.tables)
        if count > 1:
            where = "a memory" if self._joined and self._stored else "logic"
            return f", then one of {count} tables in {where}"
        steps = self.tables[0]
        if _offset(steps) is not None:
            return ""
        where = "a memory" if self._stored_alone(steps) else "logic"
        return f", then a table of {steps.range.high - steps.range.low + 1} in {where}"

    def build(self, code: Wire, number: Wire) -> Wire:
        """The value of a code in the table of a number."""
        if len(self.tables) == 1:
            return self._one(self.tables[0], code)
        if not self._joined:
            return code.graph.select(number, [self._one(each, code) for each in self.tables])
        padded = [*self.tables, *[self.tables[-1]] * ((1 << self._bits) - len(self.tables))]
        entries = np.concatenate([extended(each) for each in padded]).tolist()
        width = self.tables[0].range.width
        place = _position(code, width, self.tables[0].range.signed)
        address = code.graph.concatenate((number, self._bits), (place, width))
        return code.graph.lookup(address, entries, memory=self._stored)

    @property
    def _bits(self) -> int:
        """Of the number of a table."""
        return (len(self.tables) - 1).bit_length()

    @property
    def _joined(self) -> bool:
        """Whether all tables are one, addressed by the number and the code."""
        most = MEMORY_BITS if self._stored else TABLE_BITS
        return self.tables[0].range.width + self._bits <= most

    @property
    def _stored(self) -> bool:
        values = Range.of(end for each in self.tables for end in (each.hull.low, each.hull.high))
        sizes = (self.tables[0].range.width + self._bits, values.width)
        fits = sizes[0] <= MEMORY_BITS and sizes[1] <= MEMORY_WIDTH
        return self.memory and fits and self._saves(self.tables, sizes)

    def _stored_alone(self, steps: StepFunction) -> bool:
        sizes = (steps.range.width, steps.hull.width)
        return self.memory and storable(steps, self.options) and self._saves([steps], sizes)

    def _saves(self, tables: Sequence[StepFunction], sizes: tuple[int, int]) -> bool:
        """Whether block memories for tables save enough of logic."""
        count = blocks(sizes, find_family(self.options.family))
        return sum(choose(each, self.options).cost for each in tables) >= SAVED * count

    def _one(self, steps: StepFunction, code: Wire) -> Wire:
        steps = steps.cut(code.range)
        offset = _offset(steps)
        if offset is not None:
            return moved(code, offset)
        if self._stored_alone(steps):
            return table(steps, code, memory=True)
        return build(steps, code, self.options)


def _position(code: Wire, width: int, signed: bool) -> Wire:
    """Where a code stands among all numbers of some bits."""
    word = code.bits(0, width)
    if not signed:
        return word
    top = word.bits(width - 1, 1) ^ 1
    return code.graph.concatenate((top, 1), (word.bits(0, max(width - 1, 1)), width - 1))


def _offset(steps: StepFunction) -> int | None:
    """What a function adds to every input; None if it does anything else."""
    offset = int(steps.levels[0] - steps.starts[0])
    return offset if is_identity(steps.moved(offset)) else None
