"""Integer functions as hardware: every input gives the value of the function."""

from __future__ import annotations

import functools
import itertools
import shutil
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actc.approx.fixed_point import FixedPoint
from actc.errors import UsageError
from actc.ir.spec import codes as spec
from actc.targets.fpga.adders import linear
from actc.targets.fpga.functions import (
    FunctionOptions,
    Requantization,
    StepFunction,
    argmax,
    composite,
    integer_function,
    maximum,
    multiply,
    preferred_offset,
    requantize,
    softmax_terms,
    steps_stage,
    table_stage,
    without_bias,
)
from actc.targets.fpga.functions.apply import cheapest_stages
from actc.targets.fpga.functions.choose import choices, choose
from actc.targets.fpga.functions.clamp import clamp
from actc.targets.fpga.functions.forms import table
from actc.targets.fpga.functions.middle import Middle
from actc.targets.fpga.functions.multiples import (
    MAX_ADDERS,
    adders_of,
    beside,
    multiple,
    multiple_plus,
    multiples,
)
from actc.targets.fpga.functions.scaling import scalings
from actc.targets.fpga.hdl import Graph, Module, Output, Range, Wire, evaluate, write_verilog
from actc.targets.fpga.hdl.operators import Add, Subtract
from actc.targets.fpga.simulation import simulate_unit
from actc.targets.fpga.synthesis import Source, synthesize_all

Integers = npt.NDArray[np.int64]

needs_iverilog = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="Icarus Verilog is not installed (apt: iverilog)"
)


def inputs(range: Range) -> Integers:
    return np.arange(range.low, range.high + 1, dtype=np.int64)


def on_all(range: Range, build: Callable[[Wire], Wire]) -> tuple[Wire, Integers]:
    """What `build` makes of an input, and its value for every input."""
    x = Graph().input("x", range)
    y = build(x)
    module = Module("unit", (x,), (Output("y", y, y.width),))
    return y, evaluate(module, {"x": inputs(range)})["y"]


def check(range: Range, values: Integers) -> None:
    """Every form of the function, and the chosen one, give its values and their hull."""
    steps = StepFunction.of(range, values)
    options = FunctionOptions("ice40", memory=True)
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


def specified(x: Integers, r: Requantization) -> Integers:
    zero, low, high = (np.array(v, np.uint16) for v in (r.zero, r.low, r.high))
    found = spec.requantize(x, np.array(r.multiplier), np.array(r.shift), zero, low, high)
    return np.asarray(found, np.int64)


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


@pytest.mark.parametrize("adders", range(MAX_ADDERS + 1))
def test_multiples_take_as_many_adders_as_they_say(adders: int) -> None:
    known = multiples(adders)
    rng = np.random.default_rng(adders)
    for constant in rng.choice(known, min(len(known), 40), replace=False).tolist():
        y, found = on_all(Range(-9, 20), lambda x, c=constant: multiple(x, c))  # type: ignore[misc]
        np.testing.assert_array_equal(found, inputs(Range(-9, 20)) * constant)
        sums = [w for w in y.graph.wires if w.operator.noun in ("sum", "difference")]
        assert len(sums) == adders
        assert y.range == Range(-9, 20) * Range(constant, constant)


@pytest.mark.parametrize("constant", [1, 3, 7, 11, 45, 89, 683, 2989, 1234567])
@pytest.mark.parametrize("more", [0, 1, 2, 5, 64, -3, -96, 1000])
def test_multiples_plus_a_constant(constant: int, more: int) -> None:
    _, found = on_all(Range(-9, 20), lambda x: multiple_plus(x, constant, more))
    np.testing.assert_array_equal(found, inputs(Range(-9, 20)) * constant + more)


@pytest.mark.parametrize("range", [Range(-20, 30), Range(0, 40), Range(5, 9), Range(-9, 1)])
@pytest.mark.parametrize("target", [(0, 7), (0, 5), (0, 0), (-8, 7), (-3, 6), (1, 4), (6, 8)])
def test_clamps(range: Range, target: tuple[int, int]) -> None:
    if range.high < target[0] or range.low > target[1]:
        with pytest.raises(ValueError, match="does not meet"):
            on_all(range, lambda x: clamp(x, Range(*target)))
        return
    y, found = on_all(range, lambda x: clamp(x, Range(*target)))
    np.testing.assert_array_equal(found, np.clip(inputs(range), *target))
    assert y.range == Range.of(found.tolist())


