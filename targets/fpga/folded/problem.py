"""What is to be chosen of a folded program: options of its stages, and what lies between.

Entries are items too: how many elements their words have is free, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import floor

from actc.targets.fpga.boards.device import Device
from actc.targets.fpga.families import Family, find_family
from actc.targets.fpga.folded.costs.area import Area, FunctionCost, converter_area, fifo_area
from actc.targets.fpga.folded.costs.clocks import transfer_clocks
from actc.targets.fpga.folded.hardware.lags import queue_elements
from actc.targets.fpga.folded.items import Item, entry_item, stage_item
from actc.targets.fpga.folded.program import FoldedProgram, Stream
from actc.targets.fpga.folded.sharing import Sharing, candidates, sharing_of

FILL = 0.9
"""Share of a device's look-up tables and flip-flops that placement and routing can use."""


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
        functions: by name of stage, what its function unit takes.
        weight_bits: as if no weight had more bits; None: as they are.
        sharing: the engine that some of the stages must be on; None: there is none.
    """

    program: FoldedProgram
    family: Family
    device: Area
    budget: Area
    items: tuple[Item, ...]
    edges: tuple[Edge, ...]
    functions: Mapping[str, FunctionCost] = field(default_factory=dict)
    weight_bits: int | None = None
    sharing: Sharing | None = None

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
        registered: bool = False,
    ) -> Problem:
        """The foldings of a program on a device.

        Args:
            functions: by name of stage, what its function unit takes; others take nothing.
            reserved: what is taken by others, as the interface.
            fill: share of the look-up tables and flip-flops that can be used.
            weight_bits: as if no weight had more bits.
            registered: words of entries come out of registers of the interface.
        """
        family = find_family(device.family)
        whole = Area(device.luts, device.ffs, device.brams, device.dsps)
        usable = (floor(fill * whole.luts), floor(fill * whole.ffs), whole.brams, whole.dsps)
        budget = Area(*(max(a - b, 0) for a, b in zip(usable, reserved, strict=True)))
        costs = functions or {}
        items = [
            *(entry_item(stream, registered=registered) for stream in program.entries),
            *(
                stage_item(stage, family, costs.get(stage.name, FunctionCost()), weight_bits)
                for stage in program.stages
            ),
        ]
        edges = tuple(_edges(program, family))
        return cls(program, family, whole, budget, tuple(items), edges, costs, weight_bits)

    @cached_property
    def variants(self) -> tuple[Problem, ...]:
        """The same with an engine for some stages: one for each set of stages that is tried."""
        if self.sharing is not None:
            return ()
        return tuple(self._sharing(members) for members in candidates(self.program))

    def _sharing(self, members: tuple[int, ...]) -> Problem:
        found = sharing_of(self.program, members, self.family, self.functions, self.weight_bits)
        first = len(self.program.entries)
        kept = list(self.items)
        for member, item in zip(members, found.items, strict=True):
            kept[first + member] = item
        return replace(self, items=tuple(kept), sharing=found)

    def is_slower(self, interval: int | None) -> bool:
        """Whether the engine alone takes longer than that, however it is built."""
        return interval is not None and self.sharing is not None and self.sharing.least > interval

    def with_budget(self, budget: Area) -> Problem:
        """The same, but for what may be taken."""
        return replace(self, budget=budget)

    def intervals(self) -> list[int]:
        """All clocks per sample that a stage or a converter can take, in order."""
        found = {int(work) for item in self.items for work in item.works}
        found |= set() if self.sharing is None else self.sharing.intervals
        for edge in self.edges:
            found |= {edge.clocks(a, b) for a in self.gives(edge) for b in self.reads(edge)}
        return sorted(found)

    def gives(self, edge: Edge) -> list[int]:
        """Elements of words that the source of an edge can give."""
        return sorted({option.gives for option in self.items[edge.source].options})

    def reads(self, edge: Edge) -> list[int]:
        """Elements of words that its reader can take."""
        return sorted({option.reads for option in self.items[edge.reader].options})


def _edges(program: FoldedProgram, family: Family) -> Iterator[Edge]:
    entries = len(program.entries)
    for number, stage in enumerate(program.stages):
        kept = queue_elements(program, number)
        for source, waiting in zip(stage.sources, kept, strict=True):
            item = -1 - source if source < 0 else entries + source
            # a tensor that is flattened has other positions, and the same elements
            stream = replace(stage.input, range=program.stream(source).range)
            yield Edge(item, entries + number, source, stream, waiting, family)
