"""Units of piecewise-linear forms: ``y = (slope t + constant) >> shift``.

The form fixes the outputs, not the datapath. Three freedoms make it small:

- t need not be the input itself. Its low bits are enough as long as no segment with a
  slope crosses a multiple of their number, because the rest is constant in a segment
  and goes into the segment's constant.
- Any constant that leaves all outputs of a segment as they are is as good as the
  form's. Those with the most zeros at the end are taken; common zeros are not added.
- The sum is needed modulo two to the power of the output's bits and the shift.
"""

from __future__ import annotations

import numpy as np

from actc.approx.dyadic import SegmentTree
from actc.approx.signed_digits import IntegerPiecewiseLinear
from actc.targets.fpga.hdl import Range, Wire
from actc.targets.fpga.units.options import UnitOptions
from actc.targets.fpga.units.ports import delayed, position
from actc.targets.fpga.units.segments import Constants, common_zeros, narrowest_window
from actc.targets.fpga.units.selectors import BitTree, Search, Selector, Stored
from actc.targets.fpga.units.terms import Term, digit_terms, radix_4_terms

_MOST_DIGITS = 3
"""Slopes of more signed digits are recoded in radix 4."""


def integer_lines(form: IntegerPiecewiseLinear, x: Wire, options: UnitOptions) -> Wire:
    """Segments found by comparisons with the breakpoints."""
    starts = [0, *(form.breakpoints - form.input.low).tolist()]
    i = position(x, form.input)
    return _datapath(form, starts, i, Search(i, starts), options)


def segment_tree(form: SegmentTree, x: Wire, options: UnitOptions) -> Wire:
    """Leaves found by the first bits."""
    starts = form.starts.tolist()
    i = position(x, form.input)
    return _datapath(form, starts, i, BitTree(i, starts, form.input.bits), options)


def _datapath(
    form: IntegerPiecewiseLinear | SegmentTree,
    starts: list[int],
    i: Wire,
    selector: Selector,
    options: UnitOptions,
) -> Wire:
    if options.lookup == "memory":
        selector = Stored(selector)
    outputs = form.evaluate(form.input.codes())
    slopes = form.slopes.tolist()
    zeros = common_zeros(slopes, form.shift)
    window = narrowest_window(slopes, starts, form.input.bits)
    positions = np.arange(form.input.count)
    constants = Constants.of(slopes, starts, window.values(positions), outputs, form.shift)
    constants = constants.shifted(zeros)
    shift, slopes = form.shift - zeros, [slope >> zeros for slope in slopes]
    t = delayed(window.wire(i), options).named("t")
    width = Range.of(outputs.tolist()).width + shift
    parts, constants = _product(t, slopes, constants, selector, options)
    total = _sum(parts, constants.roundest(), shift, width, selector)
    return total.bits(0, width - shift, signed=bool(outputs.min() < 0)).named("value")


def _product(
    t: Wire, slopes: list[int], constants: Constants, selector: Selector, options: UnitOptions
) -> tuple[list[Wire], Constants]:
    """Wires whose sum is slope times t, but for what the constants add."""
    if options.multiplier == "multiply":
        return [t * selector.pick(slopes).named("slope")], constants
    parts = []
    for number, term in enumerate(_terms(slopes), 1):
        parts.append(term.wire(t, selector).named(f"term_{number}"))
        constants = constants.moved(term.corrections())
    return parts, constants


def _terms(slopes: list[int]) -> list[Term]:
    digits = digit_terms(slopes)
    return digits if len(digits) <= _MOST_DIGITS else radix_4_terms(slopes)


def _sum(
    parts: list[Wire], constants: list[int], shift: int, width: int, selector: Selector
) -> Wire:
    """All parts and the constants modulo 2**width, without the last `shift` bits.

    What the constants have no bits for needs no adder.
    """
    zeros = common_zeros(constants, shift)
    half = 1 << (width - 1)
    reduced = [((value + half) % (2 * half) - half) >> zeros for value in constants]
    constant = selector.pick(reduced).named("constant")
    if not parts:
        return constant >> (shift - zeros)
    total = parts[0]
    for part in parts[1:]:
        total = (total + part).bits(0, width, signed=True)
    return (((total >> zeros) + constant) >> (shift - zeros)).named("line")