def gelu_table(bits: int) -> Integers:
    codes = np.arange(1 << bits)
    x = (codes - (1 << (bits - 1))) * 8 / (1 << bits)
    y = x / (1 + np.exp(-1.702 * x))
    return np.asarray(np.clip(np.rint(y * (1 << bits) / 4) + 11, 0, (1 << bits) - 1), np.int64)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_requantization_and_a_table(bits: int) -> None:
    range = Range(-3000, 2800)
    r = Requantization(int(2.0 ** (20 + bits - 12.3)), 20, 1 << (bits - 1), 0, (1 << bits) - 1)
    table = gelu_table(bits)
    y, found = on_all(range, lambda x: composite(x, [r, table_stage(table)]))
    expected = spec.table(specified(inputs(range), r), table)
    np.testing.assert_array_equal(found, expected)
    assert y.range == Range.of(expected.tolist())


def test_stages_stay_apart_where_that_costs_less() -> None:
    options = FunctionOptions("ice40")
    range = Range(-6000, 6000)
    scrambled = np.random.default_rng(1).permutation(64)
    r = Requantization(1 << 13, 20, 32, 0, 63)
    apart = cheapest_stages(range, [r, table_stage(scrambled)], options)
    assert len(apart) == 2
    halves = cheapest_stages(range, [r, table_stage(np.arange(64) >> 5)], options)
    assert len(halves) == 1


BIASED: dict[str, Callable[[Wire], Wire]] = {
    "plus": lambda x: x + 37,
    "minus": lambda x: x - 37,
    "from": lambda x: 90 - x,
    "negated": lambda x: -(x + 5) + 2,
    "scaled": lambda x: (x << 3) + 37,
    "scaled, from": lambda x: 11 - (x << 2),
    "beside": lambda x: beside(x, 5, 3),
    "narrowed": lambda x: (x + 37).narrow(Range(-9, 40), "only these are used") - 3,
    "nothing": lambda x: x,
}


@pytest.mark.parametrize("range", [Range(-50, 60), Range(0, 100), Range(0, 3)], ids=str)
@pytest.mark.parametrize("name", BIASED)
def test_a_bias_is_a_part_of_the_function(range: Range, name: str) -> None:
    rng = np.random.default_rng(4)
    levels = rng.integers(0, 9, 2000)

    def build(x: Wire) -> Wire:
        acc = BIASED[name](x)
        return integer_function(acc, levels[: acc.range.high - acc.range.low + 1])

    x = Graph().input("x", range)
    acc, y = BIASED[name](x), build(x)
    module = Module("unit", (x,), (Output("acc", acc, acc.width), Output("y", y, y.width)))
    values = inputs(range)
    if name == "narrowed":
        values = values[(values + 37 >= -9) & (values + 37 <= 40)]
    if len(values):
        found = evaluate(module, {"x": values})
        np.testing.assert_array_equal(found["y"], levels[found["acc"] - acc.range.low])
    read = Module("unit", (x,), (Output("y", y, y.width),)).wires()
    assert acc is x or acc not in read


def test_the_bias_of_an_accumulator_takes_no_adder() -> None:
    """What constant matrix products end with is what functions take over."""
    graph = Graph()
    wires = [graph.input("a", Range(0, 15)), graph.input("b", Range(-8, 7))]
    matrix, biases = np.array([[3, 5], [-12, -4], [7, 0]]), [17, -9, 100]
    stage = Requantization(77, 9, 2, 0, 15)
    for acc, row, bias in zip(linear(matrix, wires, biases), matrix, biases, strict=True):
        y = composite(acc, [stage])
        module = Module("unit", tuple(wires), (Output("y", y, y.width),))
        sums = [w for w in module.wires() if isinstance(w.operator, (Add, Subtract))]
        assert acc not in module.wires()
        assert all(operand.value != bias for wire in sums for operand in wire.operands)
        pairs = np.array(list(itertools.product(range(16), range(-8, 8))))
        found = evaluate(module, {"a": pairs[:, 0], "b": pairs[:, 1]})["y"]
        np.testing.assert_array_equal(found, specified(pairs @ row + bias, stage))


def test_without_a_bias_functions_are_shared() -> None:
    graph = Graph()
    x = graph.input("x", Range(-500, 500))
    stage = Requantization(1 << 14, 20, 3, 0, 15)
    wire, stages = without_bias(x + 77, [stage, table_stage(np.arange(16)[::-1])])
    assert wire is x
    np.testing.assert_array_equal(
        stages[0](x.range).evaluate(inputs(x.range)),
        stage(x.range.plus(77)).evaluate(inputs(x.range) + 77),
    )
    assert len(stages) == 2
    assert without_bias(x, [stage]) == (x, [stage])


def test_steps_of_a_channel() -> None:
    range = Range(-300, 400)
    edges = np.array([-500, -120, -119, 3, 250, 9000])
    values = np.array([9, 3, 4, 4, 1, 0, 7, 5])
    offset, breakpoints = np.array([0]), np.append(edges, np.full(250, 10**6) + np.arange(250))
    padded = np.append(values, np.zeros(248, np.int64))
    expected = spec.steps(inputs(range), breakpoints, padded, offset)
    _, found = on_all(range, lambda x: composite(x, [steps_stage(edges, values)]))
    np.testing.assert_array_equal(found, expected)


