"""What adders cost, in logic cells of a family."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from actc.targets.fpga.adders.program import AdderGraph, Program, Sum
from actc.targets.fpga.families import find_family
from actc.targets.fpga.hdl import Range

# Short adders of ECP5 are look-up tables; longer ones take a place for their first carry.
_SHORT = (0, 1, 2)


def adder_bits(program: Program, node: Sum, result: Range) -> int:
    """Bits of a sum that need an adder: those from the shift on.

    All of them where the first operand is subtracted, none where nothing overlaps.
    """
    first = program.ranges[node.first]
    if node.lead < 0:
        return result.width
    if node.sign > 0 and first.low >= 0 and first.high < 1 << node.shift:
        return 0
    return max(result.width - node.shift, 1)


@cache
def cells_of(family: str) -> Callable[[int], int]:
    """Logic cells of an adder of so many bits."""
    find_family(family)
    return _ecp5_cells if family == "ecp5" else _one_per_bit


def _ecp5_cells(bits: int) -> int:
    return _SHORT[bits] if bits < len(_SHORT) else bits + 1


def _one_per_bit(bits: int) -> int:
    return bits


def adder_cost(graph: AdderGraph, family: str = "ecp5") -> int:
    """Estimated logic cells of a graph: LUT4 and two per carry cell on ECP5.

    As mapped by :mod:`actc.targets.fpga.techmap`. What outputs add to it, a constant or a
    sign that nothing else takes, is not counted.

    Raises:
        UsageError: ACT0530, no such family.
    """
    program, cells = graph.program, cells_of(family)
    return sum(
        cells(adder_bits(program, node, program.ranges[index]))
        for index, node in enumerate(program.sums, program.inputs)
    )
