"""Logic cells of a lane, counted wire by wire."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from actc.cost.demand import read_bits
from actc.cost.model import blocks
from actc.targets.fpga.estimate.counts import count, trailing_zeros
from actc.targets.fpga.families import FAMILIES, SYNTHESIZED, Family, find_family
from actc.targets.fpga.hdl import Module, Wire
from actc.targets.fpga.hdl import operators as op

_ABSORBING = ("ecp5", "xc7")
"""Families whose carry chains take in a gate in front of one operand."""


@dataclass(frozen=True, slots=True)
class Cells:
    """What a lane takes.

    Attributes:
        logic: logic cells.
        multipliers: hard multipliers.
        memories: block memories.
    """

    logic: float
    multipliers: int
    memories: int


def counted_as(family: str) -> Family:
    """The family whose rules count: UltraScale+ has the look-up tables of 7 series."""
    return FAMILIES.get(find_family(family, SYNTHESIZED).name, FAMILIES["xc7"])


def cells_of(module: Module, family: str) -> Cells:
    """Cells of all wires that the outputs need."""
    kind = counted_as(family)
    read = read_bits(module)
    zeros: dict[int, int] = {}
    logic, multipliers, memories = 0.0, 0, 0
    sites = max(cell.sites for cell in kind.cells if cell.role == "carry")
    for wire in module.wires():
        zeros[wire.index] = trailing_zeros(wire, zeros)
        if isinstance(wire.operator, op.Multiply):
            multipliers += _multipliers(wire, kind)
        elif isinstance(wire.operator, op.Lookup) and wire.operator.memory:
            memories += blocks((wire.operands[0].width, wire.width), kind)
        elif not (kind.name in _ABSORBING and _gate(wire)):
            found = count(wire, read[wire.index], True, zeros, kind)
            logic += found.luts + found.carries * sites
    return Cells(logic, multipliers, memories)


def _multipliers(wire: Wire, family: Family) -> int:
    """Hard multipliers of a product: as many as cover both operands."""
    # an unsigned operand of a signed product takes one bit more
    signed = any(operand.signed for operand in wire.operands)
    sizes = [operand.width + int(signed and not operand.signed) for operand in wire.operands]
    pairs = zip(sorted(sizes), sorted(family.dsp_inputs), strict=True)
    return prod(-(-size // most) for size, most in pairs)


def _gate(wire: Wire) -> bool:
    """Whether a choice is one between a wire and its inverse, or nothing."""
    if not isinstance(wire.operator, op.Select) or len(wire.operands) != 3:
        return False
    _, first, second = wire.operands
    if first.value == 0:
        return True
    pair = (first, second) if isinstance(first.operator, op.Invert) else (second, first)
    return isinstance(pair[0].operator, op.Invert) and pair[0].operands[0] is pair[1]
