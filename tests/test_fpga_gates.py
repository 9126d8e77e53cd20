"""Gate netlists: every cell beside its vendor's model, and whole netlists beside their RTL."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from fpga_tools import SUM, number, sums_differ, synthesized
from hypothesis import given
from hypothesis import strategies as st
from vendor_cells import Case, simulate_vendor

from actc.errors import ToolFailed
from actc.targets.fpga.gates import (
    GateNetlist,
    Simulation,
    bus_bits,
    bus_values,
    compare,
    compare_values,
    evaluate,
    simulate,
)
from actc.targets.fpga.gates.logic import ONE, ZERO, Table, simplified
from actc.targets.fpga.gates.netlist import MODELS
from actc.targets.fpga.hdl import Bus, Design, Graph, Range
from actc.targets.fpga.hdl.hierarchy import write_design

Bits = npt.NDArray[np.uint8]

needs_iverilog = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="Icarus Verilog is not installed (apt: iverilog)"
)
needs_yosys = pytest.mark.skipif(
    importlib.util.find_spec("pyosys") is None, reason="pyosys is not installed"
)
RNG = np.random.default_rng
CLOCKS = 300
WORDS = {f"INIT_{row:X}": 256 for row in range(16)}


def numbers(rng: np.random.Generator, bits: int) -> int:
    return int.from_bytes(rng.bytes(-(-bits // 8)), "little") % (1 << bits)


def ice40_cases(rng: np.random.Generator) -> Iterator[Case]:
    four = {f"I{i}": 1 for i in range(4)}
    for _ in range(4):
        yield Case("SB_LUT4", {"LUT_INIT": (16, numbers(rng, 16))}, four, {"O": 1})
    yield Case("SB_CARRY", {}, {"I0": 1, "I1": 1, "CI": 1}, {"CO": 1})
    yield Case("SB_GB", {}, {"USER_SIGNAL_TO_GLOBAL_BUFFER": 1}, {"GLOBAL_BUFFER_OUTPUT": 1})
    for kind in [name for name in MODELS["ice40"] if name.startswith("SB_DFF")]:
        ports = {"D": 1}
        rest = kind.removeprefix("SB_DFF").removeprefix("N")
        if rest.startswith("E"):
            ports["E"] = 1
        reset = rest.removeprefix("E")
        if reset:
            ports["S" if reset in ("S", "SS") else "R"] = 1
        yield Case(kind, {}, ports, {"Q": 1}, ("C",))
    yield from ice40_memories(rng)
    yield from ice40_logic_cells(rng)


def ice40_memories(rng: np.random.Generator) -> Iterator[Case]:
    ports = {"RE": 1, "RCLKE": 1, "RADDR": 11, "WE": 1, "WCLKE": 1, "WADDR": 11}
    ports |= {"MASK": 16, "WDATA": 16}
    for mode in range(4):
        contents = {name: (bits, numbers(rng, bits)) for name, bits in WORDS.items()}
        modes = {"READ_MODE": (2, mode), "WRITE_MODE": (2, 3 - mode)}
        for pins in ("", "NR", "NW", "NRNW") if mode == 1 else ("",):
            clocks = ("RCLKN" if "NR" in pins else "RCLK", "WCLKN" if "NW" in pins else "WCLK")
            yield Case(f"SB_RAM40_4K{pins}", contents | modes, ports, {"RDATA": 16}, clocks)


def ice40_logic_cells(rng: np.random.Generator) -> Iterator[Case]:
    ports = {f"I{i}": 1 for i in range(4)} | {"CIN": 1, "CEN": 1, "SR": 1}
    for setting in range(16):
        flags = {
            "DFF_ENABLE": setting & 1,
            "SET_NORESET": setting >> 1 & 1,
            "ASYNC_SR": setting >> 2 & 1,
            "NEG_CLK": setting >> 3 & 1,
            "CIN_CONST": int(rng.integers(2)),
            "CIN_SET": int(rng.integers(2)),
            "CARRY_ENABLE": 1,
        }
        parameters = {name: (1, value) for name, value in flags.items()}
        parameters["LUT_INIT"] = (16, numbers(rng, 16))
        outputs = {"O": 1, "LO": 1, "COUT": 1}
        yield Case("ICESTORM_LC", parameters, ports, outputs, ("CLK",))


def ecp5_cases(rng: np.random.Generator) -> Iterator[Case]:
    four = dict.fromkeys("ABCD", 1)
    for _ in range(4):
        yield Case("LUT4", {"INIT": (16, numbers(rng, 16))}, four, {"Z": 1})
    yield Case("LUT2", {"INIT": (4, 6)}, {"A": 1, "B": 1}, {"Z": 1})
    yield Case("PFUMX", {}, {"ALUT": 1, "BLUT": 1, "C0": 1}, {"Z": 1})
    yield Case("L6MUX21", {}, {"D0": 1, "D1": 1, "SD": 1}, {"Z": 1})
    yield Case("INV", {}, {"A": 1}, {"Z": 1})
    yield Case("VHI", {}, {}, {"Z": 1})
    yield Case("VLO", {}, {}, {"Z": 1})
    eight = {f"{name}{half}": 1 for half in "01" for name in "ABCD"} | {"CIN": 1}
    for first in ("YES", "NO"):
        for second in ("YES", "NO"):
            parameters: dict[str, tuple[int, int] | str] = {
                "INIT0": (16, numbers(rng, 16)),
                "INIT1": (16, numbers(rng, 16)),
                "INJECT1_0": first,
                "INJECT1_1": second,
            }
            yield Case("CCU2C", parameters, eight, {"S0": 1, "S1": 1, "COUT": 1})
    yield from ecp5_flip_flops()
    yield from ecp5_slices(rng)
    ports = {"DI": 4, "WAD": 4, "WRE": 1, "RAD": 4}
    for edge in ("WCK", "INV"):
        parameters = {"INITVAL": (64, numbers(rng, 64)), "WCKMUX": edge, "WREMUX": "WRE"}
        yield Case("TRELLIS_DPR16X4", parameters, ports, {"DO": 4}, ("WCK",))


def ecp5_flip_flops() -> Iterator[Case]:
    for enable in ("1", "0", "CE", "INV"):
        for reset in ("LSR", "INV"):
            for mode in ("LSR_OVER_CE", "ASYNC"):
                for value in ("RESET", "SET"):
                    edge = "INV" if (enable, reset) == ("CE", "INV") else "CLK"
                    parameters = {"CEMUX": enable, "LSRMUX": reset, "SRMODE": mode}
                    parameters |= {"REGSET": value, "CLKMUX": edge}
                    ports = {"CE": 1, "LSR": 1, "DI": 1}
                    yield Case("TRELLIS_FF", parameters, ports, {"Q": 1}, ("CLK",))


def ecp5_slices(rng: np.random.Generator) -> Iterator[Case]:
    four = dict.fromkeys("ABCD", 1)
    wide = four | {"M": 1, "F1": 1}
    for mode, ports, outputs in (
        ("LOGIC", wide, {"F": 1, "OFX": 1}),
        # yosys' model does not drive FCO: a local wire hides it
        ("CCU2", four | {"FCI": 1}, {"F": 1}),
    ):
        for inject in ("YES", "NO"):
            init = (16, numbers(rng, 16))
            parameters = {"MODE": mode, "INITVAL": init, "CCU2_INJECT1": inject}
            yield Case("TRELLIS_COMB", parameters, ports, outputs)
    parameters = {"MODE": "DPRAM", "INITVAL": (16, numbers(rng, 16))}
    ports = four | {"WD": 1, "WRE": 1} | {f"WAD{i}": 1 for i in range(4)}
    yield Case("TRELLIS_COMB", parameters, ports, {"F": 1}, ("WCK",))


def table_cases(rng: np.random.Generator, widths: range, output: str) -> Iterator[Case]:
    for width in widths:
        for _ in range(3):
            truth = (1 << width, numbers(rng, 1 << width))
            yield Case(
                f"LUT{width}", {"INIT": truth}, {f"I{i}": 1 for i in range(width)}, {output: 1}
            )


def gowin_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield from table_cases(rng, range(1, 5), "F")
    for width in range(5, 9):
        yield Case(f"MUX2_LUT{width}", {}, {"I0": 1, "I1": 1, "S0": 1}, {"O": 1})
    for mode in range(10):
        ports = {"I0": 1, "I1": 1, "I3": 1, "CIN": 1}
        yield Case("ALU", {"ALU_MODE": (32, mode)}, ports, {"SUM": 1, "COUT": 1})
    resets = {"S": "SET", "R": "RESET", "P": "PRESET", "C": "CLEAR"}
    for kind in [name for name in MODELS["gowin"] if name.startswith("DFF")]:
        rest = kind.removeprefix("DFF").removeprefix("N")
        ports = {"D": 1} | ({"CE": 1} if rest.endswith("E") else {})
        ports |= {resets[rest[0]]: 1} if rest[:1] in resets else {}
        yield Case(kind, {}, ports, {"Q": 1}, ("CLK",))


def xc7_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield from table_cases(rng, range(1, 7), "O")
    for width in (7, 8, 9):
        yield Case(f"MUXF{width}", {}, {"I0": 1, "I1": 1, "S": 1}, {"O": 1})
    yield Case("INV", {}, {"I": 1}, {"O": 1})
    yield Case("CARRY4", {}, {"CI": 1, "CYINIT": 1, "DI": 4, "S": 4}, {"CO": 4, "O": 4})
    for carry in ("SINGLE_CY8", "DUAL_CY4"):
        ports = {"CI": 1, "CI_TOP": 1, "DI": 8, "S": 8}
        yield Case("CARRY8", {"CARRY_TYPE": carry}, ports, {"CO": 8, "O": 8})
    resets = {"R": "R", "S": "S", "C": "CLR", "P": "PRE"}
    for kind, port in resets.items():
        ports = {"D": 1, "CE": 1, port: 1}
        for inverted in range(8):
            names = ("IS_C_INVERTED", "IS_D_INVERTED", f"IS_{port}_INVERTED")
            parameters = {name: (1, inverted >> i & 1) for i, name in enumerate(names)}
            parameters["INIT"] = (1, numbers(rng, 1))
            yield Case(f"FD{kind}E", parameters, ports, {"Q": 1}, ("C",))
        yield Case(f"FD{kind}E_1", {}, ports, {"Q": 1}, ("C",))
    address = {f"A{i}": 1 for i in range(4)}
    for edge in (0, 1):
        parameters = {"INIT": (16, numbers(rng, 16)), "IS_CLK_INVERTED": (1, edge)}
        yield Case("SRL16E", parameters, address | {"CE": 1, "D": 1}, {"Q": 1}, ("CLK",))
    parameters = {"INIT": (32, numbers(rng, 32))}
    yield Case("SRLC32E", parameters, {"A": 5, "CE": 1, "D": 1}, {"Q": 1, "Q31": 1}, ("CLK",))


CASES = {"ice40": ice40_cases, "ecp5": ecp5_cases, "gowin": gowin_cases, "xc7": xc7_cases}


def stimuli(case: Case, rng: np.random.Generator) -> Bits:
    """All inputs of a small combinational cell, else random ones."""
    bits = case.input_bits
    if not case.clocks and bits <= 9:
        return (np.arange(1 << bits)[:, None] >> np.arange(max(bits, 1)) & 1).astype(np.uint8)
    return rng.integers(0, 2, (CLOCKS, bits), np.uint8)


@needs_iverilog
@needs_yosys
@pytest.mark.parametrize("family", CASES)
def test_cells_equal_the_models_of_their_vendor(family: str, tmp_path: Path) -> None:
    import pyosys

    share = Path(str(pyosys.__file__)).parent / "share"
    rng = RNG(1)
    cases = list(CASES[family](rng))
    rows = [stimuli(case, rng) for case in cases]
    vendor = simulate_vendor(family, cases, rows, share, tmp_path)
    for case, applied, right in zip(cases, rows, vendor, strict=True):
        found = case.evaluate(family, applied[:, : case.input_bits])
        known = (right == "0") | (right == "1")
        assert known.mean() > 0.9, case
        assert np.array_equal(found[known], (right == "1")[known]), case


# What a netlist computes


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


def flip_flop(clock: int, data: int, output: int, kind: str = "SB_DFF") -> dict[str, Any]:
    return {
        "type": kind,
        "parameters": {},
        "connections": {"C": [clock], "D": [data], "Q": [output]},
    }


def module(cells: list[dict[str, Any]], **ports: list[int]) -> dict[str, Any]:
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
        {"type": kind, "parameters": {}, "connections": {}} for kind in ("SB_MAC16", "SB_I2C")
    ]
    with pytest.raises(ToolFailed) as caught:
        GateNetlist.read(module(cells, y=[3]), "m", "ice40")
    assert code(caught) == "ACT0570"
    assert "SB_I2C, SB_MAC16" in caught.value.diagnostics[0].message


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([lut4(1, ["0"] * 4, 4), lut4(2, ["0"] * 4, 4)], "ACT0571"),  # two drivers
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
