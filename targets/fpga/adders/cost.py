"""What adders cost, in logic cells of a family."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from actc.targets.fpga.adders.program import AdderGraph, Node, Program, Sum
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
    if node.carry < 0 < node.sign and first.low >= 0 and first.high < 1 << node.shift:
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


@cache
def cells_with_carry(family: str) -> Callable[[int, int], int]:
    """Logic cells of an adder of so many bits whose carry in is a signal.

    The second number is that of bits of the shorter operand. Every chain of ECP5 has a place
    for its first carry; it is free where it had no use.
    """
    find_family(family)
    return _ecp5_cells_with_carry if family == "ecp5" else _one_more


def _ecp5_cells_with_carry(bits: int, shorter: int) -> int:
    """The last bit of an even number is a look-up table, or two if no operand is shorter."""
    return bits + 1 + (bits % 2 == 0 and shorter >= bits)


def _one_more(bits: int, shorter: int) -> int:
    return bits + 1


def adder_cost(graph: AdderGraph, family: str = "ecp5") -> int:
    """Estimated logic cells of a graph: LUT4 and two per carry cell on ECP5.

    As mapped by :mod:`actc.targets.fpga.techmap`. What outputs add to it, a constant or a
    sign that nothing else takes, is not counted.

    Raises:
        UsageError: ACT0530, no such family.
    """
    program = graph.program
    return sum(
        node_cells(program, node, program.ranges[index], family)
        for index, node in enumerate(program.sums, program.inputs)
    )


def node_cells(program: Program, node: Node, result: Range, family: str) -> int:
    """Logic cells of a node whose range is `result`."""
    if not isinstance(node, Sum):
        return 0
    bits = adder_bits(program, node, result)
    if node.carry < 0:
        return cells_of(family)(bits)
    first, second = program.ranges[node.first], program.ranges[node.second]
    return cells_with_carry(family)(bits, min(first.width - node.shift, second.width))
