"""Logic cells of sums, tables and choices, counted wire by wire.

The cost model of units (docs/cost.md) counts truth tables over all inputs, which neither
wide accumulators nor thousands of functions allow. Lines need less: each adder takes its
bits, each table what its own truth table takes, each choice and comparison its inputs.
"""

from __future__ import annotations

import numpy as np

from actc.cost.arithmetic import select_tables, trailing_zeros
from actc.cost.cofactors import levels, supports, truth_table, without_idle_inputs
from actc.cost.demand import read_bits
from actc.targets.fpga.families import Family
from actc.targets.fpga.functions.steps import Integers, StepFunction
from actc.targets.fpga.hdl import Module, Wire
from actc.targets.fpga.hdl import operators as op

_GATE = 0.4
"""Share of a look-up table that a node with a constant half takes; measured."""
_NODE = {"ice40": 1.05, "ecp5": 1.55, "gowin": 2.5, "xc7": 0.95}
"""Look-up tables of a node of a binary decision diagram, by families; measured."""
_WHOLE = {"ice40": 4, "ecp5": 6, "gowin": 8, "xc7": 6}
"""Inputs up to which each bit is one wide look-up table, whatever it is; measured."""
_CHAINED_INPUTS = 5
_PLAIN = 0.7
"""Look-up tables of a bit of other adders on xc7, which share some with neighbours; measured."""
_SEARCH = {4: 2.0, 6: 1.4}
"""Look-up tables, by their inputs, of each threshold besides those that compare it; measured."""


def graph_cells(module: Module, family: Family) -> float:
    """Cells of all wires that the outputs need."""
    read = read_bits(module)
    return sum(_cells(wire, read[wire.index], family) for wire in module.wires())


def _cells(wire: Wire, bits: int, family: Family) -> float:
    """Cells of the lowest `bits` of a wire."""
    operator, lut = wire.operator, family.lut_inputs
    if bits <= 0:
        return 0.0
    if isinstance(operator, (op.Add, op.Subtract)):
        first, second = (trailing_zeros(operand) for operand in wire.operands)
        free = max(first, second) if isinstance(operator, op.Add) else second
        alone = _adder(max(bits - free, 0), family)
        if family.name == "xc7":
            # the look-up tables of the entries are those of the carry chain
            tables = (wire for wire in wire.operands if _small_table(wire))
            beside = sum(_cells(table, table.width, family) for table in tables)
            alone = alone - beside if beside else _PLAIN * alone
        return max(alone, 0.0)
    if isinstance(operator, op.Negate):
        return _adder(bits, family)
    if isinstance(operator, op.Lookup):
        entries = np.array(operator.values, np.int64)
        address = np.minimum(np.arange(1 << wire.operands[0].width), len(entries) - 1)
        return table_cells(entries[address], bits, family)
    if isinstance(operator, op.Select):
        return float(select_tables(wire, lut, bits))
    if isinstance(operator, op.Reaches):
        zeros = (operator.bound & -operator.bound).bit_length() - 1
        return float(-(-max(wire.operands[0].width - zeros - 1, 0) // (lut - 1)))
    return 0.0


def _small_table(wire: Wire) -> bool:
    """Whether a table and the other operand fit into a look-up table of six inputs."""
    return isinstance(wire.operator, op.Lookup) and wire.operands[0].width <= _CHAINED_INPUTS


def _adder(bits: int, family: Family) -> float:
    """A carry cell holds the look-up tables of two bits on ecp5, of one elsewhere."""
    return float(bits + bits % 2) if family.name == "ecp5" else float(bits)


def table_cells(values: Integers, bits: int, family: Family) -> float:
    """Cells of a table in logic.

    Bits of few inputs are one wide look-up table each; of others the distinct cofactors count.

    Args:
        values: int64 [2**address bits].
        bits: how many of the lowest bits of the values are read.
    """
    lut = family.lut_inputs
    table = truth_table(values, bits)
    table = np.unique(table ^ table[:, :1], axis=0)
    counts = supports(table)
    whole = (counts > 1) & (counts <= _WHOLE[family.name])
    cells = float(np.sum(2.0 ** np.maximum(counts[whole] - lut, 0)))
    rest = table[(counts > 1) & ~whole]
    if len(rest):
        for level in levels(without_idle_inputs(rest)[0]):
            if level.variables >= lut:
                nodes = level.muxes + _GATE * (level.gates + level.exclusives)
                cells += _NODE[family.name] * nodes
    return cells


def search_cells(steps: StepFunction, family: Family) -> float:
    """Cells of a search for the run of a function."""
    return threshold_cells(steps.levels.size - 1, steps.range.width, family)


def threshold_cells(thresholds: int, width: int, family: Family) -> float:
    """Cells of a search: each threshold compares the bits that neighbours do not share.

    Args:
        width: bits of what is compared.
    """
    alone = max(width - thresholds.bit_length(), 0)
    per_threshold = alone / (family.lut_inputs - 1) + _SEARCH[family.lut_inputs]
    return thresholds * per_threshold
