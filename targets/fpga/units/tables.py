"""Units of plain, compressed and bipartite tables."""

from __future__ import annotations

from actc.approx.bipartite import BipartiteTable
from actc.approx.compressed_table import CompressedTable
from actc.approx.fixed_table import FixedTable
from actc.targets.fpga.hdl import Wire
from actc.targets.fpga.units.options import UnitOptions
from actc.targets.fpga.units.ports import position, table


def fixed_table(form: FixedTable, x: Wire, options: UnitOptions) -> Wire:
    """One lookup."""
    return table(position(x, form.input), form.values.tolist(), options).named("value")


def compressed_table(form: CompressedTable, x: Wire, options: UnitOptions) -> Wire:
    """A lookup by the first bits, scaled, plus a lookup by all bits."""
    i = position(x, form.input)
    fine = table(i, form.differences.tolist(), options).named("difference")
    if form.coarse.size == 1:
        return (int(form.coarse[0]) << form.drop) + fine + form.base
    address = i.bits(form.split, form.input.bits - form.split)
    # the base lies in the coarse table: no adder of its own, and no more bits to add
    rest = form.base & ((1 << form.drop) - 1)
    entries = [entry + (form.base >> form.drop) for entry in form.coarse.tolist()]
    coarse = table(address, entries, options).named("coarse")
    low = (coarse << form.drop) + rest
    return low + fine


def bipartite_table(form: BipartiteTable, x: Wire, options: UnitOptions) -> Wire:
    """A lookup by the parts A B plus a lookup by the parts A C, without the guard bits."""
    a, b, c = form.parts
    i = position(x, form.input)
    graph = i.graph
    entries = [entry + form.base for entry in form.initial.tolist()]
    initial = _bits_or_zero(i, c, a + b)
    both = graph.concatenate((_bits_or_zero(i, b + c, a), a), (_bits_or_zero(i, 0, c), c))
    first = table(initial, entries, options).named("initial")
    second = table(both, form.offset.tolist(), options).named("offset")
    return (first + second) >> form.guard


def _bits_or_zero(wire: Wire, low: int, count: int) -> Wire:
    return wire.bits(low, count) if count else wire.graph.constant(0)
