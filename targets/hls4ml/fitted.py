"""Functions of many inputs as lines, or as the sum of two small tables.

The fits are those of :mod:`actc.approx`, asked for the function itself: lines whose floor is the
function at each input, in as few segments as there can be, and tables whose sum is it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from actc.approx.bipartite import fit_bipartite
from actc.approx.compressed_table import compress_table
from actc.approx.gates import MAX_INPUT_BITS, Gates, NoForm
from actc.approx.signed_digits import IntegerPiecewiseLinear, fit_integer_lines, widest_shift
from actc.approx.slope_sets import digit_count
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.functions.forms import exact_gates, extended
from actc.targets.fpga.hdl import Range
from actc.targets.hls4ml import costs
from actc.targets.hls4ml.evaluate import evaluate_layer
from actc.targets.hls4ml.forms import Form
from actc.targets.hls4ml.layers import Integers, hull_of

LEAST_INPUT_BITS = 10
"""Of functions that are fitted: tables of fewer inputs are small."""
MOST_OUTPUT_BITS = 24
"""Of functions that are fitted."""
LEAST_SAVED = 1.5
"""How many times smaller than the plain table two tables are, at least."""
MOST_DIGITS = 3
"""Signed powers of two that a slope is made of, at most, where shifts take a multiplier's place."""
_FEW_SEGMENTS, _MANY_SEGMENTS = 8, 256
"""Segments up to which slopes of few digits are tried, and the least shift is looked for: functions
of such slopes have few, and what tables of many segments take outweighs shorter products."""
_LOW_BITS = 6
"""Bits that only the second table reads, at most: each takes eight times as long."""
_CACHE = 256


def fitted_forms(steps: StepFunction) -> list[Form]:
    """The forms of a function that are fitted; none where it has few inputs, or too many."""
    if not LEAST_INPUT_BITS <= steps.range.width <= MAX_INPUT_BITS:
        return []
    if steps.hull.width > MOST_OUTPUT_BITS:
        return []
    return list(_fits(_Same(steps)))


class _Same:
    """A function that equals others with the same values: several layers have the same one."""

    def __init__(self, steps: StepFunction) -> None:
        self.steps, self.key = steps, steps.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.key == other.key


@lru_cache(maxsize=_CACHE)
def _fits(same: _Same) -> tuple[Form, ...]:
    steps = same.steps
    gates = exact_gates(steps)
    found = [*_lines(steps, gates), *_two_tables(steps, gates)]
    for form in found:
        check(form, steps)
    return tuple(found)


def check(form: Form, steps: StepFunction) -> None:
    """Compare a form with its function at every input.

    Raises:
        ValueError: they differ.
    """
    every = np.arange(steps.range.low, steps.range.high + 1)
    found = evaluate_layer(form.layer("form", "x", (every.size,)), every)
    if not np.array_equal(found, steps.evaluate(every)):
        raise ValueError(f"{form.name} is not the function it was fitted to")


# --- lines


def _lines(steps: StepFunction, gates: Gates) -> Iterator[Form]:
    shift = min(gates.input.bits + 8, widest_shift(gates))
    free = fit_integer_lines(gates, shift=shift).form
    if 3 * free.segments > steps.levels.size:
        return  # no smoother than its steps: a search has no products
    few = free.segments <= _MANY_SEGMENTS
    yield _multiplied(fit_integer_lines(gates).form if few else free, steps)
    if free.segments > _FEW_SEGMENTS:
        return
    for digits in range(1, MOST_DIGITS + 1):
        # slopes that want more digits give many times the segments
        if fit_integer_lines(gates, digits=digits, shift=shift).form.segments <= 2 * free.segments:
            yield _shifted(fit_integer_lines(gates, digits=digits).form, steps)
            return


def _multiplied(form: IntegerPiecewiseLinear, steps: StepFunction) -> Form:
    segments = _Segments(form, steps)
    slopes = hull_of(segments.slopes)
    cost = segments.cost + costs.memory(slopes.width << segments.depth)
    cost += costs.product(slopes.width, steps.range.width) + costs.addition(segments.width)
    return Form(
        "lines", "ActcPiecewiseLinear", cost, steps.hull,
        {**segments.attributes, "slopes": segments.slopes},
        {**segments.types, "slopes": slopes},
    )  # fmt: skip


def _shifted(form: IntegerPiecewiseLinear, steps: StepFunction) -> Form:
    segments = _Segments(form, steps)
    terms = max(max(map(digit_count, segments.slopes.tolist())), 1)
    digits = np.array([_digits(slope, terms) for slope in segments.slopes.tolist()], np.int64)
    width = hull_of(digits).width
    cost = segments.cost + costs.memory((terms * width) << segments.depth)
    for column in digits.T:
        ways = np.unique(column[column > 0] >> 1).size
        cost += costs.shift(segments.width, ways) + costs.addition(segments.width)
    return Form(
        "shifted", "ActcShiftedLines", cost, steps.hull,
        {**segments.attributes, "digits": digits, "terms": terms},
        {**segments.types, "digits": hull_of(digits).hull(Range(0, 7))},
    )  # fmt: skip


