"""Functions whose tables lie in block memories: the ways to do it, and what they save."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from actc.cost.model import blocks
from actc.targets.fpga.families import Family, find_family
from actc.targets.fpga.functions.apply import groupings
from actc.targets.fpga.functions.choose import build, choose, logic_cells, narrow
from actc.targets.fpga.functions.forms import table
from actc.targets.fpga.functions.options import FunctionOptions
from actc.targets.fpga.functions.stages import Stage
from actc.targets.fpga.functions.steps import StepFunction
from actc.targets.fpga.hdl import Range, Wire

MEMORY_BITS = 13
"""Bits of input up to which tables are kept in block memories: 8,192 words."""
MEMORY_WIDTH = 18
"""Bits of values up to which they are: wider memories of ECP5 have no model to evaluate."""


@dataclass(frozen=True, eq=False, slots=True)
class Way:
    """Functions one after the other, some of them as tables in block memories.

    Attributes:
        functions: in order, with whether each is such a table.
        blocks: block memories that they take.
        saved: logic cells by which the others take less than the same in logic alone.
    """

    functions: tuple[tuple[StepFunction, bool], ...]
    blocks: int
    saved: int

    @property
    def saved_by_each(self) -> float:
        """Logic cells that each block memory saves."""
        return self.saved / self.blocks

    def build(self, x: Wire, options: FunctionOptions) -> Wire:
        """What computes it on a wire; a register has to follow each table."""
        for steps, stored in self.functions:
            if stored:
                y = table(steps, x, memory=True)
                x = y.narrow(steps.hull, "all values of the function, enumerated")
            else:
                x = build(steps, x, options)
        return x


def best_way(range: Range, stages: Sequence[Stage], options: FunctionOptions) -> Way | None:
    """The way of which each block memory saves most; None if none saves anything.

    Args:
        range: of what the first stage reads.
        stages: as for :func:`~.apply.composite`.
    """
    if narrow(range, options):
        return None
    family = find_family(options.family)
    found = [
        (cells, functions)
        for group in groupings(range, stages)
        for cells, functions in _ways(group, options)
    ]
    alone = min(cells for cells, functions in found if not any(stored for _, stored in functions))
    ways = [
        Way(functions, count, alone - cells)
        for cells, functions in found
        if (count := sum(_blocks(steps, family) for steps, stored in functions if stored))
    ]
    return _best(ways)


def table_way(steps: StepFunction, options: FunctionOptions) -> Way | None:
    """The same for a function that is built as a table in any case."""
    if not storable(steps, options):
        return None
    family = find_family(options.family)
    return _best([Way(((steps, True),), _blocks(steps, family), round(logic_cells(steps, family)))])


def storable(steps: StepFunction, options: FunctionOptions) -> bool:
    """Whether a function is one for a block memory: neither trivial nor of too many bits."""
    fits = steps.range.width <= MEMORY_BITS and steps.hull.width <= MEMORY_WIDTH
    return fits and steps.levels.size > 1 and not narrow(steps.range, options)


def _best(ways: list[Way]) -> Way | None:
    saving = [way for way in ways if way.saved > 0]
    return max(saving, key=lambda way: way.saved_by_each, default=None)


def _ways(
    functions: Sequence[StepFunction], options: FunctionOptions
) -> Iterator[tuple[int, tuple[tuple[StepFunction, bool], ...]]]:
    """Each choice of tables in block memories, with the cells of the other functions."""
    possible = [(False, True) if storable(steps, options) else (False,) for steps in functions]
    cells = [choose(steps, options).cost for steps in functions]
    for stored in product(*possible):
        rest = sum(cost for cost, kept in zip(cells, stored, strict=True) if not kept)
        yield rest, tuple(zip(functions, stored, strict=True))


def _blocks(steps: StepFunction, family: Family) -> int:
    return blocks((steps.range.width, steps.hull.width), family)
