"""Recurrent layers: their clocks, and what they take.

A step reads all states once for each block of `pe` outputs, while totals go on, one per clock;
then, when all gates are there, the new states are made, one per clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from actc.targets.fpga.families import Family, find_family
from actc.targets.fpga.folded.functions.cells import cells_of
from actc.targets.fpga.folded.hardware.datapath import code_of, width_of
from actc.targets.fpga.folded.program import RecurrentStage
from actc.targets.fpga.folded.recurrent.elements import Elements

MATRIX_CLOCKS = 8
"""From the last state that the matrix reads to the last of its totals, besides their number."""
ELEMENT_CLOCKS = 12
"""From an operand of an element to its result."""


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
    units, outputs = stage.cell.units, stage.cell.outputs
    matrix = units * (outputs // pe) + pe + MATRIX_CLOCKS
    gates = outputs + MATRIX_CLOCKS + ELEMENT_CLOCKS
    return 1 + max(matrix, gates) + units + ELEMENT_CLOCKS


def sample_clocks(stage: RecurrentStage, pe: int) -> int:
    """Clocks of all steps of a sample, and of loading its first states."""
    return int(stage.cell.units + stage.input.positions * step_clocks(stage, pe))


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
def recurrent_weight_bits(stage: RecurrentStage) -> int:
    """Bits of a weight, as it is stored."""
    return code_of(tuple(np.unique(stage.cell.r).tolist())).width
