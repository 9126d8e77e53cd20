"""Gate netlists: what they compute, and those that make no sense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from fpga_tools import SUM, number, sums_differ, synthesized
from hypothesis import given
from hypothesis import strategies as st
from installed import needs_yosys

from actc.errors import ToolFailed
from actc.targets.fpga.gates import (
    GateNetlist,
    Simulation,
    compare,
    compare_values,
    evaluate,
    simulate,
)
from actc.targets.fpga.gates.core import CORE, cut_core, find_border
from actc.targets.fpga.gates.logic import ONE, ZERO, Table, simplified
from actc.targets.fpga.hdl import Bus, Design, Graph, Range
from actc.targets.fpga.hdl.hierarchy import write_design
from actc.targets.fpga.hdl.words import bus_bits, bus_values

RNG = np.random.default_rng


@needs_yosys
@pytest.mark.parametrize(
    ("family", "dsp"),
    [("ice40", False), ("ecp5", True)]
    + [pytest.param(family, False, marks=pytest.mark.slow) for family in ("ecp5", "gowin", "xcup")],
)
def test_a_synthesized_netlist_computes_what_its_source_says(family: str, dsp: bool) -> None:
    netlist = GateNetlist.read(synthesized(SUM, "sums", family, dsp=dsp), "sums", family)
    assert netlist.clock == "clk"
    assert ("MULT18X18D" in netlist.cells) == dsp
    assert not sums_differ(netlist)


PRODUCTS = """module products(input [9:0] a, b, output [19:0] s, u);
  wire signed [9:0] sa = a, sb = b;
  assign s = sa * sb;
  assign u = a * b;
endmodule
"""


@needs_yosys
@pytest.mark.slow
def test_hard_multipliers_are_signed_and_unsigned() -> None:
    document = synthesized(PRODUCTS, "products", "ecp5", dsp=True)
    netlist = GateNetlist.read(document, "products", "ecp5")
    assert netlist.cells == {"MULT18X18D": 2}
    a, b = RNG(3).integers(0, 1024, (2, 300))
    found = simulate(netlist, {"a": a, "b": b})
    signed = [(x ^ 512) - 512 for x in (a, b)]
    assert np.array_equal(number(found["u"]), a * b)
    assert np.array_equal(number(found["s"]), signed[0] * signed[1] % (1 << 20))


MEMORIES = """module memories(
  input clk, input [{bits}:0] a, input en, output reg [{width}:0] y
);
  reg [{width}:0] words [0:{last}];
  integer i;
  initial for (i = 0; i <= {last}; i = i + 1) words[i] = (i * i * 7 + 3 * i) >> 2;
  always @(posedge clk) if (en) y <= words[a];