def _digits(slope: int, terms: int) -> list[int]:
    """The non-adjacent form: 0 for no digit, else 2 * (exponent + 1), and 1 for a negative one."""
    found = []
    exponent, rest = 0, slope
    while rest:
        if rest & 1:
            digit = 2 - (rest & 3)
            found.append(2 * (exponent + 1) + (digit < 0))
            rest -= digit
        exponent, rest = exponent + 1, rest >> 1
    return found + [0] * (terms - len(found))


class _Segments:
    """The segments of lines that inputs of a function reach, and what selects them.

    Attributes:
        depth: steps of the search.
        slopes, offsets: int64 [2**depth]; what is not reached is 0.
        width: bits of all that is computed on the way.
        cost: of search, offsets and the last shift.
    """

    def __init__(self, form: IntegerPiecewiseLinear, steps: StepFunction) -> None:
        inner = (form.breakpoints > steps.range.low) & (form.breakpoints <= steps.range.high)
        begins = form.breakpoints[inner]
        first = int(np.searchsorted(form.breakpoints, steps.range.low, side="right"))
        used = slice(first, first + begins.size + 1)
        self.depth = max(begins.size.bit_length(), 1)
        count = 1 << self.depth
        self.slopes, self.offsets = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.slopes[: begins.size + 1] = form.slopes[used]
        self.offsets[: begins.size + 1] = form.constants[used]
        limits = np.full(count - 1, steps.range.high + 1, np.int64)
        limits[: begins.size] = begins
        self.width = self._width(steps, np.append(steps.range.low, begins))
        self.attributes: dict[str, int | Integers] = {
            "limits": limits, "offsets": self.offsets, "depth": self.depth, "shift": form.shift,
            "width": self.width,
        }  # fmt: skip
        self.types = {"limits": hull_of(limits), "offsets": hull_of(self.offsets)}
        self.cost = costs.search(self.depth, steps.range.width)
        self.cost += costs.memory(self.types["offsets"].width << self.depth)

    def _width(self, steps: StepFunction, starts: Integers) -> int:
        """Of products and their digits, constants and sums, with one bit to spare."""
        ends = np.append(starts[1:] - 1, steps.range.high)
        # a digit is less than twice its slope
        slopes = 2 * np.abs(self.slopes[: starts.size])
        products = slopes * np.maximum(np.abs(starts), np.abs(ends))
        return int((products + np.abs(self.offsets[: starts.size])).max()).bit_length() + 2


# --- two tables


def _two_tables(steps: StepFunction, gates: Gates) -> Iterator[Form]:
    plain = (steps.range.high - steps.range.low + 1) * steps.hull.width
    found = fit_bipartite(gates, max_low_bits=_LOW_BITS)
    if not isinstance(found, NoForm):
        fit = found.form
        _, b, c = fit.parts
        cuts = {"coarse": c, "high": b + c, "low": c, "left": 0, "guard": fit.guard}
        yield from _summed(fit.initial + fit.base, fit.offset, cuts, steps, gates, plain)
    whole = compress_table(extended(steps), gates.input, gates.output)
    rest = whole.base & ((1 << whole.drop) - 1)
    coarse = whole.coarse + (whole.base >> whole.drop)
    bits = gates.input.bits
    cuts = {"coarse": whole.split, "high": bits, "low": bits, "left": whole.drop, "guard": 0}
    yield from _summed(coarse, whole.differences + rest, cuts, steps, gates, plain)


def _summed(
    initial: Integers,
    offset: Integers,
    cuts: dict[str, int],
    steps: StepFunction,
    gates: Gates,
    plain: int,
) -> Iterator[Form]:
    """The sum of two tables, if it saves enough.

    Args:
        cuts: where inputs are cut and results shifted, see `library/actc_bipartite.h`.
        plain: bits of the plain table.
    """
    types = {"initial": hull_of(initial), "offset": hull_of(offset)}
    bits = initial.size * types["initial"].width + offset.size * types["offset"].width
    if LEAST_SAVED * bits > plain:
        return
    large = Range(types["initial"].low << cuts["left"], types["initial"].high << cuts["left"])
    sums = Range(large.low + types["offset"].low, large.high + types["offset"].high)
    width = sums.hull(large).hull(types["initial"]).width + 1
    yield Form(
        "bipartite", "ActcBipartite", costs.memory(bits) + costs.addition(width), steps.hull,
        {
            "initial": initial, "offset": offset, "first": gates.input.low, "width": width,
            "initials": initial.size, "offsets": offset.size, **cuts,
        },
        types,
    )  # fmt: skip
