"""Inverters and look-up tables of ECP5 netlists that other cells take in."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import numpy as np
import pytest
from fpga_tools import SUM, sums_differ, synthesized
from installed import needs_yosys

from actc.targets.fpga.gates import GateNetlist, simulate
from actc.targets.fpga.techmap import improve

RNG = np.random.default_rng

MIXED = """module mixed(
  input clk, input signed [7:0] x, y, input [3:0] z,
  output reg signed [9:0] q, output reg [8:0] r, output reg toggle
);
  (* keep *) reg signed [8:0] held;
  reg signed [9:0] first; reg [7:0] second = 8'h5a; reg [8:0] third;
  wire signed [8:0] s = x + y;
  initial toggle = 1;
  always @(posedge clk) begin
    held <= ~(x - y);
    first <= ~(s - {z, 2'b01});
    second <= ~second ^ {4'b0, z};
    third <= (x ^ y) + {z, z};
    q <= first + held;
    r <= ~third + second;
    toggle <= ~toggle;
  end
endmodule
"""


def types(document: dict[str, Any]) -> Counter[str]:
    return Counter(
        cell["type"] for module in document["modules"].values() for cell in module["cells"].values()
    )


def lut(table: int, inputs: list[int | str], output: int) -> dict[str, Any]:
    pins = dict(zip("ABCD", ([bit] for bit in inputs), strict=True))
    return {
        "type": "LUT4",
        "parameters": {"INIT": f"{table:016b}"},
        "port_directions": {**dict.fromkeys("ABCD", "input"), "Z": "output"},
        "connections": {**pins, "Z": [output]},
    }


def carry(init: int, operands: list[int | str]) -> dict[str, Any]:
    """A chain of two places: the first gives the carry of net 8, the second adds."""
    first = dict(zip(("A0", "B0", "C0", "D0"), ([b] for b in (8, 8, "1", "1")), strict=True))
    second = dict(zip(("A1", "B1", "C1", "D1"), ([b] for b in operands), strict=True))
    outputs = {"S0": [10], "S1": [11], "COUT": [12]}
    inputs = {**first, **second, "CIN": ["x"]}
    return {
        "type": "CCU2C",
        "parameters": {
            "INIT0": f"{0x0008:016b}",
            "INIT1": f"{init:016b}",
            "INJECT1_0": "NO",
            "INJECT1_1": "NO",
        },
        "port_directions": {
            **dict.fromkeys(inputs, "input"),
            **dict.fromkeys(outputs, "output"),
        },
        "connections": inputs | outputs,
    }


def module(*cells: dict[str, Any]) -> dict[str, Any]:
    """Inputs 2..6 and 8, outputs the sum and, through another cell, the carry out."""
    out = carry(0x600A, ["0", "0", "1", "1"])
    out["connections"] |= {"A0": ["0"], "B0": ["0"], "CIN": [12], "S0": [14], "S1": [15]}
    out["parameters"]["INIT0"] = f"{0x600A:016b}"
    out["connections"]["COUT"] = [16]
    ports = {
        "x": {"direction": "input", "bits": [2, 3, 4, 5, 6, 8]},
        "y": {"direction": "output", "bits": [11, 14]},
    }
    named = {f"cell{index}": cell for index, cell in enumerate([*cells, out])}
    return {"modules": {"top": {"ports": ports, "cells": named, "netnames": {}}}}


def values(document: dict[str, Any]) -> list[list[int]]:
    netlist = GateNetlist.read(document, "top", "ecp5")
    found: list[list[int]] = simulate(netlist, {"x": np.arange(64)})["y"].tolist()
    return found


@pytest.mark.parametrize("place", ["A", "B"])
@pytest.mark.parametrize("init", [0x600A, 0x900A])
def test_every_table_of_two_inputs_goes_into_a_sum(init: int, place: str) -> None:
    for table in range(1, 15):
        operands: list[int | str] = [9, 2] if place == "A" else [2, 9]
        document = module(
            lut(table * 0x1111, [3, 4, "0", "0"], 9), carry(init, [*operands, "1", "1"])
        )
        right = values(document)
        improve(document, "ecp5")
        assert types(document)["LUT4"] == 0
        assert values(document) == right


@pytest.mark.parametrize("init", [0x600A, 0x900A])
def test_tables_of_three_inputs_go_where_both_tables_agree(init: int) -> None:
    absorbed = 0
    for table in range(1, 255):
        document = module(lut(table * 0x101, [3, 4, 5, "1"], 9), carry(init, [2, 9, "1", "1"]))
        right = values(document)
        improve(document, "ecp5")
        absorbed += types(document)["LUT4"] == 0
        assert values(document) == right
    assert 0 < absorbed < 254


def test_bits_of_a_table_that_are_not_defined_are_0() -> None:
    document = module(lut(0, [3, 4, "0", "0"], 9), carry(0x600A, [2, 9, "1", "1"]))
    cells = document["modules"]["top"]["cells"]
    cells["cell0"]["parameters"]["INIT"] = "x" * 12 + "0110"
    cells["cell1"]["parameters"]["INIT0"] = "0000xxxxxxxx1000"
    right = values(document)
    improve(document, "ecp5")
    assert types(document)["LUT4"] == 0
    assert values(document) == right


def flip_flop(data: int, output: int, held: str, mode: str) -> dict[str, Any]:
    """A register with clock 20, enable 21 and reset 22."""
    inputs: dict[str, list[int | str]] = {"CLK": [20], "CE": [21], "LSR": [22], "DI": [data]}
    return {
        "type": "TRELLIS_FF",
        "parameters": {"CEMUX": "CE", "CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": held,
                       "SRMODE": mode, "GSR": "DISABLED"},
        "port_directions": {**dict.fromkeys(inputs, "input"), "Q": "output"},
        "connections": {**inputs, "Q": [output]},
    }  # fmt: skip


@pytest.mark.parametrize("mode", ["LSR_OVER_CE", "CE_OVER_LSR", "ASYNC"])
@pytest.mark.parametrize("held", ["RESET", "SET"])
def test_registers_of_the_other_value_are_reset_to_it(held: str, mode: str) -> None:
    cells = {
        "inverter": lut(0x5555, [2, "0", "0", "0"], 9),
        "register": flip_flop(9, 10, held, mode),
        "table": lut(0x8888, [10, 3, "0", "0"], 11),
    }
    ports = {name: {"direction": "input", "bits": [bit]} for name, bit in
             (("clk", 20), ("en", 21), ("rst", 22), ("x", 2), ("z", 3))}  # fmt: skip
    ports["y"] = {"direction": "output", "bits": [11]}
    document = {"modules": {"top": {"ports": ports, "cells": cells, "netnames": {}}}}
    rng = RNG(7)
    stimuli = {"en": rng.integers(0, 2, 300), "rst": rng.integers(0, 8, 300) == 0,
               "x": rng.integers(0, 2, 300), "z": rng.integers(0, 4, 300) > 0}  # fmt: skip
    stimuli = {name: np.asarray(array, np.int64) for name, array in stimuli.items()}
    right = simulate(GateNetlist.read(document, "top", "ecp5"), stimuli)["y"]
    improve(document, "ecp5")
    assert set(cells) == {"register", "table"}
    assert cells["register"]["parameters"]["REGSET"] != held
    found = simulate(GateNetlist.read(document, "top", "ecp5"), stimuli)["y"]
    assert np.array_equal(found, right)
    cells["register"]["parameters"]["REGSET"] = held
    wrong = simulate(GateNetlist.read(document, "top", "ecp5"), stimuli)["y"]
    assert not np.array_equal(wrong, right)


@pytest.mark.parametrize(
    "case",
    ["read by a port", "four inputs", "a name that is kept", "both operands", "used place"],
)
def test_tables_that_stay(case: str) -> None:
    table, operands = lut(0x6666, [3, 4, "0", "0"], 9), [2, 9, "1", "1"]
    cells = [table]
    if case == "four inputs":
        cells = [lut(0x6996, [3, 4, 5, 6], 9)]
    if case == "both operands":
        cells.append(lut(0x8888, [5, 6, "0", "0"], 13))
        operands = [13, 9, "1", "1"]
    if case == "used place":
        operands = [2, 9, 3, "1"]
    document = module(*cells, carry(0x600A, operands))
    if case == "read by a port":
        document["modules"]["top"]["ports"]["y"]["bits"].append(9)
    if case == "a name that is kept":
        document["modules"]["top"]["netnames"]["n"] = {"bits": [9], "attributes": {"keep": "1"}}
    right = values(document)
    improve(document, "ecp5")
    assert types(document)["LUT4"] == 1
    assert values(document) == right


@pytest.mark.parametrize("table", [0x5555, 0xAAAA])
def test_multiplexers_read_look_up_tables_only(table: int) -> None:
    document = module(lut(table, [3, "0", "0", "0"], 9), lut(0x6666, [4, 5, "0", "0"], 13))
    cells = document["modules"]["top"]["cells"]
    ports = {"ALUT": [13], "BLUT": [9], "C0": [2], "Z": [11]}
    directions = {port: "output" if port == "Z" else "input" for port in ports}
    cells["mux"] = {
        "type": "PFUMX", "parameters": {}, "port_directions": directions, "connections": ports
    }  # fmt: skip
    before = copy.deepcopy(cells)
    improve(document, "ecp5")
    assert {name: cells[name] for name in ("cell0", "cell1", "mux")} == {
        name: before[name] for name in ("cell0", "cell1", "mux")
    }


def test_other_families_are_left_alone() -> None:
    document = module(lut(0x6666, [3, 4, "0", "0"], 9), carry(0x600A, [2, 9, "1", "1"]))
    before = copy.deepcopy(document)
    improve(document, "gowin")
    assert document == before


@needs_yosys
@pytest.mark.slow
def test_registers_with_inverters_hold_the_other_value() -> None:
    document = synthesized(MIXED, "mixed", "ecp5")
    before, count = GateNetlist.read(document, "mixed", "ecp5"), types(document)
    improve(document, "ecp5")
    assert types(document)["LUT4"] < count["LUT4"] - 15
    assert types(document)["TRELLIS_FF"] == count["TRELLIS_FF"]
    held = {cell["parameters"]["REGSET"] for cell in document["modules"]["mixed"]["cells"].values()
            if cell["type"] == "TRELLIS_FF"}  # fmt: skip
    assert held == {"SET", "RESET"}
    after = GateNetlist.read(document, "mixed", "ecp5")
    stimuli = {"x": RNG(1).integers(0, 256, 400), "y": RNG(2).integers(0, 256, 400),
               "z": RNG(3).integers(0, 16, 400)}  # fmt: skip
    right, found = simulate(before, stimuli), simulate(after, stimuli)
    for port in ("q", "r", "toggle"):  # from the first clocks on: what registers hold then counts
        assert np.array_equal(found[port], right[port]), port


def planted(document: dict[str, Any]) -> dict[str, Any]:
    """The netlist with one place of a chain inverted."""
    wrong = copy.deepcopy(document)
    cell = next(c for c in wrong["modules"]["sums"]["cells"].values() if c["type"] == "CCU2C")
    cell["parameters"]["INIT1"] = f"{int(cell['parameters']['INIT1'], 2) ^ 0xFF00:016b}"
    return wrong


@needs_yosys
@pytest.mark.slow
def test_resets_and_enables_stay_right() -> None:
    document = synthesized(SUM, "sums", "ecp5")
    improve(document, "ecp5")
    assert not sums_differ(GateNetlist.read(document, "sums", "ecp5"))
    assert sums_differ(GateNetlist.read(planted(document), "sums", "ecp5"))