endmodule
"""


@needs_yosys
@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "cell", "shape"),
    [
        ("ice40", "SB_RAM40_4K", (8, 16)),
        ("ice40", "SB_RAM40_4K", (10, 4)),
        ("ecp5", "DP16KD", (10, 18)),
        ("ecp5", "DP16KD", (11, 9)),
        ("ecp5", "DP16KD", (12, 4)),
    ],
)
def test_block_memories_hold_tables(family: str, cell: str, shape: tuple[int, int]) -> None:
    bits, width = shape
    source = MEMORIES.format(bits=bits - 1, width=width - 1, last=(1 << bits) - 1)
    netlist = GateNetlist.read(synthesized(source, "memories", family), "memories", family)
    assert cell in netlist.cells
    a, en = np.arange(1 << bits), np.ones(1 << bits, np.int64)
    found = number(simulate(netlist, {"a": a, "en": en})["y"])
    right = ((a * a * 7 + 3 * a) >> 2) % (1 << width)
    assert np.array_equal(found[1:], right[:-1])


# Evaluation


def lut4(truth: int, inputs: list[int | str], output: int) -> dict[str, Any]:
    """An iCE40 table."""
    pins: dict[str, list[int | str]] = {f"I{i}": [net] for i, net in enumerate(inputs)}
    return {
        "type": "SB_LUT4",
        "parameters": {"LUT_INIT": f"{truth:016b}"},
        "connections": pins | {"O": [output]},
    }


def buffer(source: int, output: int) -> dict[str, Any]:
    return {
        "type": "SB_GB",
        "parameters": {},
        "connections": {"USER_SIGNAL_TO_GLOBAL_BUFFER": [source], "GLOBAL_BUFFER_OUTPUT": [output]},
    }


def flip_flop(clock: int, data: int, output: int, kind: str = "SB_DFF") -> dict[str, Any]:
    return {
        "type": kind,
        "parameters": {},
        "connections": {"C": [clock], "D": [data], "Q": [output]},
    }


def module(cells: list[dict[str, Any]], **ports: Sequence[int | str]) -> dict[str, Any]:
    """Ports whose names begin with y are outputs."""
    found = {
        name: {"direction": "output" if name.startswith("y") else "input", "bits": bits}
        for name, bits in ports.items()
    }
    numbered = {str(number): cell for number, cell in enumerate(cells)}
    return {"modules": {"m": {"ports": found, "cells": numbered}}}


def code(problem: pytest.ExceptionInfo[ToolFailed]) -> str:
    return problem.value.diagnostics[0].code


def test_long_runs_go_in_parts_that_fit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    # a counter that is stepped, behind it a delay and an enabled flip-flop
    enabled = flip_flop(2, 5, 6, "SB_DFFE")
    enabled["connections"]["E"] = [3]
    cells = [
        lut4(0x6666, [3, 4, "0", "0"], 7),
        flip_flop(2, 7, 4),
        flip_flop(2, 4, 5),
        enabled,
    ]
    netlist = GateNetlist.read(module(cells, clk=[2], x=[3], y=[4, 5, 6]), "m", "ice40")
    x = RNG(5).integers(0, 2, 1000)
    whole = simulate(netlist, {"x": x})["y"]
    monkeypatch.setattr(evaluate, "MEMORY", 1)
    assert np.array_equal(simulate(netlist, {"x": x})["y"], whole)
    simulation = Simulation(netlist)
    parts = [simulation.run({"x": part})["y"] for part in np.split(x, [1, 63, 64, 200, 777])]
    assert np.array_equal(np.concatenate(parts), whole)
    toggled = np.concatenate([[0], np.cumsum(x)[:-1] % 2])
    assert np.array_equal(whole[:, 0], toggled)
    assert np.array_equal(whole[1:, 1], toggled[:-1])


def test_a_cell_may_read_its_own_output_where_that_does_not_matter() -> None:
    cells = [lut4(0xFF00, [4, 4, "0", 3], 4)]  # as routed logic cells of iCE40 do
    netlist = GateNetlist.read(module(cells, x=[3], y=[4]), "m", "ice40")
    assert simulate(netlist, {"x": [0, 1, 1, 0]})["y"][:, 0].tolist() == [0, 1, 1, 0]


def test_nets_without_a_driver_can_be_both() -> None:
    cells = [lut4(0x6666, [3, 9, "0", "0"], 4)]
    netlist = GateNetlist.read(module(cells, x=[3], y=[4]), "m", "ice40")
    assert len(netlist.floating) == 1
    for floating in (0, 1):
        found = simulate(netlist, {"x": [0, 1]}, floating=floating)
        assert found["y"][:, 0].tolist() == [floating, 1 - floating]


def test_a_combinational_loop_is_refused() -> None:
    cells = [lut4(0x7777, [3, 4, "0", "0"], 4)]
    with pytest.raises(ToolFailed) as caught:
        simulate(GateNetlist.read(module(cells, x=[3], y=[4]), "m", "ice40"), {"x": [0]})
    assert code(caught) == "ACT0533"


def test_cells_without_a_model_are_named_at_once() -> None:
    cells: list[dict[str, Any]] = [
        {"type": kind, "parameters": {}, "connections": {}} for kind in ("SB_SPI", "SB_I2C")
    ]
    with pytest.raises(ToolFailed) as caught:
        GateNetlist.read(module(cells, y=[3]), "m", "ice40")
    assert code(caught) == "ACT0570"
    assert "SB_I2C, SB_SPI" in caught.value.diagnostics[0].message


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([lut4(1, ["0"] * 4, 4), lut4(2, ["0"] * 4, 4)], "ACT0571"),  # two drivers
        ([lut4(1, ["0"] * 4, 4), buffer(3, 4)], "ACT0571"),
        ([buffer(3, 4), buffer(3, 4)], "ACT0571"),
        ([flip_flop(2, 3, 4), flip_flop(3, 2, 5)], "ACT0572"),  # two clocks
        ([lut4(1, [2, 3, "0", "0"], 5), flip_flop(5, 3, 4)], "ACT0572"),  # a gated one
        ([flip_flop(2, 2, 4)], "ACT0572"),  # one that is data
        ([lut4(1, ["0"] * 4, 4) | {"parameters": {"LUT_INIT": "much"}}], "ACT0571"),
    ],
)
def test_netlists_that_make_no_sense_are_refused(
    cells: list[dict[str, Any]], expected: str
) -> None:
    with pytest.raises(ToolFailed) as caught:
        GateNetlist.read(module(cells, clk=[2], x=[3], y=[4]), "m", "ice40")
    assert code(caught) == expected


def test_a_module_that_is_not_there_is_refused() -> None:
    with pytest.raises(ToolFailed) as caught:
        GateNetlist.read({"modules": {}}, "m", "ice40")
    assert code(caught) == "ACT0571"


@pytest.mark.parametrize(
    "inputs", [{}, {"z": [0]}, {"x": [2]}, {"x": [-2]}, {"x": [[0, 1]]}, {"x": [0.5]}]
)
def test_inputs_that_do_not_fit_are_refused(inputs: dict[str, Any]) -> None:
    netlist = GateNetlist.read(module([lut4(2, [3, 3, 3, 3], 4)], x=[3], y=[4]), "m", "ice40")
    with pytest.raises(ValueError, match=r"[mx] (takes|has)"):
        simulate(netlist, inputs)


# Networks that are cut out


@pytest.mark.parametrize("net", ["$PACKER_GND_NET", "other"])
def test_a_constant_behind_a_clock_buffer_is_no_clock(net: str) -> None:
    """The write clock of a memory that is never written, as placement wires it."""
    flip_flops = {"first": flip_flop(2, 4, 5), "second": flip_flop(3, 5, 6)}
    directions = {"C": "input", "D": "input", "Q": "output"}
    named = {name: cell | {"port_directions": directions} for name, cell in flip_flops.items()}
    named["buffer"] = {
        "type": "SB_GB",
        "port_directions": {
            "USER_SIGNAL_TO_GLOBAL_BUFFER": "input",
            "GLOBAL_BUFFER_OUTPUT": "output",
        },
        "connections": {"USER_SIGNAL_TO_GLOBAL_BUFFER": [7], "GLOBAL_BUFFER_OUTPUT": [3]},
    }
    names = {name: {"bits": [bit]} for name, bit in (("core.x", 4), ("core.y", 6), (net, 7))}
    document = {"modules": {"top": {"ports": {}, "cells": named, "netnames": names}}}
    border = find_border(document, "top", "core", ["x"], ["y"])
    if net == "other":
        with pytest.raises(ToolFailed) as caught:
            cut_core(document, "top", border)
        assert code(caught) == "ACT0572"
    else:
        assert set(cut_core(document, "top", border)["modules"][CORE]["cells"]) == {
            "first",
            "second",
        }


def test_a_network_with_two_clocks_is_not_cut_out() -> None:
    cells = {"first": flip_flop(2, 4, 5), "second": flip_flop(3, 5, 6)}
    directions = {"C": "input", "D": "input", "Q": "output"}
    named = {name: cell | {"port_directions": directions} for name, cell in cells.items()}
    names = {name: {"bits": [bit]} for name, bit in (("core.x", 4), ("core.y", 6))}
    document = {"modules": {"top": {"ports": {}, "cells": named, "netnames": names}}}
    border = find_border(document, "top", "core", ["x"], ["y"])
    with pytest.raises(ToolFailed) as caught:
        cut_core(document, "top", border)
    assert code(caught) == "ACT0572"
    named["second"]["connections"]["C"] = [2]
    netlist = GateNetlist.read(cut_core(document, "top", border), CORE, "ice40")
    assert simulate(netlist, {"x": [1, 0, 0, 0]})["y"][:, 0].tolist() == [0, 0, 1, 0]


# Designs


def small_design() -> Design:
    """y[i] = 3 x[i] - x[1 - i], a clock later."""
    graph = Graph()
    x = [graph.input(f"x_{i}", Range(-8, 7)) for i in range(2)]
    y = [(3 * x[i] - x[1 - i]).register() for i in range(2)]
    inputs = (Bus("x", (2,), tuple(x), 4, True),)
    return Design("pair", inputs, (Bus("y", (1, 2), tuple(y), 7, True),))


@needs_yosys
def test_the_first_wrong_element_of_a_design_is_named() -> None:
    design = small_design()
    source = "".join(write_design(design).values())
    document = synthesized(source, "pair", "ice40")
    x = RNG(4).integers(-8, 8, (200, 2))
    expected = {"y": (3 * x - x[:, ::-1])[:, None]}
    netlist = GateNetlist.read(document, "pair", "ice40")
    assert compare(netlist, design, {"x": x}, expected) is None
    # a wrong constant: the table before the register of the lowest bit of y[1]
    cells = document["modules"]["pair"]["cells"].values()
    bit = document["modules"]["pair"]["ports"]["y"]["bits"][7]
    data = next(c["connections"]["D"] for c in cells if c["connections"].get("Q") == [bit])
    table = next(c for c in cells if c["connections"].get("O") == data)
    flip = str.maketrans("01", "10")
    table["parameters"]["LUT_INIT"] = table["parameters"]["LUT_INIT"].translate(flip)
    wrong = compare(GateNetlist.read(document, "pair", "ice40"), design, {"x": x}, expected)
    assert wrong is not None
    # both sums are odd together: the table may serve both of their lowest bits
    element = wrong.element
    right = int(expected["y"][0][element])
    assert (wrong.sample, wrong.output) == (0, "y")
    assert (wrong.expected, wrong.found) == (right, right ^ 1)
    place = ", ".join(map(str, element))
    assert str(wrong) == (
        f"sample 0: y[{place}] is {wrong.found}, not {right} (200 of 200 samples differ)"
    )


@given(st.integers(1, 70), st.booleans(), st.data())
def test_elements_become_bits_and_elements_again(
    width: int, signed: bool, data: st.DataObject
) -> None:
    graph = Graph()
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    wires = tuple(graph.input(f"x_{i}", Range(low, high)) for i in range(3))
    bus = Bus("x", (3,), wires, width, signed)
    row = data.draw(st.lists(st.integers(low, high), min_size=3, max_size=3))
    values = np.array([row, row[::-1]], object if width > 62 else np.int64)
    assert np.array_equal(bus_values(bus, bus_bits(bus, values)), values)


def test_values_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        compare_values({"y": [[1]]}, {"y": [1]})
    with pytest.raises(ValueError, match="beside"):
        compare_values({"y": [1]}, {"z": [1]})


def test_inputs_that_matter_only_beside_a_constant_go() -> None:
    # b where a is 1, else nothing of b: with a = 0 the table is constant
    table = Table((ZERO, 5), 0b1000, 7)
    assert simplified(table) == Table((), 0, 7)
    assert simplified(Table((ONE, 5), 0b1000, 7)) == Table((5,), 0b10, 7)


def test_an_output_that_is_tied_to_a_constant_is_open() -> None:
    ports = {f"{pin}{half}": ["1"] for pin in "ABCD" for half in "01"}
    ports |= {"A0": [2], "B0": [3], "CIN": ["0"], "S0": [4], "S1": ["0"]}
    sums = {
        "type": "CCU2C",
        "parameters": {f"INIT{half}": f"{0x600A:016b}" for half in "01"}
        | {f"INJECT1_{half}": "NO" for half in "01"},
        "connections": ports,
    }
    netlist = GateNetlist.read(module([sums], x=[2, 3], y=[4, "0"]), "m", "ecp5")
    found = simulate(netlist, {"x": [0, 1, 2, 3]})["y"]
    assert found.tolist() == [[0, 0], [1, 0], [1, 0], [0, 0]]
