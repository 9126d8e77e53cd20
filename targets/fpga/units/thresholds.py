"""Units of signed steps."""

from __future__ import annotations

from actc.approx.thresholds import Thresholds
from actc.targets.fpga.hdl import Wire
from actc.targets.fpga.units.options import UnitOptions
from actc.targets.fpga.units.ports import position, table
from actc.targets.fpga.units.selectors import Search, selected

_TABLE_BITS = 8


def thresholds(form: Thresholds, x: Wire, options: UnitOptions) -> Wire:
    """The level found by a binary search, or from a table of all inputs where these are few.

    No unary code and no adder tree: at 8 bits a GELU takes 52 LUT4 as a table, 91 by
    search and 342 as a sum of comparisons.
    """
    i = position(x, form.input)
    if form.input.bits <= _TABLE_BITS:
        levels = form.evaluate(form.input.codes()).tolist()
        return table(i, levels, options).named("level")
    search = Search(i, [0, *(form.thresholds - form.input.low).tolist()])
    found = selected(search, options, lambda kept: kept.pick(form.levels.tolist()))
    return found.named("level")
