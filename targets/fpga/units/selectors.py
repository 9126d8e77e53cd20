"""Segment parameters by the position of the input: balanced searches, never chains.

A selector turns columns of constants, one entry per segment, into wires. Parameters
that are equal over neighbouring segments need no decision between them.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from actc.targets.fpga.hdl import Wire
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
class Stored:
    """Memories addressed by the number of the segment, with a register behind them.

    Attributes:
        selector: finds the number of the segment.
    """

    selector: Selector

    def pick(self, column: Sequence[int]) -> Wire:
        """An initialized memory."""
        index = self.selector.pick(range(len(column))).named("segment")
        entry = index.graph.lookup(index, column, memory=True)
        return entry if entry.value is not None else entry.register()


def stored(selector: Selector, options: UnitOptions) -> Selector:
    """The selector, its columns kept where the options say."""
    return Stored(selector) if options.lookup == "memory" else selector
