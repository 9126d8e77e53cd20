"""Every form of an activation can be what the cost model chooses in a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest
from function_cases import inputs, on_all
from golden_models import Golden
from network_operators import out

from actc.approx.bipartite import fit_bipartite
from actc.approx.gates import NoForm
from actc.approx.thresholds import fit_thresholds
from actc.targets.fpga.adders import AdderOptions
from actc.targets.fpga.boards import devices
from actc.targets.fpga.functions import FunctionOptions, StepFunction
from actc.targets.fpga.functions.choose import choices, choose
from actc.targets.fpga.functions.forms import exact_gates
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.network import Network, NetworkOptions, build_network
from actc.targets.fpga.options import Tables
from actc.targets.fpga.pipeline import find_timing
from actc.targets.fpga.tables import pipelined

Integers = npt.NDArray[np.int64]

ECP5 = FunctionOptions("ecp5")


def activation(name: str, bits: int, outputs: int, reach: float = 8.0) -> Integers:
    """Codes of an activation on -reach..reach, over all codes of its output."""
    x = (np.arange(1 << bits) - (1 << (bits - 1))) * reach * 2.0 ** (1 - bits)
    y = {
        "gelu": lambda: x / (1 + np.exp(-1.702 * x)),
        "sigmoid": lambda: 1 / (1 + np.exp(-x)),
        "leaky": lambda: np.where(x + 1 > 0, x + 1, 0.3 * (x + 1)),
    }[name]()
    scaled = (y - y.min()) / (y.max() - y.min()) * ((1 << outputs) - 1)
    return np.rint(scaled).astype(np.int64)


def steps(bits: int, levels: int) -> Integers:
    """Different steps at places without a pattern."""
    rng = np.random.default_rng(levels)
    edges = np.sort(rng.integers(0, 1 << bits, levels - 1))
    heights = rng.permutation(8)[:levels]
    return np.asarray(heights[np.searchsorted(edges, np.arange(1 << bits), "right")], np.int64)


# what docs/integer-functions.md lists, by the beginning of the name
CASES: dict[str, Callable[[], Integers]] = {
    "table": lambda: np.random.default_rng(0).integers(0, 16, 256),
    "search": lambda: steps(10, 6),
    "lines of 1 in": lambda: activation("sigmoid", 8, 3),
    "tree, 2 digits": lambda: activation("sigmoid", 11, 8),
    "tree, 3 digits": lambda: activation("sigmoid", 10, 8),
    "2 segments": lambda: activation("leaky", 10, 8),
    "compressed table": lambda: activation("gelu", 8, 8),
    "bipartite table": lambda: activation("sigmoid", 8, 8, 3.0),
}


def model(table: Integers) -> ir.Model:
    """A table of one input."""
    g = Golden()
    high, top = len(table) - 1, np.uint16
    scale, zero = g.const(np.float32(0.02)), g.const(top(high // 2))
    q = str(g.node("QuantizeLinear", g.input("x", 1), scale, zero))
    numbers = (np.int32(2), np.int32(1), top(0), top(0), top(high))
    codes = g.actc("Requantize", q, *map(g.const, numbers))
    return out(g, g.actc("Table", codes, g.const(table.astype(np.uint8))))


def unrolled(table: Integers, options: FunctionOptions = ECP5) -> Network:
    made = NetworkOptions(adders=AdderOptions(effort=0), functions=options)
    return build_network(model(table), "net", made)


def all_codes(table: Integers) -> dict[str, Any]:
    return {"x": np.arange(len(table))[:, None]}


@pytest.mark.parametrize("name", CASES)
def test_each_form_is_what_some_network_takes(name: str) -> None:
    table = CASES[name]()
    network = unrolled(table)
    (unit,) = network.units
    function = unit.function
    np.testing.assert_array_equal(function.evaluate(np.arange(len(table))), table)
    offered = choices(function, ECP5)
    chosen = choose(function, ECP5)
    assert chosen.form.name.startswith(name)
    assert chosen.cost == min(choice.cost for choice in offered)
    (found,) = network.design.evaluate(all_codes(table)).values()
    np.testing.assert_array_equal(found[:, 0], table)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("family", ["ice40", "ecp5", "gowin", "xc7"])
def test_every_offered_form_computes_the_function(name: str, family: str) -> None:
    """Also on a range that ends within its bits, and on negative inputs."""
    table = CASES[name]()
    cut = len(table) // 9
    for values, low in ((table, 0), (table[cut:-cut], -(len(table) // 2) + 1)):
        range = Range(low, low + len(values) - 1)
        function = StepFunction.of(range, values)
        for choice in choices(function, FunctionOptions(family)):
            _, found = on_all(range, choice.form.build)
            np.testing.assert_array_equal(found, values, choice.form.name)


def test_the_search_is_that_of_the_thresholds() -> None:
    """Signed steps of the fewest thresholds are the runs of equal values."""
    function = StepFunction.of(Range(0, 1023), CASES["search"]())
    form = fit_thresholds(exact_gates(function)).form
    np.testing.assert_array_equal(form.thresholds, function.starts[1:])
    np.testing.assert_array_equal(form.levels, function.levels)


def memories(network: Network, tables: Tables) -> int:
    """Tables in block memories."""
    device, timing = devices()["ecp5-25k"], find_timing("ecp5-6")
    _, design = pipelined(network, tables, device, timing, ECP5, {"clock_mhz": 60.0})
    lookups = (w.operator for w in design.module().wires() if isinstance(w.operator, op.Lookup))
    return sum(lookup.memory for lookup in lookups)


def test_a_table_as_memory_is_what_some_network_takes() -> None:
    random = unrolled(np.random.default_rng(0).integers(0, 256, 1 << 10))
    smooth = unrolled(activation("sigmoid", 10, 8))
    assert (memories(random, "auto"), memories(random, "logic")) == (1, 0)
    assert (memories(smooth, "auto"), memories(smooth, "memory")) == (0, 1)


# --- what is worth a try


def names(values: Integers, family: str = "ecp5") -> list[str]:
    range = Range(0, len(values) - 1)
    function = StepFunction.of(range, values)
    return [choice.form.name for choice in choices(function, FunctionOptions(family))]


def test_forms_that_do_not_exist_are_not_offered() -> None:
    random = np.random.default_rng(1).integers(0, 256, 1 << 9)
    assert names(random) == ["table", "search", "compressed table"]
    assert "2 segments" in names(CASES["2 segments"]())
    assert not any("segments" in name for name in names(activation("sigmoid", 10, 8)))


def test_one_table_is_not_called_two() -> None:
    """Where the first bits say nothing, the second table is the whole function."""
    values = np.tile(np.arange(8) ** 2 % 11, 32)
    found = fit_bipartite(exact_gates(StepFunction.of(Range(0, 255), values)), max_low_bits=5)
    assert not isinstance(found, NoForm)
    assert found.form.initial_width == 0
    assert "bipartite table" not in names(values)


def test_values_beyond_the_range_are_free() -> None:
    """Half of the codes of 9 bits do not occur: the tables need not hold them."""
    values = activation("sigmoid", 8, 8, 3.0)
    range = Range(-40, 215)
    function = StepFunction.of(range, values)
    gates = exact_gates(function)
    assert gates.input.bits == 9
    inside = np.isin(gates.input.codes(), inputs(range))
    np.testing.assert_array_equal(gates.low[inside], values)
    assert (gates.low[~inside] == gates.output.low).all()
    assert (gates.high[~inside] == gates.output.high).all()
    two_tables = [c for c in choices(function, ECP5) if c.form.name == "bipartite table"]
    assert len(two_tables) == 1
    _, found = on_all(range, two_tables[0].form.build)
    np.testing.assert_array_equal(found, values)
