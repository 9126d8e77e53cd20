"""What is to be chosen of a folded program: options of its stages, and what lies between.

Entries are items too: how many elements their words have is free, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import floor

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.boards.device import Device
from actc.targets.fpga.families import Family, find_family
from actc.targets.fpga.folded.costs.area import (
    Area,
    FunctionCost,
    converter_area,
    fifo_area,
    stage_area,
)
from actc.targets.fpga.folded.costs.bits import stage_bits
from actc.targets.fpga.folded.costs.clocks import (
    Clocks,
    all_clocks,
    transfer_clocks,
)
from actc.targets.fpga.folded.folding import (
    Folding,
    entry_words,
    foldings,
    input_word,
    output_word,
)
from actc.targets.fpga.folded.hardware.lags import queue_elements
from actc.targets.fpga.folded.hardware.terms import is_unrolled
from actc.targets.fpga.folded.program import FoldedProgram, MatrixStage, Stage, Stream

Integers = npt.NDArray[np.int64]

MOST_CONSTANTS = 1024
"""Weights of a layer up to which it may take one clock, with adders that its outputs share."""
FILL = 0.9
"""Share of a device's look-up tables and flip-flops that placement and routing can use."""


@dataclass(frozen=True, slots=True)
class Option:
    """One way to build an item.

    Attributes:
        folding: of a stage; None for an entry.
        reads, gives: elements of its words.
        clocks, area: what it takes.
    """

    folding: Folding | None
    reads: int
    gives: int
    clocks: Clocks
    area: Area


@dataclass(frozen=True, eq=False)
class Item:
    """An entry or a stage.

    Attributes:
        name: of the stage; "" for an entry.
        options: none of which is worse than another one in every way.
    """

    name: str
    options: tuple[Option, ...]

    @cached_property
    def areas(self) -> Integers:
        """Of options; int64 [options, 4]."""
        return np.array([list(option.area) for option in self.options], np.int64)

    @cached_property
    def works(self) -> Integers:
        """Clocks per sample of options; int64 [options]."""
        return np.array([option.clocks.work for option in self.options], np.int64)

    @cached_property
    def words(self) -> Integers:
        """Elements of words that options read and give; int64 [options, 2]."""
        return np.array([[option.reads, option.gives] for option in self.options], np.int64)


@dataclass(frozen=True, eq=False)
class Edge:
    """What lies between a source and the stage that reads it: converter and FIFO.

    Attributes:
        source, reader: items.
        number: of the source in the program.
        stream: that is read.
        waiting: elements that a FIFO must hold, since another source of the reader is later.
        family: whose area counts.
    """

    source: int
    reader: int
    number: int
    stream: Stream
    waiting: int
    family: Family

    def area(self, gives: int, reads: int) -> Area:
        """Of both, between words of so many elements; what waits has the source's words."""
        width = self.stream.range.width
        found = converter_area(gives, reads, width, self.family)
        if self.waiting:
            found += fifo_area(self.waiting, gives, width, self.family)
        return found

    def clocks(self, gives: int, reads: int) -> int:
        """Per sample."""
        return transfer_clocks(self.stream, gives, reads)


