"""Integer functions one after the other, and the constants that they take over."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from function_cases import inputs, on_all, specified

from actc.ir.spec import codes as spec
from actc.targets.fpga.adders import linear
from actc.targets.fpga.functions import (
    FunctionOptions,
    Requantization,
    composite,
    integer_function,
    steps_stage,
    table_stage,
    without_bias,
)
from actc.targets.fpga.functions.apply import cheapest_stages
from actc.targets.fpga.functions.multiples import beside
from actc.targets.fpga.hdl import Graph, Module, Output, Range, Wire, evaluate
from actc.targets.fpga.hdl.operators import Add, Subtract

Integers = npt.NDArray[np.int64]


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
