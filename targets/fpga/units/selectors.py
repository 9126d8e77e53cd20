"""Segment parameters by the position of the input: balanced searches, never chains.

A selector turns columns of constants, one entry per segment, into wires. Parameters
that are equal over neighbouring segments need no decision between them.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from actc.targets.fpga.hdl import Range, Wire
from actc.targets.fpga.units.options import UnitOptions


class Selector(Protocol):
    """Picks a column's entry for the segment of the input."""

    def pick(self, column: Sequence[int]) -> Wire:
        """The wire of a column, one entry per segment."""


@dataclass(frozen=True)
class Search:
    """Balanced binary search by comparing the position with the segments' starts.

    Attributes:
        position: unsigned.
        starts: first position of each segment, increasing from 0 on.
    """

    position: Wire
    starts: Sequence[int]

    def pick(self, column: Sequence[int]) -> Wire:
        """Muxes of constants, as deep as the logarithm of their number."""
        return self._pick(column, 0, len(column))

    def _pick(self, column: Sequence[int], first: int, end: int) -> Wire:
        graph = self.position.graph
        changes = [k for k in range(first + 1, end) if column[k] != column[k - 1]]
        if not changes:
            return graph.constant(column[first])
        middle = changes[len(changes) // 2]
        start = self.starts[middle]
        above = self.position.reaches(start).named(f"from_{start}")
        halves = (self._pick(column, first, middle), self._pick(column, middle, end))
        return graph.select(above, halves)


@dataclass(frozen=True)
class BitTree:
    """One bit of the position after the other, from the first one on.

    For segments that are leaves of a binary tree.

    Attributes:
        position: unsigned, of `bits` bits.
        starts: first position of each segment, increasing from 0 on.
    """

    position: Wire
    starts: Sequence[int]
    bits: int

    def pick(self, column: Sequence[int]) -> Wire:
        """Muxes of constants, as deep as the tree; equal halves are not told apart."""
        return self._pick(column, 0, self.bits)

    def _pick(self, column: Sequence[int], low: int, bits: int) -> Wire:
        graph = self.position.graph
        first = bisect.bisect_right(self.starts, low) - 1
        end = bisect.bisect_left(self.starts, low + (1 << bits))
        if all(column[k] == column[first] for k in range(first + 1, end)):
            return graph.constant(column[first])
        half = 1 << (bits - 1)
        halves = (self._pick(column, low, bits - 1), self._pick(column, low + half, bits - 1))
        return graph.select(self.position.bits(bits - 1, 1), halves)


@dataclass(frozen=True)
class Memory:
    """One memory for all columns, addressed by the number of the segment, and a register.

    Attributes:
        selector: finds the number of the segment.
        columns: what is kept, side by side; each once and none of one entry only.
    """

    selector: Selector
    columns: Sequence[tuple[int, ...]]

    def pick(self, column: Sequence[int]) -> Wire:
        """The bits of the column in the word of the segment."""
        index = self.selector.pick(range(len(column))).named("segment")
        if len(set(column)) == 1:
            return index.graph.constant(column[0])
        ranges = [Range.of(kept) for kept in self.columns]
        words = [0] * len(column)
        for kept, range_ in zip(self.columns, ranges, strict=True):
            mask = (1 << range_.width) - 1
            pairs = zip(words, kept, strict=True)
            words = [word << range_.width | entry & mask for word, entry in pairs]
        word = index.graph.lookup(index, words, memory=True).register().named("parameters")
        place = self.columns.index(tuple(column))
        low = sum(range_.width for range_ in ranges[place + 1 :])
        own = ranges[place]
        field = word.bits(low, own.width, signed=own.signed)
        return field.narrow(own, "the entries of the column")


@dataclass(frozen=True)
class Recorder:
    """Picks nothing in particular, and keeps what it was asked for.

    Attributes:
        selector: picks for it.
        columns: the columns asked for, each once and none of one entry only.
    """

    selector: Selector
    columns: list[tuple[int, ...]]

    def pick(self, column: Sequence[int]) -> Wire:
        """A wire with the range of the column."""
        if len(set(column)) > 1 and tuple(column) not in self.columns:
            self.columns.append(tuple(column))
        return self.selector.pick(column)


def selected(selector: Selector, options: UnitOptions, build: Callable[[Selector], Wire]) -> Wire:
    """What `build` makes of a selector whose columns are kept where the options say.

    Args:
        build: asks any selector for the same columns; called twice for a memory, whose
            columns must be known before the first is picked.
    """
    if options.lookup == "logic":
        return build(selector)
    recorder = Recorder(selector, [])
    build(recorder)
    return build(Memory(selector, recorder.columns))
