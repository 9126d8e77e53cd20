"""Parts of the units of fitted functions: slopes, digits, squares, products, windows, constants."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from fixed_point_units import unit
from hypothesis import given, settings
from hypothesis import strategies as st

from actc.approx.fixed_polynomial import fit_polynomial
from actc.approx.gates import NoForm
from actc.approx.slope_sets import digit_count
from actc.targets.fpga.hdl import Graph, Module, Output, Range, evaluate
from actc.targets.fpga.hdl.operators import Add
from actc.targets.fpga.units import unit_module
from actc.targets.fpga.units.arithmetic import add_at, product, square
from actc.targets.fpga.units.datapath import Constants
from actc.targets.fpga.units.terms import (
    NOTHING,
    Digit,
    Term,
    digit_terms,
    fewest_added,
    radix_4_terms,
)
from actc.targets.fpga.units.windows import Window, narrowest_window

# -- parts -------------------------------------------------------------------------------

slopes = st.lists(st.integers(-300, 300) | st.integers(-(1 << 30), 1 << 30), min_size=1, max_size=9)


@given(slopes)
@settings(max_examples=200, deadline=None)
def test_terms_sum_to_the_slopes(column: list[int]) -> None:
    def sums(terms: list[Term]) -> list[int]:
        each = [[digit.sign << digit.exponent for digit in term.digits] for term in terms]
        return [sum(values) for values in zip(*each, strict=True)] if each else [0] * len(column)

    assert sums(digit_terms(column)) == column
    assert sums(radix_4_terms(column)) == column
    assert len(digit_terms(column)) == max(map(digit_count, column))
    assert all(len(term.options) <= 4 for term in radix_4_terms(column))


some_digits = st.builds(Digit, st.sampled_from([-1, 1]), st.integers(0, 3)) | st.just(NOTHING)


@given(st.integers(1, 5).flatmap(lambda n: st.tuples(
    st.lists(some_digits, min_size=n, max_size=n),
    st.lists(st.frozensets(some_digits), min_size=n, max_size=n),
)))  # fmt: skip
def test_digits_stand_where_they_add_the_fewest_options(
    case: tuple[list[Digit], list[frozenset[Digit]]],
) -> None:
    digits, options = case

    def added(order: Sequence[Digit]) -> int:
        return sum(digit not in known for digit, known in zip(order, options, strict=True))

    found = fewest_added(digits, options)
    assert sorted(found) == sorted(digits)
    assert added(found) == min(added(order) for order in itertools.permutations(digits))


@pytest.mark.parametrize("bits", range(1, 13))
def test_squares(bits: int) -> None:
    graph = Graph()
    t = graph.input("t", Range(0, (1 << bits) - 1))
    module = Module("m", (t,), (Output("y", square(t), 2 * bits),))
    values = np.arange(1 << bits)
    assert np.array_equal(evaluate(module, {"t": values})["y"], values**2)


@given(st.integers(1, 60), st.integers(1, 60))
@settings(deadline=None)
def test_products(a: int, b: int) -> None:
    graph = Graph()
    first, second = graph.input("a", Range(0, a)), graph.input("b", Range(0, b))
    module = Module("m", (first, second), (Output("y", product(first, second), 12),))
    x, y = np.divmod(np.arange((a + 1) * (b + 1)), b + 1)
    assert np.array_equal(evaluate(module, {"a": x, "b": y})["y"], x * y)


whole_ranges = st.tuples(st.integers(-20, 20), st.integers(0, 20)).map(
    lambda pair: Range(pair[0], pair[0] + pair[1])
)


@given(whole_ranges, whole_ranges, st.integers(0, 5))
@settings(deadline=None)
def test_rows_are_added_at_their_place(a: Range, b: Range, place: int) -> None:
    graph = Graph()
    first, second = graph.input("a", a), graph.input("b", b)
    total = add_at(first, second, place)
    module = Module("m", (first, second), (Output("y", total, total.width + 1),))
    x, y = np.meshgrid(np.arange(a.low, a.high + 1), np.arange(b.low, b.high + 1))
    assert np.array_equal(evaluate(module, {"a": x, "b": y})["y"], x + (y << place))


def test_every_sum_has_a_carry_chain_of_its_own() -> None:
    """No sum is an operand of a sum as it stands: synthesis would use full adders."""
    form = fit_polynomial(unit("Tanh", 12, "faithful"), 2)
    assert not isinstance(form, NoForm)
    module = unit_module(form.form, "u")
    sums = [wire for wire in module.wires() if isinstance(wire.operator, Add)]
    assert len(sums) > 5
    for wire in sums:
        assert not any(operand in sums for operand in wire.operands)


@given(st.data(), st.integers(1, 6))
@settings(max_examples=100, deadline=None)
def test_windows_differ_from_the_position_by_a_constant(data: st.DataObject, bits: int) -> None:
    count = 1 << bits
    starts = [0, *sorted(data.draw(st.sets(st.integers(1, count - 1), max_size=4)))]
    column = data.draw(st.lists(st.integers(0, 1), min_size=len(starts), max_size=len(starts)))
    window = narrowest_window(column, starts, bits)
    t = window.values(np.arange(count))

    def serves(candidate: Window) -> bool:
        offset = candidate.values(np.arange(count)) - np.arange(count)
        pieces = zip(column, np.split(offset, starts[1:]), strict=True)
        return all(not slope or np.all(piece == piece[0]) for slope, piece in pieces)

    assert serves(window)
    fewer = window.bits - 1
    assert fewer < 0 or not (serves(Window(fewer, False)) or serves(Window(fewer, True)))
    assert t.min() >= -count
    assert t.max() < count


@given(
    st.lists(st.integers(-50, 50), min_size=4, max_size=4),
    st.lists(st.integers(-3, 3), min_size=4, max_size=4),
    st.integers(0, 4),
)
def test_constants_are_all_that_give_the_outputs(
    sums: list[int], outputs: list[int], shift: int
) -> None:
    values, wanted = np.array(sums), np.array(outputs)
    serving = [c for c in range(-400, 400) if np.all((values + c) >> shift == wanted)]
    if not serving:
        with pytest.raises(ValueError, match="no constant"):
            Constants.of(values, wanted, [0], shift)
        return
    constants = Constants.of(values, wanted, [0], shift)
    assert (constants.low, constants.high) == ([serving[0]], [serving[-1]])
    (chosen,) = constants.roundest()
    assert chosen in serving
    zeros = [c & -c if c else 1 << 60 for c in serving]
    assert (chosen & -chosen if chosen else 1 << 60) == max(zeros)
