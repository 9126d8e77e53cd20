"""Options of stages and entries: how each can be built, and what that takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.families import Family
from actc.targets.fpga.folded.costs.area import Area, FunctionCost, stage_area
from actc.targets.fpga.folded.costs.bits import stage_bits
from actc.targets.fpga.folded.costs.clocks import Clocks, all_clocks, turn_clocks
from actc.targets.fpga.folded.folding import (
    Folding,
    entry_words,
    foldings,
    input_word,
    output_word,
)
from actc.targets.fpga.folded.hardware.terms import is_unrolled
from actc.targets.fpga.folded.program import MatrixStage, Stage, Stream

Integers = npt.NDArray[np.int64]

MOST_CONSTANTS = 1024
"""Weights of a layer up to which it may take one clock, with adders that its outputs share."""


@dataclass(frozen=True, slots=True)
class Option:
    """One way to build an item.

    Attributes:
        folding: of a stage; None for an entry.
        reads, gives: elements of its words.
        clocks, area: what it takes.
        turns: clocks per sample of an engine; 0: it is on none.
    """

    folding: Folding | None
    reads: int
    gives: int
    clocks: Clocks
    area: Area
    turns: int = 0


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
        """What others see of options: elements of words that they read and give, and outputs at
        a time of those on an engine; int64 [options, 3]."""
        return np.array([_seen(option) for option in self.options], np.int64)


def entry_item(stream: Stream, *, registered: bool = False) -> Item:
    """An entry: its words; one that waits for none, so the fastest.

    Args:
        registered: its words come out of a register with a multiplexer in front.
    """
    width = stream.range.width if registered else 0
    options = [
        Option(
            None,
            0,
            word,
            Clocks(stream.size // word, 0, 0, 0),
            Area(luts=word * width, ffs=word * width),
        )
        for word in entry_words(stream)
    ]
    return Item("", tuple(options))


def stage_item(
    stage: Stage, family: Family, function: FunctionCost, weight_bits: int | None
) -> Item:
    """A stage with multipliers of its own.

    Args:
        function: what its function unit takes.
        weight_bits: as if no weight had more bits.
    """
    hard = stage_bits(stage, weight_bits).is_hard(family)
    kept = (
        found
        for found in foldings(stage)
        if (hard or found.multiplier == "logic") and not _is_endless(stage, found)
    )
    return item_of(stage, kept, family, function, weight_bits)


def item_of(
    stage: Stage,
    choices: Iterable[Folding],
    family: Family,
    function: FunctionCost,
    weight_bits: int | None,
    sharers: int = 0,
) -> Item:
    """A stage in some foldings, but for those that are worse than others in every way.

    Of a stage on an engine, all of them.

    Args:
        function, weight_bits: as of :func:`stage_item`.
        sharers: stages on the engine.
    """
    bits = stage_bits(stage, weight_bits)
    all_foldings = list(choices)
    options = [
        Option(
            folding,
            input_word(stage, folding),
            output_word(stage, folding),
            clocks,
            stage_area(stage, folding, family, function, bits),
            turn_clocks(stage, folding, sharers) if folding.engine else 0,
        )
        for folding, clocks in zip(all_foldings, all_clocks(stage, all_foldings), strict=True)
    ]
    if any(folding.engine for folding in all_foldings):
        return Item(stage.name, tuple(options))  # engines are compared as a whole
    groups: dict[tuple[int, int], list[Option]] = {}
    for option in options:
        groups.setdefault((option.reads, option.gives), []).append(option)
    kept = [option for group in groups.values() for option in _undominated(group)]
    return Item(stage.name, tuple(kept))


def _seen(option: Option) -> tuple[int, int, int]:
    folding = option.folding
    shared = folding is not None and folding.engine > 0
    return option.reads, option.gives, folding.pe if folding is not None and shared else 0


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
