"""Which stages could share an engine, and how it could be built.

All sets of stages are too many; tried are the two stages of most weights, the three, and so on:
the memory of weights and the multipliers are what an engine saves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import gcd

import numpy as np

from actc.targets.fpga.families import Family
from actc.targets.fpga.folded.costs.area import Area, FunctionCost
from actc.targets.fpga.folded.costs.bits import StageBits, engine_bits
from actc.targets.fpga.folded.costs.clocks import turn_clocks
from actc.targets.fpga.folded.costs.engine import engine_area
from actc.targets.fpga.folded.folding import (
    STORAGES,
    Folding,
    Multiplier,
    can_share,
    divisors,
    group_clocks,
)
from actc.targets.fpga.folded.items import Integers, Item, Option, item_of, undominated
from actc.targets.fpga.folded.program import FoldedProgram, MatrixStage

MOST_SETS = 8
"""Of stages that are tried."""
NUMBER = 1
"""Of the engine; there is one."""


@dataclass(frozen=True, slots=True)
class EngineOption:
    """One way to build an engine.

    Attributes:
        folding: of its stages, but for `buffer`.
        area: what is shared.
        turns: clocks per sample of all its stages.
    """

    folding: Folding
    area: Area
    turns: int


@dataclass(frozen=True, eq=False)
class Sharing:
    """An engine to be chosen.

    Attributes:
        members: its stages, in order.
        items: what of these is not shared: two options for each shape, by `buffer`.
        options: how it can be built, those of each shape one behind the other.
    """

    members: tuple[int, ...]
    items: tuple[Item, ...]
    options: tuple[EngineOption, ...]

    @cached_property
    def intervals(self) -> set[int]:
        """All clocks per sample that it can take."""
        return {option.turns for option in self.options}

    @cached_property
    def least(self) -> int:
        """The fewest of these."""
        return min(self.intervals)

    def worthwhile(self, interval: int | None) -> list[EngineOption]:
        """Options that are fast enough, of which none is larger than another whatever else is
        chosen; two are compared if words are the same, and stages are no faster in the smaller."""
        own = [o for o in self.options if interval is None or o.turns <= interval]
        groups: dict[tuple[int, int], list[EngineOption]] = {}
        for option in own:
            groups.setdefault((option.folding.simd, option.folding.lanes), []).append(option)
        return [option for group in groups.values() for option in self._smallest(group)]

    def _smallest(self, group: list[EngineOption]) -> list[EngineOption]:
        shared = np.array([list(option.area) for option in group], np.int64)
        parts = [self._parts[_shape(option.folding)] for option in group]
        areas = np.stack([area for area, _ in parts])  # options, stages, buffers, resources
        turns = np.stack([turn for _, turn in parts])  # options, stages
        kept: list[int] = []
        for place in range(len(group)):
            more = areas[place] - areas
            least = (shared[place] - shared) + more.min(axis=2).sum(axis=1)
            worse = (least >= 0).all(axis=1) & (turns >= turns[place]).all(axis=1)
            worse[place] = False
            same = worse & (shared == shared[place]).all(axis=1) & (more == 0).all(axis=(1, 2, 3))
            same &= (turns == turns[place]).all(axis=1)
            worse[place:] &= ~same[place:]  # of equal ones the first
            if not worse.any():
                kept.append(place)
        return [group[place] for place in kept]

    @cached_property
    def _parts(self) -> dict[tuple[int, int, int], tuple[Integers, Integers]]:
        """Of each shape: areas [stages, buffers, resources], turns [stages]."""
        rows: dict[tuple[int, int, int], list[list[Option]]] = {}
        for place, item in enumerate(self.items):
            for option in item.options:
                assert option.folding is not None, "entries are on no engine"
                own = rows.setdefault(_shape(option.folding), [[] for _ in self.items])
                own[place].append(option)
        return {
            shape: (
                np.array([[list(option.area) for option in own] for own in found], np.int64),
                np.array([own[0].turns for own in found], np.int64),
            )
            for shape, found in rows.items()
        }


def _shape(folding: Folding) -> tuple[int, int, int]:
    return folding.pe, folding.simd, folding.lanes


def candidates(program: FoldedProgram) -> Iterator[tuple[int, ...]]:
    """Sets of stages that are tried, in order of their size."""
    able = [place for place, stage in enumerate(program.stages) if can_share(stage)]
    by_size = sorted(able, key=lambda place: (-_matrix(program, place).weights.size, place))
    sizes = range(2, len(able) + 1)
    if len(sizes) > MOST_SETS:
        places = np.linspace(0, len(sizes) - 1, MOST_SETS).astype(int)
        sizes_tried: Sequence[int] = [sizes[place] for place in places]
    else:
        sizes_tried = sizes
    for size in sizes_tried:
        yield tuple(sorted(by_size[:size]))


def sharing_of(
    program: FoldedProgram,
    members: Sequence[int],
    family: Family,
    functions: Mapping[str, FunctionCost],
    weight_bits: int | None = None,
) -> Sharing:
    """An engine of some stages, and what of these is not shared.

    Args:
        functions: by name of stage, what its function unit takes.
        weight_bits: as if no weight had more bits.
    """
    stages = [_matrix(program, member) for member in members]
    bits = engine_bits(stages, weight_bits)
    shapes = list(_shapes(stages))
    items = [
        item_of(
            stage,
            [Folding(*s, buffer=buffer, engine=NUMBER) for s in shapes for buffer in STORAGES],
            family,
            functions.get(stage.name, FunctionCost()),
            weight_bits,
            len(stages),
        )
        for stage in stages
    ]
    options = [option for shape in shapes for option in _options(stages, shape, family, bits)]
    return Sharing(tuple(members), tuple(items), tuple(options))


def _shapes(stages: Sequence[MatrixStage]) -> Iterator[tuple[int, int, int]]:
    """Outputs, inputs and results at a time that all stages can have."""
    outputs = gcd(*(len(stage.weights) // stage.groups for stage in stages))
    channels = gcd(*(stage.weights.shape[3] for stage in stages))
    for pe, simd in product(divisors(outputs), divisors(channels)):
        least = min(group_clocks(stage, Folding(pe, simd)) for stage in stages)
        for lanes in divisors(pe):
            if pe // lanes <= least:
                yield pe, simd, lanes


def _options(
    stages: Sequence[MatrixStage], shape: tuple[int, int, int], family: Family, bits: StageBits
) -> Iterator[EngineOption]:
    """The engines of a shape, of which none is worse than another in every way."""
    kinds: tuple[Multiplier, ...] = ("logic", "dsp") if bits.is_hard(family) else ("logic",)
    found = []
    for multiplier, weights in product(kinds, STORAGES):
        folding = Folding(*shape, multiplier, weights, engine=NUMBER)
        turns = sum(turn_clocks(stage, folding, len(stages)) for stage in stages)
        found.append(EngineOption(folding, engine_area(stages, folding, family, bits), turns))
    table = np.array([list(option.area) for option in found], np.int64)
    for place in undominated(table):
        yield found[place]


def _matrix(program: FoldedProgram, place: int) -> MatrixStage:
    stage = program.stages[place]
    assert isinstance(stage, MatrixStage), "no others can share"
    return stage
