"""Units of piecewise-linear forms: ``y = (slope t + constant) >> shift``."""

from __future__ import annotations

from actc.approx.dyadic import SegmentTree
from actc.approx.signed_digits import IntegerPiecewiseLinear
from actc.targets.fpga.hdl import Wire
from actc.targets.fpga.units.datapath import Product, rounded_sum
from actc.targets.fpga.units.options import UnitOptions
from actc.targets.fpga.units.ports import delayed, position
from actc.targets.fpga.units.selectors import BitTree, Search, Selector, selected
from actc.targets.fpga.units.windows import narrowest_window


def integer_lines(form: IntegerPiecewiseLinear, x: Wire, options: UnitOptions) -> Wire:
    """Segments found by comparisons with the breakpoints."""
    starts = [0, *(form.breakpoints - form.input.low).tolist()]
    i = position(x, form.input)
    return _line(form, starts, i, Search(i, starts), options)


def segment_tree(form: SegmentTree, x: Wire, options: UnitOptions) -> Wire:
    """Leaves found by the first bits."""
    starts = form.starts.tolist()
    i = position(x, form.input)
    return _line(form, starts, i, BitTree(i, starts, form.input.bits), options)


def _line(
    form: IntegerPiecewiseLinear | SegmentTree,
    starts: list[int],
    i: Wire,
    selector: Selector,
    options: UnitOptions,
) -> Wire:
    codes = form.input.codes()
    slopes = form.slopes.tolist()
    window = narrowest_window(slopes, starts, form.input.bits)
    products = []
    if window.bits:
        t = delayed(window.wire(i), options).named("t")
        products = [Product(t, window.values(codes - form.input.low), slopes)]
    outputs = form.evaluate(codes)
    return selected(
        selector,
        options,
        lambda kept: rounded_sum(products, starts, outputs, form.shift, kept, options),
    )
