"""Fixed-point forms as programs, checked against the form at every input code."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from actc.approx.bipartite import BipartiteTable
from actc.approx.compressed_table import CompressedTable
from actc.approx.dyadic import SegmentTree
from actc.approx.fixed_point import Codes
from actc.approx.fixed_polynomial import IntegerPolynomial
from actc.approx.fixed_table import FixedTable
from actc.approx.gates import MAX_INPUT_BITS, FixedForm
from actc.approx.signed_digits import IntegerPiecewiseLinear
from actc.approx.thresholds import Thresholds
from actc.diagnostics import Diagnostic
from actc.emitters.program import Builder, Operand, Program, Value
from actc.errors import InternalError, UsageError

_DIRECT_ENTRIES = 64
_ENTRIES_PER_LEAF = 8
"""A tree of so many entries (in all, or per leaf) finds its leaf by one bit slice."""


def lower(form: FixedForm) -> Program:
    """The program of a form; equal to its `evaluate` at every input code.

    Raises:
        UsageError: ACT0370, there are no programs of this form; ACT0371, an output
            leaves the output format, or the input has more than 16 bits.
        InternalError: ACT0901, form and program differ.
    """
    if form.input.bits > MAX_INPUT_BITS:
        raise UsageError(_not_checkable(f"{form.input} has too many codes to check each"))
    builder = Builder(form.input, form.output)
    program, outputs = builder.finish(_result(form, builder))
    if not np.array_equal(outputs, form.evaluate(form.input.codes())):
        raise InternalError(
            Diagnostic("ACT0901", f"the program of a {type(form).__name__} computes something else")
        )
    if outputs.min() < form.output.low or outputs.max() > form.output.high:
        raise UsageError(_not_checkable(f"an output code is not one of {form.output}"))
    return program


@singledispatch
def _result(form: FixedForm, builder: Builder) -> Operand:
    raise UsageError(
        Diagnostic(
            "ACT0370",
            f"no code can be written for a {type(form).__name__}",
            help="fit one of the fixed-point forms of actc",
        )
    )


def _index(builder: Builder) -> Operand:
    """i = x - lowest code."""
    return builder.apply("index", "add", builder.x, -builder.input.low)


@_result.register
def _fixed_table(form: FixedTable, builder: Builder) -> Operand:
    return builder.lookup("result", "table", form.values, _index(builder))


@_result.register
def _thresholds(form: Thresholds, builder: Builder) -> Operand:
    level = builder.rank("level", "thresholds", form.thresholds, builder.x)
    return builder.lookup("result", "levels", form.levels, level)


@_result.register
def _piecewise_linear(form: IntegerPiecewiseLinear, builder: Builder) -> Operand:
    segment = builder.rank("segment", "breakpoints", form.breakpoints, builder.x)
    slope = builder.lookup("slope", "slopes", form.slopes, segment)
    constant = builder.lookup("constant", "constants", form.constants, segment)
    return _line(builder, slope, builder.x, constant, form.shift)


def _line(b: Builder, slope: Operand, x: Operand, constant: Operand, shift: int) -> Operand:
    product = b.apply("product", "multiply", x, slope)
    total = b.apply("total", "add", product, constant)
    return b.apply("result", "right", total, shift)


@_result.register
def _segment_tree(form: SegmentTree, builder: Builder) -> Operand:
    leaf, rest = _leaf(builder, form.depths)
    slope = builder.lookup("slope", "slopes", form.slopes, leaf)
    constant = builder.lookup("constant", "constants", form.constants, leaf)
    return _line(builder, slope, rest, constant, form.shift)


@_result.register
def _polynomial(form: IntegerPolynomial, builder: Builder) -> Operand:
    leaf, rest = _leaf(builder, form.depths)
    columns = list(form.coefficients.T)
    total = builder.lookup("constant", "constants", columns[0], leaf)
    power = rest
    for degree, column in enumerate(columns[1:], 1):
        used = power
        if degree > 1:
            power = builder.apply(f"power_{degree}", "multiply", power, rest)
            used = builder.apply(f"u_{degree}", "right", power, form.truncations[degree - 2])
        factor = builder.lookup(f"a_{degree}", f"coefficients_{degree}", column, leaf)
        term = builder.apply(f"term_{degree}", "multiply", used, factor)
        total = builder.apply(f"sum_{degree}", "add", total, term)
    return builder.apply("result", "right", total, form.shift)


def _leaf(builder: Builder, depths: Codes) -> tuple[Operand, Operand]:
    """The leaf of the input, and its position in the leaf."""
    bits, deepest = builder.input.bits, int(depths.max())
    index = _index(builder)
    if deepest == 0:
        return 0, index
    entries = 1 << deepest
    if entries <= max(_DIRECT_ENTRIES, _ENTRIES_PER_LEAF * depths.size):
        first = builder.apply("slice", "right", index, bits - deepest)
        leaves = np.repeat(np.arange(depths.size), entries >> depths)
        # of equal depths, the slice is the leaf
        leaf = first if entries == depths.size else builder.lookup("leaf", "leaves", leaves, first)
    else:
        assert isinstance(index, Value)
        sizes = builder.input.count >> depths
        leaf = builder.rank("leaf", "starts", np.cumsum(sizes)[:-1], index)
    masks = (builder.input.count >> depths) - 1
    mask = builder.lookup("mask", "masks", masks, leaf)
    return leaf, builder.apply("rest", "and", index, mask)


@_result.register
def _compressed_table(form: CompressedTable, builder: Builder) -> Operand:
    index = _index(builder)
    block = builder.apply("block", "right", index, form.split)
    coarse = builder.lookup("coarse", "coarse_table", form.coarse, block)
    high = builder.apply("high", "left", coarse, form.drop)
    low = builder.lookup("difference", "differences", form.differences, index)
    total = builder.apply("total", "add", low, high)
    return builder.apply("result", "add", total, form.base)


@_result.register
def _bipartite_table(form: BipartiteTable, builder: Builder) -> Operand:
    _, b, c = form.parts
    index = _index(builder)
    first = builder.apply("first", "right", index, c)
    initial = builder.lookup("initial", "initial_values", form.initial, first)
    coarse = builder.apply("coarse", "right", index, b + c)
    shifted = builder.apply("coarse_bits", "left", coarse, c)
    last = builder.apply("last", "and", index, (1 << c) - 1)
    place = builder.apply("place", "add", last, shifted)
    offset = builder.lookup("offset", "offsets", form.offset, place)
    total = builder.apply("both", "add", initial, offset)
    total = builder.apply("total", "add", total, form.base)
    return builder.apply("result", "right", total, form.guard)


def _not_checkable(reason: str) -> Diagnostic:
    return Diagnostic(
        "ACT0371",
        f"the code of this form could not be checked: {reason}",
        help="use a form as the fitters give it",
    )