@dataclass(frozen=True, eq=False)
class Problem:
    """Foldings to be chosen.

    Attributes:
        program: what is folded.
        family: of FPGAs.
        device: what the whole device has.
        budget: what may be taken.
        items: entries, then stages.
        edges: between them.
    """

    program: FoldedProgram
    family: Family
    device: Area
    budget: Area
    items: tuple[Item, ...]
    edges: tuple[Edge, ...]

    @classmethod
    def of(
        cls,
        program: FoldedProgram,
        device: Device,
        functions: Mapping[str, FunctionCost] | None = None,
        *,
        reserved: Area = Area(),  # noqa: B008 (frozen)
        fill: float = FILL,
        weight_bits: int | None = None,
    ) -> Problem:
        """The foldings of a program on a device.

        Args:
            functions: by name of stage, what its function unit takes; others take nothing.
            reserved: what is taken by others, as the interface.
            fill: share of the look-up tables and flip-flops that can be used.
            weight_bits: as if no weight had more bits.
        """
        family = find_family(device.family)
        whole = Area(device.luts, device.ffs, device.brams, device.dsps)
        usable = (floor(fill * whole.luts), floor(fill * whole.ffs), whole.brams, whole.dsps)
        budget = Area(*(max(a - b, 0) for a, b in zip(usable, reserved, strict=True)))
        costs = functions or {}
        items = [
            *(_entry(stream) for stream in program.entries),
            *(
                _item(stage, family, costs.get(stage.name, FunctionCost()), weight_bits)
                for stage in program.stages
            ),
        ]
        return cls(program, family, whole, budget, tuple(items), tuple(_edges(program, family)))

    def with_budget(self, budget: Area) -> Problem:
        """The same, but for what may be taken."""
        return replace(self, budget=budget)

    def intervals(self) -> list[int]:
        """All clocks per sample that a stage or a converter can take, in order."""
        found = {int(work) for item in self.items for work in item.works}
        for edge in self.edges:
            found |= {edge.clocks(a, b) for a in self.gives(edge) for b in self.reads(edge)}
        return sorted(found)

    def gives(self, edge: Edge) -> list[int]:
        """Elements of words that the source of an edge can give."""
        return sorted({option.gives for option in self.items[edge.source].options})

    def reads(self, edge: Edge) -> list[int]:
        """Elements of words that its reader can take."""
        return sorted({option.reads for option in self.items[edge.reader].options})


def _entry(stream: Stream) -> Item:
    """Words of an entry; one that waits for none, so the fastest."""
    words = entry_words(stream)
    options = [
        Option(None, 0, word, Clocks(stream.size // word, 0, 0, 0), Area()) for word in words
    ]
    return Item("", tuple(options))


def _item(stage: Stage, family: Family, function: FunctionCost, weight_bits: int | None) -> Item:
    bits = stage_bits(stage, weight_bits)
    hard = bits.is_hard(family)
    all_foldings = [
        found
        for found in foldings(stage)
        if (hard or found.multiplier == "logic") and not _is_endless(stage, found)
    ]
    options = [
        Option(
            folding,
            input_word(stage, folding),
            output_word(stage, folding),
            clocks,
            stage_area(stage, folding, family, function, bits),
        )
        for folding, clocks in zip(all_foldings, all_clocks(stage, all_foldings), strict=True)
    ]
    by_words: dict[tuple[int, int], list[Option]] = {}
    for option in options:
        by_words.setdefault((option.reads, option.gives), []).append(option)
    kept = [option for group in by_words.values() for option in _undominated(group)]
    return Item(stage.name, tuple(kept))


def _is_endless(stage: Stage, folding: Folding) -> bool:
    """Whether adders would be shared among more constant weights than a search can take."""
    if not isinstance(stage, MatrixStage) or not is_unrolled(stage, folding):
        return False
    return stage.weights.size > MOST_CONSTANTS


def _undominated(options: list[Option]) -> list[Option]:
    table = np.array(
        [[*o.area, o.clocks.work, o.clocks.first, o.clocks.rest, o.clocks.last] for o in options]
    )
    return [options[place] for place in undominated(table)]


def undominated(table: npt.NDArray[np.int64]) -> list[int]:
    """Rows that no other row is at most as large as in every column; of equal ones the first."""
    below = (table[:, None, :] <= table[None, :, :]).all(axis=2)
    equal = below & below.T
    earlier = np.tri(len(table), k=-1, dtype=bool).T  # [a, b]: a is before b
    worse = (below & ~equal) | (equal & earlier)
    return [int(place) for place in np.flatnonzero(~worse.any(axis=0))]


def _edges(program: FoldedProgram, family: Family) -> Iterator[Edge]:
    entries = len(program.entries)
    for number, stage in enumerate(program.stages):
        kept = queue_elements(program, number)
        for source, waiting in zip(stage.sources, kept, strict=True):
            item = -1 - source if source < 0 else entries + source
            # a tensor that is flattened has other positions, and the same elements
            stream = replace(stage.input, range=program.stream(source).range)
            yield Edge(item, entries + number, source, stream, waiting, family)
