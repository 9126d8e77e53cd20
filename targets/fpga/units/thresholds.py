"""Units of signed steps."""

from __future__ import annotations

from actc.approx.thresholds import Thresholds
from actc.targets.fpga.hdl import Wire
from actc.targets.fpga.units.options import UnitOptions
from actc.targets.fpga.units.ports import position
from actc.targets.fpga.units.selectors import Search, stored


def thresholds(form: Thresholds, x: Wire, options: UnitOptions) -> Wire:
    """The level found by a binary search: no unary code and no adder tree."""
    starts = [0, *(form.thresholds - form.input.low).tolist()]
    selector = stored(Search(position(x, form.input), starts), options)
    return selector.pick(form.levels.tolist()).named("level")
