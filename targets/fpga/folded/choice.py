"""What was chosen: the folding of every stage, and what that takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actc.targets.fpga.folded.costs.area import Area
from actc.targets.fpga.folded.costs.latency import program_latency
from actc.targets.fpga.folded.folding import Folding
from actc.targets.fpga.folded.problem import Option, Problem


@dataclass(frozen=True)
class Choice:
    """Foldings of all stages.

    Attributes:
        entry_words: elements per word of each entry.
        foldings: of each stage, in the program's order.
        areas: of each stage.
        between: area of all converters and of FIFOs between stages.
        works: clocks per sample of each stage.
        interval: clocks from one sample to the next, if nobody waits.
        latency: clocks from the first input word to the last output word; an estimate.
    """

    entry_words: tuple[int, ...]
    foldings: tuple[Folding, ...]
    areas: tuple[Area, ...]
    between: Area
    works: tuple[int, ...]
    interval: int
    latency: float

    @property
    def area(self) -> Area:
        """Of everything."""
        return sum(self.areas, self.between)


def choice_of(problem: Problem, chosen: Sequence[Option]) -> Choice:
    """What options, one for each item, come to."""
    program, entries = problem.program, len(problem.program.entries)
    transfers, between = {}, Area()
    for edge in problem.edges:
        words = chosen[edge.source].gives, chosen[edge.reader].reads
        between += edge.area(*words)
        transfers[edge.number, edge.reader - entries] = edge.clocks(*words)
    stages = chosen[entries:]
    works = [option.clocks.work for option in chosen]
    return Choice(
        tuple(option.gives for option in chosen[:entries]),
        tuple(option.folding for option in stages if option.folding is not None),
        tuple(option.area for option in stages),
        between,
        tuple(works[entries:]),
        max(*works, *transfers.values()),
        program_latency(program, works[:entries], [o.clocks for o in stages], transfers),
    )


def share(area: Area, device: Area) -> float:
    """How much of a device: shares of logic cells, block memories and multipliers, added up.

    Flip-flops lie in the sites of logic cells and only have to fit. The sum, not the largest
    share, so that what is free of any resource stays free for others.
    """
    pairs = zip(area, device, strict=True)
    weights = (1, 0, 1, 1)
    return sum(w * a / b for w, (a, b) in zip(weights, pairs, strict=True) if b)
