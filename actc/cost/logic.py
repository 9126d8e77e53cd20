"""Which wires are functions that synthesis sees as truth tables, and their tables."""

from __future__ import annotations

from collections import Counter
from enum import Enum

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.hdl import Module, Wire
from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.hdl.evaluate import compute

Values = npt.NDArray[np.int64]

WIRING = (op.Bits, op.ShiftLeft, op.ShiftRight, op.Concatenate, op.Narrow)
"""Operators without logic."""


class Kind(Enum):
    """What a wire costs.

    DATA: bits of the input, perhaps inverted; nothing. LOGIC: a truth table, where it
    meets other kinds. ARITHMETIC: by operator, memories and registers included.
    """

    DATA = "data"
    LOGIC = "logic"
    ARITHMETIC = "arithmetic"


def kinds(module: Module, *, narrow: bool) -> dict[int, Kind]:
    """The kind of each wire that the outputs need, by index.

    Args:
        narrow: any function of the inputs is one look-up table, so that choices between
            words of input bits are logic like others.
    """
    found: dict[int, Kind] = {}
    for wire in module.wires():
        operands = [found[operand.index] for operand in wire.operands]
        found[wire.index] = _kind(wire, operands, narrow)
    return found


def _kind(wire: Wire, operands: list[Kind], narrow: bool) -> Kind:
    worst = Kind.DATA
    for kind in operands:
        if kind is Kind.ARITHMETIC:
            return kind
        worst = kind if kind is Kind.LOGIC else worst
    if isinstance(wire.operator, (op.Input, op.Constant, *WIRING)) or _inverts(wire):
        return worst
    if isinstance(wire.operator, op.Lookup):
        return Kind.ARITHMETIC if wire.operator.memory else Kind.LOGIC
    if isinstance(wire.operator, (op.Reaches, op.Logic)):
        return Kind.LOGIC
    if isinstance(wire.operator, op.Compare) and wire.operator.kind in ("==", "!="):
        return Kind.LOGIC
    if isinstance(wire.operator, op.Select) and (narrow or not _moves_data(wire, operands)):
        return Kind.LOGIC
    return Kind.ARITHMETIC


def _inverts(wire: Wire) -> bool:
    if isinstance(wire.operator, op.Logic):
        constant = any(operand.value is not None for operand in wire.operands)
        return wire.operator.kind == "^" and constant
    return isinstance(wire.operator, op.Invert)


def _moves_data(wire: Wire, operands: list[Kind]) -> bool:
    """Whether a selection chooses between words of input bits."""
    options = zip(wire.operands[1:], operands[1:], strict=True)
    return any(k is Kind.DATA and o.value is None and o.width > 1 for o, k in options)


def frontier(module: Module, found: dict[int, Kind]) -> list[Wire]:
    """The logic that outputs or arithmetic read, in the order of the graph."""
    read = {out.wire.index for out in module.outputs}
    for wire in module.wires():
        if found[wire.index] is Kind.ARITHMETIC:
            read |= {operand.index for operand in wire.operands}
    return [
        wire for wire in module.wires() if wire.index in read and found[wire.index] is Kind.LOGIC
    ]


def tabulate(module: Module, wanted: list[Wire]) -> dict[int, Values]:
    """Values of logic wires over all inputs, in the order of the input's bit patterns.

    Args:
        module: of one input.
        wanted: wires that depend on the input through data and logic only.
    """
    needed = _ancestors(wanted)
    readers = Counter(operand.index for wire in needed for operand in wire.operands)
    keep = {wire.index for wire in wanted}
    values: dict[int, Values] = {}
    for wire in needed:
        values[wire.index] = _compute(wire, values)
        for operand in wire.operands:
            readers[operand.index] -= 1
            if not readers[operand.index] and operand.index not in keep:
                values.pop(operand.index, None)
    return {wire.index: values[wire.index] for wire in wanted}


def patterns(x: Wire) -> Values:
    """All values of an input, in the order of its bits read as an unsigned number."""
    codes = np.arange(1 << x.width, dtype=np.int64)
    if x.signed:
        codes[len(codes) // 2 :] -= len(codes)
    return codes


def _ancestors(wanted: list[Wire]) -> list[Wire]:
    found: dict[int, Wire] = {}
    pending = list(wanted)
    while pending:
        wire = pending.pop()
        if wire.index not in found:
            found[wire.index] = wire
            pending += wire.operands
    return [found[index] for index in sorted(found)]


def _compute(wire: Wire, values: dict[int, Values]) -> Values:
    if isinstance(wire.operator, op.Input):
        return patterns(wire)
    operands = tuple(values[operand.index] for operand in wire.operands)
    if isinstance(wire.operator, op.Select) and len(operands) == 3:
        return np.where(operands[0] != 0, operands[2], operands[1])
    return np.asarray(compute(wire.operator, operands), np.int64)
