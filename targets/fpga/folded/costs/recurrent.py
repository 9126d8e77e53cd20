"""Recurrent layers: their clocks, and what they take.

A step reads all states once for each block of `pe` outputs, while totals go on, one per clock;
then, when all gates are there, the new states are made, one per clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from actc.targets.fpga.families import Family, find_family
from actc.targets.fpga.folded.costs.memory import memory_blocks
from actc.targets.fpga.folded.functions.cells import cells_of
from actc.targets.fpga.folded.hardware.datapath import code_of, width_of
from actc.targets.fpga.folded.program import RecurrentStage
from actc.targets.fpga.folded.recurrent import schedule
from actc.targets.fpga.folded.recurrent.elements import Elements
from actc.targets.fpga.hdl.operators import Lookup

MATRIX_CLOCKS = 3
"""From operands of the matrix to products, at most at the clocks that boards have."""
ELEMENT_CLOCKS = 12
"""From an operand of an element to its result, at most."""


@dataclass(frozen=True, slots=True)
class RecurrentBits:
    """Widths of a recurrent layer.

    Attributes:
        operand, memory: of a state as the matrix reads it, and as it is kept.
        total, gate: of a total, and of a gate.
        parameter: of the constants of an output.
    """

    operand: int
    memory: int
    total: int
    gate: int
    parameter: int


def step_clocks(stage: RecurrentStage, pe: int) -> int:
    """Clocks of one step."""
    cell = stage.cell
    return schedule.step_clocks(cell.units, cell.gates, pe, MATRIX_CLOCKS, ELEMENT_CLOCKS)


def sample_clocks(stage: RecurrentStage, pe: int) -> int:
    """Clocks of all steps of a sample, and of loading its first states."""
    steps = stage.input.positions
    return schedule.sample_clocks(stage.cell.units, steps, step_clocks(stage, pe))


@lru_cache(maxsize=256)
def recurrent_bits(stage: RecurrentStage) -> RecurrentBits:
    """Widths of a layer's numbers."""
    cell, unit = stage.cell, Elements(stage.cell, stage.input.range, 0)
    return RecurrentBits(
        width_of(cell.operand, True),
        width_of(cell.memory, True),
        width_of(cell.total, True),
        unit.gate.width,
        unit.parameter_bits,
    )


@lru_cache(maxsize=256)
def element_cells(stage: RecurrentStage, family: Family, hard: bool) -> tuple[float, int]:
    """Logic cells and hard multipliers of the datapath behind the matrix."""
    factor = min(find_family(family.name).dsp_inputs) if hard else 0
    design = Elements(stage.cell, stage.input.range, factor).design("element")
    found = cells_of(design.module(), family.name)
    return found.logic, found.multipliers


@lru_cache(maxsize=256)
def element_memories(stage: RecurrentStage, family: Family) -> int:
    """Block memories of the tables in that datapath."""
    design = Elements(stage.cell, stage.input.range, 0).design("element")
    found = 0
    for wire in design.module().wires():
        if isinstance(wire.operator, Lookup) and wire.operator.memory:
            found += memory_blocks(wire.width, len(wire.operator.values), family)
    return found


@lru_cache(maxsize=256)
def recurrent_weight_bits(stage: RecurrentStage) -> int:
    """Bits of a weight, as it is stored."""
    return code_of(tuple(np.unique(stage.cell.r).tolist())).width
