"""Integer functions as hardware: every input gives the value of the function."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pytest
from function_cases import inputs, on_all, specified
from hypothesis import given, settings
from hypothesis import strategies as st
from installed import needs_iverilog, needs_yosys

from actc.approx.fixed_point import FixedPoint
from actc.errors import UsageError
from actc.targets.fpga.functions import (
    FunctionOptions,
    Requantization,
    StepFunction,
    composite,
    integer_function,
    preferred_offset,
    requantize,
    softmax_terms,
    table_stage,
)
from actc.targets.fpga.functions.choose import choices, choose
from actc.targets.fpga.functions.forms import table
from actc.targets.fpga.functions.middle import Middle
from actc.targets.fpga.functions.multiples import (
    adders_of,
)
from actc.targets.fpga.functions.scaling import scalings
from actc.targets.fpga.hdl import Graph, Module, Output, Range, evaluate, write_verilog
from actc.targets.fpga.simulation import simulate_unit
from actc.targets.fpga.synthesis import Source, synthesize_all

Integers = npt.NDArray[np.int64]


def check(range: Range, values: Integers) -> None:
    """Every form of the function, and the chosen one, give its values and their hull."""
    steps = StepFunction.of(range, values)
    options = FunctionOptions("ice40")
    for choice in choices(steps, options):
        _, found = on_all(range, choice.form.build)
        np.testing.assert_array_equal(found, values, choice.form.name)
    y, found = on_all(range, lambda x: integer_function(x, values, options))
    np.testing.assert_array_equal(found, values)
    assert y.range == Range.of(values.tolist())


RANGES = [
    Range(0, 0),
    Range(-1, -1),
    Range(5, 5),
    Range(0, 1),
    Range(-1, 0),
    Range(-1, 1),
    Range(3, 9),
    Range(-9, -3),
    Range(0, 255),
    Range(-128, 127),
    Range(-77, 300),
    Range(900, 1500),
]


@pytest.mark.parametrize("range", RANGES, ids=str)
@pytest.mark.parametrize("kind", ["random", "monotone", "falling", "constant", "line", "signed"])
def test_functions_have_their_values_on_every_input(range: Range, kind: str) -> None:
    x = inputs(range)
    rng = np.random.default_rng(len(x))
    values = {
        "random": rng.integers(0, 16, len(x)),
        "monotone": np.sort(rng.integers(0, 16, len(x))),
        "falling": -np.sort(rng.integers(-3, 9, len(x))),
        "constant": np.full(len(x), 7),
        "line": np.clip((x * 37 + 90) >> 7, -4, 11),
        "signed": np.clip((x * -53 + 90) >> 6, -8, 7),
    }[kind]
    check(range, values.astype(np.int64))


@settings(max_examples=25, deadline=None)
@given(
    low=st.integers(-600, 600),
    count=st.integers(1, 500),
    levels=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
)
def test_random_steps(low: int, count: int, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges = np.sort(rng.integers(0, count, levels))
    values = rng.integers(-20, 20, levels + 1)[np.searchsorted(edges, np.arange(count), "right")]
    check(Range(low, low + count - 1), values)


def requantizations(count: int) -> Iterator[tuple[Range, Requantization]]:
    rng = np.random.default_rng(5)
    for _ in range(count):
        bits, outputs = int(rng.integers(2, 13)), int(rng.integers(1, 9))
        middle = int(rng.integers(-(1 << bits), 1 << bits))
        low, high = middle - int(rng.integers(1 << bits)), middle + int(rng.integers(1 << bits))
        shift = int(rng.integers(1, 44))
        # slopes from far below to far above one level per input
        scale = float(rng.uniform(-bits - 2, 3))
        multiplier = min(int(2.0 ** (shift + scale)), 2**31 - 1)
        zero = int(rng.integers(1 << outputs))
        first, last = sorted(rng.integers(0, 1 << outputs, 2).tolist())
        yield Range(low, high), Requantization(multiplier, shift, zero, first, last)
    for shift in (1, 43):
        for multiplier in (0, 1, 2**31 - 1):
            yield Range(-1000, 1200), Requantization(multiplier, shift, 3, 0, 15)


@pytest.mark.parametrize(("number", "case"), list(enumerate(requantizations(40))))
def test_requantize_is_that_of_the_specification(
    number: int, case: tuple[Range, Requantization]
) -> None:
    range, r = case
    expected = specified(inputs(range), r)
    family = ["ice40", "ecp5", "gowin", "xc7"][number % 4]
    y, found = on_all(
        range,
        lambda x: requantize(
            x, r.multiplier, r.shift, r.zero, r.low, r.high, FunctionOptions(family)
        ),
    )
    np.testing.assert_array_equal(found, expected)
    assert y.range == Range.of(expected.tolist())
    check(range, expected)


@pytest.mark.parametrize(("bits", "outputs"), [(18, 8), (20, 4), (24, 16), (31, 16), (34, 8)])
def test_requantize_of_wide_accumulators(bits: int, outputs: int) -> None:
    """Every step exactly where it belongs, though inputs are too many to try all."""
    range = Range(-(1 << (bits - 1)) + 3, (1 << (bits - 1)) - 5)
    rng = np.random.default_rng(bits)
    shift = 51 - outputs - 4
    multiplier = int(rng.uniform(0.8, 1.5) * 2.0 ** (shift + outputs - bits))
    r = Requantization(multiplier, shift, 1 << (outputs - 1), 0, (1 << outputs) - 1)
    steps = r(range)
    edges = steps.starts[rng.integers(0, len(steps.starts), 4000)]
    x = np.clip(np.concatenate([edges - 1, edges, edges + 1]), range.low, range.high)
    x = np.append(x, [range.low, range.high])
    wire = Graph().input("x", range)
    y = requantize(wire, r.multiplier, r.shift, r.zero, r.low, r.high)
    module = Module("unit", (wire,), (Output("y", y, y.width),))
    np.testing.assert_array_equal(evaluate(module, {"x": x})["y"], specified(x, r))


def test_a_requantization_takes_few_adders() -> None:
    """A multiplier of 31 bits becomes a constant of one adder."""
    steps = Requantization(2013500250, 39, 0, 0, 15)(Range(-2000, 2100))
    assert {s.factor for s in scalings(steps, 20) if len(s.constants) == 1} == {15}


def test_more_blocks_need_fewer_adders() -> None:
    """Where blocks are shorter than steps, the sum is a carry: no product is left."""
    steps = Requantization(1234567890, 37, 3, 0, 15)(Range(-900, 1000))
    found = scalings(steps, 1000)
    most = dict.fromkeys((1, 4, 32), 99)
    for scaling in found:
        count = len(scaling.constants)
        if count in most:
            most[count] = min(most[count], adders_of(scaling.factor))
    assert most[1] > most[4] > most[32] == 0
    for scaling in found:
        _, values = on_all(steps.range, scaling.build)
        np.testing.assert_array_equal(values, steps.evaluate(inputs(steps.range)))


@pytest.mark.parametrize("low", [-3000, -77, 0, 500])
@pytest.mark.parametrize("begin", [100, 1000, 1023, 1500, 2000])
def test_saturated_ends_apart(low: int, begin: int) -> None:
    """The window is the smallest of its kind, wherever it stands."""
    values = np.concatenate([np.full(begin, 3), np.arange(-60, 60) // 9, np.full(2800 - begin, 9)])
    steps = StepFunction.of(Range(low, low + len(values) - 1), values)
    middle = Middle.of(steps)
    assert middle is not None
    assert middle.bits in (7, 8)
    _, found = on_all(
        steps.range, lambda x: middle.build(functools.partial(table, middle.inner, memory=False), x)
    )
    np.testing.assert_array_equal(found, values)


def test_there_is_no_window_where_steps_are_everywhere() -> None:
    assert Middle.of(StepFunction.of(Range(0, 63), np.arange(64))) is None
    assert Middle.of(StepFunction.of(Range(0, 63), np.arange(64) // 32)) is None


@pytest.mark.parametrize("family", ["ice40", "xc7"])
def test_an_offset_of_the_bias_makes_functions_cheaper(family: str) -> None:
    options = FunctionOptions(family)
    range = Range(-1000, 900)
    sign = StepFunction.of(range, lambda x: (x >= -37).astype(np.int64))
    assert preferred_offset(range, sign, options) == 37
    assert choose(sign.moved(37), options).cost == 0 < choose(sign, options).cost
    line = Requantization(1 << 15, 20, 3, 0, 15)(range)
    offset = preferred_offset(range, line, options)
    assert choose(line.moved(offset), options).cost < choose(line, options).cost
    _, found = on_all(range.plus(offset), lambda x: integer_function(x, line.moved(offset)))
    np.testing.assert_array_equal(found, line.evaluate(inputs(range)))
    assert preferred_offset(range, lambda x: 0 * x, options) == 0


def test_the_choice_is_the_cheapest() -> None:
    steps = Requantization(1 << 13, 20, 3, 0, 15)(Range(-1000, 900))
    for family in ("ice40", "ecp5", "gowin", "xc7"):
        options = FunctionOptions(family)
        costs = [choice.cost for choice in choices(steps, options)]
        assert choose(steps, options).cost == min(costs) < max(costs)


@needs_iverilog
@pytest.mark.parametrize("number", range(4))
def test_verilog_of_functions(number: int) -> None:
    """Icarus Verilog computes the same on every input."""
    rng = np.random.default_rng(number)
    x_format, y_format = FixedPoint(True, 9, 0), FixedPoint(True, 8, 0)
    codes = x_format.codes()
    values = [
        np.clip((codes * 45 + 70) >> 7, -90, 100),
        np.clip((codes * -11 + 3) >> 4, -128, 127),
        rng.integers(-128, 128, len(codes)),
        np.clip(codes >> 4, 0, 7) * (codes % 3),
    ][number]
    x = Graph().input("x", Range(x_format.low, x_format.high))
    for choice in choices(StepFunction.of(x.range, values), FunctionOptions("xc7")):
        module = Module("unit", (x,), (Output("y", choice.form.build(x), 8),))
        found = simulate_unit(write_verilog(module), "unit", codes, x_format, y_format)
        np.testing.assert_array_equal(found, values, choice.form.name)


def diagnosed(code: str, build: Callable[[], object]) -> str:
    with pytest.raises(UsageError) as caught:
        build()
    assert caught.value.diagnostics[0].code == code
    return str(caught.value)


def test_wrong_functions_are_refused() -> None:
    x = Graph().input("x", Range(-4, 3))
    diagnosed("ACT0545", lambda: integer_function(x, np.arange(7)))
    diagnosed("ACT0545", lambda: integer_function(x, np.arange(8.0)))
    diagnosed("ACT0545", lambda: composite(x, [table_stage(np.arange(4))]))
    diagnosed("ACT0545", lambda: softmax_terms([x, x + 1], [1, 2]))
    wide = x.graph.input("wide", Range(0, 1 << 30))
    diagnosed("ACT0546", lambda: integer_function(wide, lambda a: a & 1))
    diagnosed("ACT0530", lambda: FunctionOptions("stratix"))


@pytest.mark.parametrize("wrong", [(-1, 3, 0, 0, 7), (1, 0, 0, 0, 7), (1, 3, 0, 8, 7)])
def test_wrong_requantizations_are_refused(wrong: tuple[int, int, int, int, int]) -> None:
    x = Graph().input("x", Range(-4, 3))
    diagnosed("ACT0547", lambda: requantize(x, *wrong))


def test_runs_are_checked() -> None:
    with pytest.raises(ValueError, match="neighbours differ"):
        StepFunction(Range(0, 9), np.array([0, 4]), np.array([3, 3]))
    with pytest.raises(ValueError, match="lowest"):
        StepFunction(Range(0, 9), np.array([1, 4]), np.array([3, 4]))
    with pytest.raises(ValueError, match="start and a level"):
        StepFunction(Range(0, 9), np.array([0, 4]), np.array([3]))


def test_functions_move_and_mirror() -> None:
    range = Range(-7, 20)
    values = np.sort(np.random.default_rng(3).integers(0, 9, 28))
    steps = StepFunction.of(range, values)
    np.testing.assert_array_equal(steps.evaluate(inputs(range)), values)
    np.testing.assert_array_equal(steps.moved(5).evaluate(inputs(range) + 5), values)
    np.testing.assert_array_equal(steps.mirrored().evaluate(~inputs(range)), values)
    np.testing.assert_array_equal(steps.cut(Range(-2, 3)).evaluate(np.arange(-2, 4)), values[5:11])


@needs_yosys
@pytest.mark.slow
@pytest.mark.parametrize("family", ["ice40", "ecp5"])
def test_estimates_are_near_what_synthesis_takes(family: str) -> None:
    """The best forms of a function of 4 bits: a quarter away at most; the table far above."""
    steps = Requantization(1234567890, 37, 3, 0, 15)(Range(-900, 1000))
    found = sorted(choices(steps, FunctionOptions(family)), key=lambda choice: choice.cost)
    tables = [choice for choice in found if choice.form.name == "table"]
    sources = []
    for place, choice in enumerate([*found[:3], *tables]):
        x = Graph().input("x", steps.range)
        y = choice.form.build(x)
        module = Module(f"form{place}", (x,), (Output("y", y, y.width),))
        sources.append(Source(write_verilog(module), f"form{place}"))
    *best, table_cells = [resources.total for resources in synthesize_all(sources, family)]
    estimated = [choice.cost for choice in found[:3]]
    np.testing.assert_allclose(best, estimated, rtol=0.25)
    assert best[0] <= 1.1 * min(best)
    assert 1.2 * best[0] < table_cells