def test_the_choice_is_the_cheapest() -> None:
    steps = Requantization(1 << 13, 20, 3, 0, 15)(Range(-1000, 900))
    for family in ("ice40", "ecp5", "gowin", "xc7"):
        options = FunctionOptions(family)
        costs = [choice.cost for choice in choices(steps, options)]
        assert choose(steps, options).cost == min(costs) < max(costs)


def test_memory_is_taken_only_on_request_and_where_it_costs_less() -> None:
    values = np.random.default_rng(0).integers(0, 256, 4096)
    steps = StepFunction.of(Range(0, 4095), values)
    assert choose(steps, FunctionOptions("ecp5", memory=True)).form.name == "memory"
    assert choose(steps, FunctionOptions("ecp5")).form.name != "memory"
    small = StepFunction.of(Range(0, 7), np.arange(8)[::-1] ** 2)
    assert choose(small, FunctionOptions("ecp5", memory=True)).form.name != "memory"


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10])
def test_maximum_and_argmax(count: int) -> None:
    graph = Graph()
    rng = np.random.default_rng(count)
    lows = rng.integers(-9, 4, count)
    wires = [graph.input(f"x_{k}", Range(int(low), int(low) + 9 + k)) for k, low in enumerate(lows)]
    largest, place = maximum(wires), argmax(wires)
    values = np.stack([rng.integers(w.range.low, w.range.high + 1, 3000) for w in wires])
    module = Module(
        "largest",
        tuple(wires),
        (Output("value", largest, largest.width), Output("place", place, place.width)),
    )
    found = evaluate(module, {f"x_{k}": row for k, row in enumerate(values)})
    np.testing.assert_array_equal(found["value"], values.max(axis=0))
    np.testing.assert_array_equal(found["place"], values.argmax(axis=0))


def test_nothing_has_no_maximum() -> None:
    with pytest.raises(ValueError, match="nothing"):
        argmax([])


FACTORS = [Range(0, 1), Range(-1, 0), Range(-4, 3), Range(0, 13), Range(-100, 90), Range(3, 3)]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        *itertools.combinations(FACTORS, 2),
        (Range(-8, 7), Range(-8, 7)),
        (Range(-5, 5), Range(-12, -12)),
    ],
    ids=str,
)
def test_products(a: Range, b: Range) -> None:
    graph = Graph()
    first, second = (
        graph.constant(r.low) if r.single else graph.input(name, r)
        for name, r in (("a", a), ("b", b))
    )
    y = multiply(first, second)
    pairs = np.array(list(itertools.product(inputs(a).tolist(), inputs(b).tolist())))
    wires = tuple(wire for wire in (first, second) if wire.value is None)
    columns = {
        n: c for n, c, w in zip("ab", pairs.T, (first, second), strict=True) if w.value is None
    }
    found = evaluate(Module("product", wires, (Output("y", y, y.width),)), columns)["y"]
    np.testing.assert_array_equal(found, pairs[:, 0] * pairs[:, 1])
    assert y.range == a * b
    assert all(wire.operator.noun != "product" for wire in graph.wires)


def test_a_square() -> None:
    _, found = on_all(Range(0, 100), lambda x: multiply(x, x))
    np.testing.assert_array_equal(found, inputs(Range(0, 100)) ** 2)


def test_softmax_terms_are_those_of_the_specification() -> None:
    graph = Graph()
    wires = [graph.input(f"x_{k}", Range(0, 15)) for k in range(5)]
    table = np.rint(1000 * np.exp(-np.arange(16) / 3)).astype(np.int64)
    terms, total = softmax_terms(wires, table.tolist())
    rows = np.random.default_rng(2).integers(0, 16, (4000, 5))
    outputs = [Output(f"e_{k}", e, e.width) for k, e in enumerate(terms)]
    module = Module("softmax", tuple(wires), (*outputs, Output("sum", total, total.width)))
    found = evaluate(module, {f"x_{k}": rows[:, k] for k in range(5)})
    expected = table[rows.max(axis=1, keepdims=True) - rows]
    np.testing.assert_array_equal(np.stack([found[f"e_{k}"] for k in range(5)], 1), expected)
    np.testing.assert_array_equal(found["sum"], expected.sum(axis=1))


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


@pytest.mark.slow
@pytest.mark.parametrize("family", ["ice40", "ecp5"])
def test_estimates_are_near_what_synthesis_takes(family: str) -> None:
    """The best forms of a function of 4 bits: a quarter away at most; the table far above."""
    pytest.importorskip("pyosys", reason="pyosys is not installed (pip install 'actc[fpga]')")
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
