"""Synthesis: known designs, logic levels, limits, and what goes wrong."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from installed import needs_yosys

from actc.errors import ActcError, MissingTool, ToolFailed, UsageError
from actc.targets.fpga.families import FAMILIES, SYNTHESIZED, find_family
from actc.targets.fpga.netlist import Netlist
from actc.targets.fpga.synthesis import Source, synthesize, synthesize_all

ADDER = "module add(input [7:0] a, b, output [7:0] s); assign s = a + b; endmodule\n"
LESS = "module less(input [7:0] a, b, output y); assign y = a < b; endmodule\n"
PARITY = "module parity(input [15:0] x, output y); assign y = ^x; endmodule\n"
PRODUCT = "module product(input [9:0] a, b, output [19:0] p); assign p = a * b; endmodule\n"
COUNTER = """module counter(input clk, output reg [3:0] n);
  always @(posedge clk) n <= n + 1;
endmodule
"""
LOOP = "module loop(input x, output y); assign y = ~(x & y); endmodule\n"


def code(problem: ActcError) -> str:
    assert len(problem.diagnostics) == 1
    return problem.diagnostics[0].code


@needs_yosys
def test_an_adder_of_ice40_is_one_cell_per_bit() -> None:
    found = synthesize(ADDER, "add", "ice40")
    assert (found.luts, found.carries, found.depth, found.logic_cells) == (8, 7, 1, 8)
    assert found.cells == {"SB_CARRY": 7, "SB_LUT4": 8}
    assert found.tool.startswith("Yosys 0.")


@needs_yosys
def test_a_comparison_of_ice40_has_carries_without_tables() -> None:
    # eight carries whose cells have no other use, and a table for each inverted operand bit
    found = synthesize(LESS, "less", "ice40")
    assert found.cells["SB_CARRY"] == 8
    assert found.logic_cells == found.luts + 8


@needs_yosys
def test_a_run_of_many_equals_runs_of_one() -> None:
    sources = [Source(ADDER, "add"), Source(PARITY, "parity"), Source(LESS, "less")]
    together = synthesize_all(sources, "ecp5")
    assert together == [synthesize(s.verilog, s.top, "ecp5") for s in sources]
    adder, parity, _ = together
    assert (adder.carries, adder.logic_cells, adder.depth) == (4, 8, 1)
    # at least the tables that 16 inputs need
    assert parity.luts >= 5
    assert parity.depth == 2


@needs_yosys
def test_registers_are_counted_and_end_paths() -> None:
    found = synthesize(COUNTER, "counter", "ice40")
    assert (found.ffs, found.depth) == (4, 1)


@needs_yosys
def test_multipliers_are_hard_only_when_asked_for() -> None:
    soft = synthesize(PRODUCT, "product", "ecp5")
    hard = synthesize(PRODUCT, "product", "ecp5", dsp=True)
    assert (soft.dsps, hard.dsps, hard.luts) == (0, 1, 0)
    assert hard.total == find_family("ecp5").dsp_rate
    assert soft.total == soft.logic_cells > 100  # one per partial product


@pytest.mark.slow
@needs_yosys
@pytest.mark.parametrize("family", SYNTHESIZED)
def test_every_family_knows_its_cells(family: str) -> None:
    kind = find_family(family, SYNTHESIZED)
    sources = [Source(ADDER, "add"), Source(PARITY, "parity"), Source(COUNTER, "counter")]
    sources.append(Source(PRODUCT, "product"))
    for dsp in (False, True):
        for found in synthesize_all(sources, family, dsp=dsp):
            assert all(kind.kind(cell) for cell in found.cells), found.cells
            assert found.total >= found.logic_cells
    adder, parity, counter, product = synthesize_all(sources, family, dsp=True)
    assert adder.carries > 0
    assert parity.luts >= (16 - 1) / (kind.lut_inputs - 1)
    assert counter.ffs == 4
    assert product.dsps == 1


@needs_yosys
def test_a_syntax_error_shows_what_yosys_says() -> None:
    with pytest.raises(ToolFailed) as caught:
        synthesize("module bad(input x output y); endmodule\n", "bad", "ice40")
    assert code(caught.value) == "ACT0510"
    assert "syntax error" in caught.value.diagnostics[0].notes[-1]


@needs_yosys
def test_the_log_is_kept(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed):
        synthesize("module other; endmodule\n", "missing", "ice40", log=tmp_path / "log")
    assert "missing" in (tmp_path / "log").read_text("utf-8")


@needs_yosys
def test_the_time_limit_ends_a_run() -> None:
    with pytest.raises(ToolFailed) as caught:
        synthesize(PRODUCT, "product", "xc7", timeout=0.2)
    assert code(caught.value) == "ACT0511"


@needs_yosys
def test_the_memory_limit_ends_a_run() -> None:
    with pytest.raises(ToolFailed) as caught:
        synthesize(PRODUCT, "product", "ice40", memory=64 << 20)
    assert code(caught.value) in ("ACT0510", "ACT0512")


@needs_yosys
def test_a_combinational_loop_has_no_depth() -> None:
    with pytest.raises(ToolFailed) as caught:
        synthesize(LOOP, "loop", "ice40")
    assert code(caught.value) == "ACT0533"


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        synthesize(ADDER, "add", "virtex")
    assert code(caught.value) == "ACT0530"
    assert all(name in caught.value.diagnostics[0].help for name in FAMILIES)


@pytest.mark.parametrize("name", ["", "1st", "a;b", "a b", "\\x", "tee -o /dev/null"])
def test_names_that_would_be_commands_are_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        synthesize(ADDER, name, "ice40")
    assert code(caught.value) == "ACT0531"


def test_without_pyosys_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingTool) as caught:
        synthesize(ADDER, "add", "ice40")
    assert code(caught.value) == "ACT0503"
    assert "actc[fpga]" in caught.value.diagnostics[0].help


def cell(kind: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> dict[str, Any]:
    directions = dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output")
    connections = {port: [net] for port, net in (inputs | outputs).items()}
    return {"type": kind, "port_directions": directions, "connections": connections}


def netlist(family: str, *cells: dict[str, Any]) -> Netlist:
    document = {"modules": {"m": {"cells": {str(i): c for i, c in enumerate(cells)}}}}
    return Netlist.read(document, "m", find_family(family))


def test_levels_are_tables_on_the_longest_path() -> None:
    chain = [cell("LUT4", {"A": 10 + i, "B": 2}, {"Z": 11 + i}) for i in range(3)]
    muxed = [cell("PFUMX", {"ALUT": 13, "BLUT": 10, "C0": 11}, {"Z": 20})]
    assert netlist("ecp5", *chain, *muxed).depth() == 3
    assert netlist("ecp5", *chain, cell("LUT4", {"A": 20}, {"Z": 21}), *muxed).depth() == 4


def test_a_register_begins_and_ends_paths() -> None:
    first = cell("SB_LUT4", {"I0": 1}, {"O": 2})
    register = cell("SB_DFF", {"D": 2, "C": 9}, {"Q": 3})
    second = [cell("SB_LUT4", {"I0": 3 + i}, {"O": 4 + i}) for i in range(2)]
    assert netlist("ice40", first, register, *second).depth() == 2


@pytest.mark.parametrize(("family", "kind"), [("ecp5", "CCU2C"), ("gowin", "ALU")])
def test_a_carry_chain_is_one_level(family: str, kind: str) -> None:
    links = [cell(kind, {"A0": 1, "CIN": 10 + i}, {"COUT": 11 + i, "S0": 30 + i}) for i in range(5)]
    assert netlist(family, *links).depth() == 1
    after = cell("LUT4", {"A": 34}, {"Z": 50})
    assert netlist(family, *links, after).depth() == 2


def test_carries_share_the_cell_of_their_sum_only() -> None:
    carry = cell("SB_CARRY", {"I0": 1, "I1": 2, "CI": 3}, {"CO": 4})
    own = cell("SB_LUT4", {"I0": "0", "I1": 1, "I2": 2, "I3": 3}, {"O": 5})
    other = cell("SB_LUT4", {"I0": "0", "I1": 1, "I2": 6, "I3": 3}, {"O": 7})
    assert netlist("ice40", carry, own).lonely_carries == 0
    assert netlist("ice40", carry, other).lonely_carries == 1
    assert netlist("ice40", carry, carry, own).lonely_carries == 1


def test_flip_flops_share_the_cell_of_a_table_that_nothing_else_reads() -> None:
    def lone(*cells: dict[str, Any], family: str = "ice40") -> int:
        return netlist(family, *cells).lone_ffs

    table = cell("SB_LUT4", {"I0": 1}, {"O": 2})
    register = cell("SB_DFF", {"D": 2, "C": 9}, {"Q": 3})
    reader = cell("SB_LUT4", {"I0": 2}, {"O": 5})
    assert lone(table, register) == 0
    assert lone(register) == 1  # data of another cell, or of none
    assert lone(table, register, reader) == 1
    assert lone(table, register, register) == 2
    shift = cell("SB_DFFE", {"D": 3, "C": 9}, {"Q": 4})
    assert lone(table, register, shift) == 1
    assert lone(register, family="ecp5") == 0


def test_rates_are_shares_of_the_device() -> None:
    for family in FAMILIES.values():
        assert abs(family.dsp_rate * family.dsps - family.logic_cells) <= family.dsps / 2
        assert abs(family.bram_rate * family.brams - family.logic_cells) <= family.brams / 2
        capacity = {deep + wide.bit_length() for deep, wide in family.bram_shapes}
        assert len(capacity) == 1  # the same memory in other shapes, but for parity bits
