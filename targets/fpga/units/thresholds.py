"""Units of signed steps."""

from __future__ import annotations

from actc.approx.thresholds import Thresholds
from actc.targets.fpga.hdl import Wire
from actc.targets.fpga.units.options import UnitOptions
from actc.targets.fpga.units.ports import position
from actc.targets.fpga.units.selectors import Search, Selector, Stored


def thresholds(form: Thresholds, x: Wire, options: UnitOptions) -> Wire:
    """The level found by a binary search: no unary code and no adder tree."""
    starts = [0, *(form.thresholds - form.input.low).tolist()]
    selector: Selector = Search(position(x, form.input), starts)
    if options.lookup == "memory":
        selector = Stored(selector)
    return selector.pick(form.levels.tolist()).named("level")
