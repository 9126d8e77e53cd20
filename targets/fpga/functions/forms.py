"""The forms that a function can take, each with what builds it on a wire."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from actc.approx.bipartite import BipartiteTable, fit_bipartite
from actc.approx.compressed_table import CompressedTable, compress_table
from actc.approx.dyadic import SegmentTree, fit_segment_tree
from actc.approx.fixed_point import FixedPoint
from actc.approx.gates import Gates, NoForm
from actc.approx.signed_digits import IntegerPiecewiseLinear, fit_integer_lines, widest_shift
from actc.targets.fpga.functions.domain import domain, position
from actc.targets.fpga.functions.middle import Middle
from actc.targets.fpga.functions.scaling import scalings
from actc.targets.fpga.functions.steps import Integers, StepFunction
from actc.targets.fpga.hdl import Range, Wire
from actc.targets.fpga.units.lines import integer_lines, segment_tree
from actc.targets.fpga.units.options import UnitOptions
from actc.targets.fpga.units.selectors import Search
from actc.targets.fpga.units.tables import bipartite_table, compressed_table

TABLE_BITS = 12
"""Bits of input up to which tables are written into logic."""
_SEARCH_RUNS = 600
_SMALL_BITS, _FEW_RUNS = 8, 64
"""Functions of more inputs and fewer runs are smaller as searches than as tables; measured."""
_LINES = 6
_COMPRESSED_BITS = 11
_TREE_BITS = 5
"""Bits of output from which on a slope for each segment has ever been cheapest."""
_TREE_DIGITS = (2, 3)
_SEGMENTS = 6
"""Segments that begin anywhere have been cheapest where there are up to so many."""
_SEGMENT_DIGITS = (1, 2, 3)
_BIPARTITE_INPUTS, _BIPARTITE_BITS = 7, 4
"""Bits of input and output from which on the sum of two tables saves more than a cell or two."""
_BIPARTITE_LOW_BITS = 5
"""Bits that only the second table reads: more were never cheapest, and each takes eight times
as long."""
_SMALL_TABLE = 6
"""Inputs up to which both tables are counted well one by one, larger ones as too much; measured."""
_FITTED_BITS = 12
"""Bits of input up to which the forms of :mod:`actc.approx` are fitted, by all inputs."""
_UNIT = UnitOptions()


Kind = Literal["logic", "lines", "unit"]


@dataclass(frozen=True, slots=True)
class Form:
    """One way to compute a function.

    Attributes:
        name: of the form.
        build: what computes it on a wire of the function's range.
        kind: what it costs by: "logic" by the truth table of the whole function, "lines"
            by its sums and tables, "unit" as units are (docs/cost.md).
    """

    name: str
    build: Callable[[Wire], Wire]
    kind: Kind


def forms(steps: StepFunction) -> list[Form]:
    """All forms in logic worth comparing; at least one."""
    found = list(_whole(steps))
    bits = steps.range.width
    if bits <= _FITTED_BITS:
        found += _fitted(steps)
    middle = Middle.of(steps)
    if middle is not None:
        found += [
            Form(f"{form.name} between ends", functools.partial(middle.build, form.build), "lines")
            for form in _lines(middle.inner)
        ]
    return found or [Form("search", functools.partial(search, steps), "logic")]


def table_form(steps: StepFunction) -> Form:
    """A table in logic."""
    return Form("table", functools.partial(table, steps, memory=False), "logic")


def _whole(steps: StepFunction) -> Iterator[Form]:
    """Forms that take the input as it is."""
    logic = []
    if steps.range.width <= TABLE_BITS:
        logic.append(table_form(steps))
    if steps.levels.size <= _SEARCH_RUNS:
        logic.append(Form("search", functools.partial(search, steps), "logic"))
    # both are the same truth table; synthesis makes less of the one or the other
    few = steps.range.width > _SMALL_BITS and steps.levels.size <= _FEW_RUNS
    yield from reversed(logic) if few else logic
    yield from _lines(steps)


def _lines(steps: StepFunction) -> Iterator[Form]:
    for scaling in scalings(steps, _LINES):
        name = f"lines of {scaling.factor} in {len(scaling.constants)} blocks"
        yield Form(name, scaling.build, "lines")


def _fitted(steps: StepFunction) -> Iterator[Form]:
    """Forms of :mod:`actc.approx` that give the function exactly."""
    gates = exact_gates(steps)
    inputs = steps.range.high - steps.range.low + 1
    if steps.hull.width >= _TREE_BITS:
        if 2 * steps.levels.size <= inputs:
            for digits in _TREE_DIGITS:
                tree = fit_segment_tree(gates, digits=digits).form
                yield Form(f"tree, {digits} digits", functools.partial(_tree, tree), "unit")
        yield from _segments(gates)
    if steps.range.width >= _BIPARTITE_INPUTS and steps.hull.width >= _BIPARTITE_BITS:
        yield from _two_tables(gates, steps.hull)
    if steps.range.width > _COMPRESSED_BITS:
        return
    found = compress_table(extended(steps), gates.input, gates.output)
    if found.coarse.size > 1:
        yield Form("compressed table", functools.partial(_compressed, found), "lines")


def _segments(gates: Gates) -> Iterator[Form]:
    """The fewest segments, wherever they begin, if few; their slopes of the fewest digits."""
    shift = min(gates.input.bits + 8, widest_shift(gates))
    fewest = fit_integer_lines(gates, shift=shift).form.segments
    if fewest > _SEGMENTS:
        return
    for digits in (*_SEGMENT_DIGITS, None):
        if fit_integer_lines(gates, digits=digits, shift=shift).form.segments == fewest:
            lines = fit_integer_lines(gates, digits=digits).form
            yield Form(f"{fewest} segments", functools.partial(_pieces, lines), "unit")
            return


def _two_tables(gates: Gates, values: Range) -> Iterator[Form]:
    found = fit_bipartite(gates, max_low_bits=_BIPARTITE_LOW_BITS)
    # of no width: the other table is the whole function
    if isinstance(found, NoForm) or not (found.form.initial_width and found.form.offset_width):
        return
    a, b, c = found.form.parts
    kind: Kind = "lines" if a + max(b, c) <= _SMALL_TABLE else "unit"
    yield Form("bipartite table", functools.partial(_bipartite, found.form, values), kind)


def _tree(tree: SegmentTree, x: Wire) -> Wire:
    return segment_tree(tree, x, _UNIT)


def _pieces(form: IntegerPiecewiseLinear, x: Wire) -> Wire:
    return integer_lines(form, x, _UNIT)


def _bipartite(form: BipartiteTable, values: Range, x: Wire) -> Wire:
    sums = bipartite_table(form, x, _UNIT)
    return sums.narrow(values, "all values of the function, enumerated")


def _compressed(form: CompressedTable, x: Wire) -> Wire:
    return compressed_table(form, x, _UNIT)


def exact_gates(steps: StepFunction) -> Gates:
    """Only the value at inputs of the range, anything at others."""
    whole, hull = domain(steps.range), steps.hull
    input = FixedPoint(whole.low < 0, steps.range.width, 0)
    output = FixedPoint(hull.low < 0, hull.width, 0)
    codes = input.codes()
    values = steps.evaluate(codes)
    free = (codes < steps.range.low) | (codes > steps.range.high)
    low, high = np.where(free, output.low, values), np.where(free, output.high, values)
    return Gates("function", input, output, 0.0, values.astype(np.float64), low, high)


def extended(steps: StepFunction) -> Integers:
    """Values of all inputs of as many bits; beyond the range those of its ends."""
    whole = domain(steps.range)
    return steps.evaluate(np.arange(whole.low, whole.high + 1))


def constant(steps: StepFunction, x: Wire) -> Wire:
    """The one level of a function without steps."""
    return x.graph.constant(int(steps.levels[0]))


def search(steps: StepFunction, x: Wire) -> Wire:
    """The run found by a balanced search, comparisons as ands and ors of bits."""
    low = domain(x.range).low
    starts = [0, *(steps.starts[1:] - low).tolist()]
    return Search(position(x), starts).pick(steps.levels.tolist())


def table(steps: StepFunction, x: Wire, *, memory: bool) -> Wire:
    """One lookup; beyond the range the value of its end."""
    address = position(x)
    codes = np.arange(1 << x.width) + domain(x.range).low
    return x.graph.lookup(address, steps.evaluate(codes).tolist(), memory=memory)
