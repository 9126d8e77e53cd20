"""Which bits of each wire anything reads, and how many carry chains follow it.

Synthesis removes the others: sums are often wider than the part of them that is used.
"""

from __future__ import annotations

from collections.abc import Iterator

from actc.targets.fpga.hdl import Module, Wire
from actc.targets.fpga.hdl import operators as op

CHAINS = (op.Add, op.Subtract, op.Negate, op.Multiply, op.Saturate)
"""Operators with a carry chain."""
_BIT_BY_BIT = (
    op.Add,
    op.Subtract,
    op.Negate,
    op.Multiply,
    op.Narrow,
    op.Invert,
    op.Register,
)
"""Operators whose lowest bits depend on as many of their operands."""


def read_bits(module: Module) -> dict[int, int]:
    """How many of its lowest bits are read of each wire, by index."""
    found: dict[int, int] = {}
    for out in module.outputs:
        _raise(found, out.wire, out.width)
    for wire in reversed(module.wires()):
        for operand, bits in zip(wire.operands, _needs(wire, found[wire.index]), strict=True):
            _raise(found, operand, bits)
    return found


def _raise(found: dict[int, int], wire: Wire, bits: int) -> None:
    found[wire.index] = max(found.get(wire.index, 0), min(max(bits, 0), wire.width))


def _needs(wire: Wire, bits: int) -> Iterator[int]:
    """Lowest bits of each operand on which the lowest `bits` of a wire depend."""
    kind = wire.operator
    whole = [operand.width for operand in wire.operands]
    if isinstance(kind, _BIT_BY_BIT):
        yield from (bits for _ in whole)
    elif isinstance(kind, op.ShiftLeft):
        yield bits - kind.amount
    elif isinstance(kind, op.ShiftRight):
        yield bits + kind.amount
    elif isinstance(kind, op.Bits):
        yield bits + kind.low
    elif isinstance(kind, op.Select):
        yield whole[0]
        yield from (bits for _ in whole[1:])
    elif isinstance(kind, op.Concatenate):
        above = sum(kind.widths)
        for width in kind.widths:
            above -= width
            yield min(width, bits - above)
    else:
        yield from whole


def chains_after(module: Module) -> dict[int, int]:
    """The most carry chains on a path from each wire to an output, by index."""
    found = {out.wire.index: 0 for out in module.outputs}
    for wire in reversed(module.wires()):
        after = found[wire.index] + isinstance(wire.operator, CHAINS)
        for operand in wire.operands:
            found[operand.index] = max(found.get(operand.index, 0), after)
    return found
