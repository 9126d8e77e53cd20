"""Cells of single wires by plain rules, before they are weighed by what synthesis really takes.

Adders are as :mod:`actc.targets.fpga.techmap` maps them; tables count by their distinct
cofactors and choices by their inputs, as in the cost model of units (docs/cost.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, singledispatch
from typing import Literal, NamedTuple, get_args

import numpy as np

from actc.cost.arithmetic import select_tables
from actc.targets.fpga.families import Family
from actc.targets.fpga.functions.count import table_cells, threshold_cells
from actc.targets.fpga.hdl import Wire
from actc.targets.fpga.hdl import operators as op

Kind = Literal["sum", "difference", "table", "choice", "gate", "compare", "product"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_SHORT = 2
"""Bits up to which an adder of ECP5 is made of look-up tables: one for each bit."""
_XILINX_PLACES = 4
"""Bits of a carry cell of the 7 series."""


class Count(NamedTuple):
    """What a wire takes: its kind, look-up tables and carry cells."""

    kind: Kind
    luts: float
    carries: int


NOTHING = Count("gate", 0.0, 0)


def count(wire: Wire, bits: int, low: bool, zeros: Mapping[int, int], family: Family) -> Count:
    """What the lowest `bits` of a wire take, by its operator alone.

    Args:
        low: whether anything reads the lowest bit itself.
        zeros: index of each wire -> bits at its end that are always 0.
    """
    if bits <= 0:
        return NOTHING
    idle = [zeros[operand.index] for operand in wire.operands]
    if isinstance(wire.operator, op.Add):
        found = chain("sum", bits - max(idle), family)
    elif isinstance(wire.operator, (op.Subtract, op.Negate)):
        found = chain("difference", bits - idle[-1], family)
    else:
        return _count(wire.operator, wire, bits, family)
    # a place whose sum nothing reads makes a carry alone
    return found if low else found._replace(luts=max(found.luts - 1, 0.0))


@singledispatch
def _count(operator: op.Operator, wire: Wire, bits: int, family: Family) -> Count:
    return NOTHING


@_count.register
def _(operator: op.Multiply, wire: Wire, bits: int, family: Family) -> Count:
    first, second = (operand.width for operand in wire.operands)
    return Count("product", float(first * second), 0)


@_count.register
def _(operator: op.Lookup, wire: Wire, bits: int, family: Family) -> Count:
    if operator.memory:
        return NOTHING
    return Count("table", _table(operator, wire.operands[0].width, bits, family), 0)


@_count.register
def _(operator: op.Select, wire: Wire, bits: int, family: Family) -> Count:
    return Count("choice", float(select_tables(wire, family.lut_inputs, bits)), 0)


@_count.register
def _(operator: op.Reaches, wire: Wire, bits: int, family: Family) -> Count:
    last = (operator.bound & -operator.bound).bit_length() - 1
    return _gate(wire.operands[0].width - last, family)


@_count.register
def _(operator: op.Logic, wire: Wire, bits: int, family: Family) -> Count:
    return _gate(2, family)


@_count.register
def _(operator: op.Compare, wire: Wire, bits: int, family: Family) -> Count:
    first, second = wire.operands
    width = first.range.hull(second.range).width
    if operator.kind in ("<", ">="):
        return chain("compare", width, family)
    constant = first.value is not None or second.value is not None
    return _gate(width if constant else 2 * width, family)


@_count.register
def _(operator: op.Saturate, wire: Wire, bits: int, family: Family) -> Count:
    compared = chain("compare", wire.operands[0].width, family)
    return compared._replace(luts=compared.luts + bits)


def chain(kind: Kind, bits: int, family: Family) -> Count:
    """A carry chain of so many bits."""
    if bits <= 0:
        return NOTHING
    if family.name == "ecp5":
        if bits <= _SHORT:
            return Count(kind, float(bits), 0)
        # a place makes the first carry; chains of even width leave a look-up table over
        return Count(kind, float(1 - bits % 2), (bits + 1) // 2)
    if family.name == "xc7":
        return Count(kind, float(bits), -(-bits // _XILINX_PLACES))
    inside = family.carry_inside
    return Count(kind, 0.0 if inside else float(bits), bits if inside else bits - 1)


def _gate(inputs: int, family: Family) -> Count:
    """An and, or or alike of some bits, as a tree of look-up tables."""
    return Count("gate", max(inputs - 1, 0) / (family.lut_inputs - 1), 0)


@lru_cache(maxsize=4096)
def _table(operator: op.Lookup, address: int, bits: int, family: Family) -> float:
    """Look-up tables of a table in logic; layers have the same ones many times."""
    entries = np.array(operator.values, np.int64)
    places = np.minimum(np.arange(1 << address), len(entries) - 1)
    values = entries[places] & ((1 << bits) - 1)
    thresholds = int(np.count_nonzero(np.diff(values)))
    return min(
        table_cells(values, bits, family),
        threshold_cells(thresholds, address, family),
    )


def trailing_zeros(wire: Wire, before: Mapping[int, int]) -> int:
    """Bits at the end of a wire that are always 0.

    Args:
        before: the same of the wires that it reads, by index.
    """
    operator = wire.operator
    idle = [before[operand.index] for operand in wire.operands]
    if isinstance(operator, op.Constant):
        value = operator.value
        return (value & -value).bit_length() - 1 if value else wire.width
    if isinstance(operator, op.ShiftLeft):
        return idle[0] + operator.amount
    if isinstance(operator, (op.Add, op.Subtract, op.Negate, op.Narrow, op.Register)):
        return min(idle)
    return 0
