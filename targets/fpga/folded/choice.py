"""What was chosen: the folding of every stage, and what that takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from actc.targets.fpga.folded.costs.area import Area
from actc.targets.fpga.folded.costs.latency import program_latency
from actc.targets.fpga.folded.folding import Folding
from actc.targets.fpga.folded.items import Option
from actc.targets.fpga.folded.problem import Problem
from actc.targets.fpga.folded.sharing import EngineOption


@dataclass(frozen=True)
class Choice:
    """Foldings of all stages.

    Attributes:
        entry_words: elements per word of each entry.
        foldings: of each stage, in the program's order.
        areas: of each stage, but for what it shares.
        between: area of all converters, of FIFOs between stages and of the words of entries.
        works: clocks per sample of each stage.
        engine: area of what stages share.
        turns: clocks per sample of the engine; 0: there is none.
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
    engine: Area = field(default_factory=Area)
    turns: int = 0

    @property
    def area(self) -> Area:
        """Of everything."""
        return sum(self.areas, self.between + self.engine)


def choice_of(
    problem: Problem, chosen: Sequence[Option], engine: EngineOption | None = None
) -> Choice:
    """What options, one for each item, and an engine come to."""
    program, entries = problem.program, len(problem.program.entries)
    transfers = {}
    between = sum((option.area for option in chosen[:entries]), Area())
    for edge in problem.edges:
        words = chosen[edge.source].gives, chosen[edge.reader].reads
        between += edge.area(*words)
        transfers[edge.number, edge.reader - entries] = edge.clocks(*words)
    stages = chosen[entries:]
    works = [option.clocks.work for option in chosen]
    turns = 0 if engine is None else engine.turns
    latency = program_latency(
        program,
        works[:entries],
        [option.clocks for option in stages],
        transfers,
        [option.turns for option in stages],
    )
    return Choice(
        tuple(option.gives for option in chosen[:entries]),
        tuple(_folding(option.folding, engine) for option in stages if option.folding is not None),
        tuple(option.area for option in stages),
        between,
        tuple(works[entries:]),
        max(*works, *transfers.values(), turns),
        latency,
        Area() if engine is None else engine.area,
        turns,
    )


def _folding(own: Folding, engine: EngineOption | None) -> Folding:
    """Of a stage; where it shares, with what the engine decides."""
    if not own.engine or engine is None:
        return own
    return replace(engine.folding, buffer=own.buffer)


def share(area: Area, device: Area) -> float:
    """How much of a device: shares of logic cells, block memories and multipliers, added up.

    Flip-flops lie in the sites of logic cells and only have to fit. The sum, not the largest
    share, so that what is free of any resource stays free for others.
    """
    pairs = zip(area, device, strict=True)
    weights = (1, 0, 1, 1)
    return sum(w * a / b for w, (a, b) in zip(weights, pairs, strict=True) if b)
