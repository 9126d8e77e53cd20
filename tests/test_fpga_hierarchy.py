"""Designs as Verilog, one module per layer; simulated through test_fpga_rtl_simulation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fpga_designs import random_designs
from hypothesis import given, settings
from installed import needs_verilator

from actc import toolchain
from actc.targets.fpga.hdl import Bus, Design, Graph, Range, Wire
from actc.targets.fpga.hdl.hierarchy import hierarchy, write_design


def three_layers() -> Design:
    graph = Graph()
    x = [graph.input(f"x_{n}", Range(-8, 7)) for n in range(2)]
    with graph.scope("fc1"):
        total = (x[0] + x[1]).named("total")
        low = x[1].bits(0, 2)
    with graph.scope("act/1"):
        table = graph.lookup(total.bits(0, 2), [3, 1, 2, 0], memory=True).register()
    with graph.scope("fc1"):
        late = table + low
    return Design(
        "my net",
        (Bus("x", (2,), tuple(x), 4, True),),
        (Bus("y", (2,), (late.register(), total), 6, True),),
        ("a net\nendmodule",),
    )


def test_text_of_a_design() -> None:
    files = write_design(three_layers())
    assert list(files) == ["my_net.v", "my_net_fc1.v", "my_net_act_1.v", "my_net_fc1_2.v"]
    assert files["my_net.v"] == (
        "// a net\n"
        "// endmodule\n"
        "/* verilator lint_off UNUSED */  // shifts drop low bits, claims drop high ones\n"
        "module my_net (\n"
        "  input clk,\n"
        "  input [7:0] x,\n"
        "  output [11:0] y\n"
        ");\n"
        "  wire [3:0] x_0 = x[3:0];\n"
        "  wire [3:0] x_1 = x[7:4];\n"
        "  wire [4:0] total;\n"
        "  wire [1:0] act_1_register;\n"
        "  wire [2:0] fc1_sum;\n"
        "  reg [2:0] register;\n"
        "  initial register = 3'd0;\n"
        "  always @(posedge clk) register <= fc1_sum;\n"
        "  my_net_fc1 fc1 (\n"
        "    .x_0(x_0),\n"
        "    .x_1(x_1),\n"
        "    .total(total)\n"
        "  );\n"
        "  my_net_act_1 act_1 (\n"
        "    .clk(clk),\n"
        "    .total(total),\n"
        "    .act_1_register(act_1_register)\n"
        "  );\n"
        "  my_net_fc1_2 fc1_2 (\n"
        "    .x_1(x_1),\n"
        "    .act_1_register(act_1_register),\n"
        "    .fc1_sum(fc1_sum)\n"
        "  );\n"
        "  assign y = {\n"
        "    {total[4], total},\n"
        "    {3'd0, register}\n"
        "  };\n"
        "endmodule\n"
        "/* verilator lint_on UNUSED */\n"
    )
    assert files["my_net_act_1.v"] == (
        "// act/1 of my net\n"
        "/* verilator lint_off UNUSED */  // shifts drop low bits, claims drop high ones\n"
        "module my_net_act_1 (\n"
        "  input clk,\n"
        "  input [4:0] total,\n"
        "  output reg [1:0] act_1_register\n"
        ");\n"
        '  (* rom_style = "block" *) reg [1:0] entry_table [0:3];\n'
        "  initial begin\n"
        "    entry_table[0] = 2'd3;\n"
        "    entry_table[1] = 2'd1;\n"
        "    entry_table[2] = 2'd2;\n"
        "    entry_table[3] = 2'd0;\n"
        "  end\n"
        "  wire [1:0] entry = entry_table[total[1:0]];\n"
        "  initial act_1_register = 2'd0;\n"
        "  always @(posedge clk) act_1_register <= entry;\n"
        "endmodule\n"
        "/* verilator lint_on UNUSED */\n"
    )


def test_a_part_crosses_alone_if_its_whole_stays() -> None:
    graph = Graph()
    x = graph.input("x", Range(0, 255))
    with graph.scope("a"):
        high = (x * 3).bits(6, 4)
    with graph.scope("b"):
        y = high + 1
    design = Design("top", (Bus("x", (), (x,), 8, False),), (Bus("y", (), (y,), 5, False),))
    (a, b) = hierarchy(design).parts
    assert (a.outputs, b.inputs) == ((high,), (high,))
    assert "output [3:0] a_bits\n" in write_design(design)["top_a.v"]


def test_ports_called_like_the_clock_and_the_module() -> None:
    graph = Graph()
    x, y = graph.input("clk_0", Range(0, 1)), graph.input("address", Range(0, 3))
    with graph.scope("clk"):
        z = graph.lookup(y, [0, 3, 5, 6]) + x
    design = Design(
        "net",
        (Bus("clk", (1,), (x,), 1, False), Bus("address", (), (y,), 2, False)),
        (Bus("net", (), (z.register(),), 3, False),),
    )
    found = hierarchy(design)
    assert found.ports == {"clk": "clk_2", "address": "address_2", "net": "net_2"}
    assert [part.instance for part in found.parts] == ["clk_3"]


def test_a_design_without_layers_or_logic() -> None:
    graph = Graph()
    x = graph.input("x", Range(0, 7))
    design = Design(
        "wires",
        (Bus("x", (), (x,), 4, False),),
        (Bus("y", (2,), (x.bits(1, 2), graph.constant(-1)), 3, True),),
    )
    files = write_design(design)
    assert list(files) == ["wires.v"]
    assert "clk" not in files["wires.v"]
    assert "{1'd0, x_2[2:1]}" in files["wires.v"]


def instances_in_order(design: Design) -> bool:
    """Whether no instance reads what a later one drives."""
    known: set[int] = set()
    outputs = {wire.index for part in hierarchy(design).parts for wire in part.outputs}
    for part in hierarchy(design).parts:
        if not {wire.index for wire in part.inputs} & outputs <= known | top_wires(design):
            return False
        known |= {wire.index for wire in part.outputs}
    return True


def declared_before_use(text: str) -> bool:
    """Whether instances read only nets that are declared above them.

    An implicit net is a single bit, and declaring it again later is an error for most tools.
    """
    known: set[str] = set()
    for line in text.splitlines():
        known |= set(re.findall(r"^  (?:input|output|wire|reg) (?:\[\S+\] )?(\w+)", line))
        if not set(re.findall(r"^    \.\w+\((\w+)\)", line)) <= known:
            return False
    return True


def top_wires(design: Design) -> set[int]:
    return {wire.index for wire in hierarchy(design).wires}


@given(random_designs())
@settings(max_examples=40, deadline=None)
def test_random_designs_are_written_whole(design: Design) -> None:
    files = write_design(design)
    assert files == write_design(design)
    assert instances_in_order(design)
    assert declared_before_use(files[f"{hierarchy(design).top}.v"])
    written: list[Wire] = list(hierarchy(design).wires)
    for part in hierarchy(design).parts:
        assert part.wires
        written += part.wires
        text = files[f"{part.module}.v"]
        assert text.isascii()
        assert len(re.findall(r"^  output ", text, re.M)) == len(part.outputs)
    assert len({wire.index for wire in written}) == len(written)


@needs_verilator
@given(random_designs())
@settings(max_examples=4, deadline=None)
def test_linters_are_silent(tmp_path_factory: pytest.TempPathFactory, design: Design) -> None:
    lint(write_design(design), tmp_path_factory.mktemp("lint"))


@needs_verilator
def test_linters_are_silent_about_layers(tmp_path: Path) -> None:
    lint(write_design(three_layers()), tmp_path)


def lint(files: dict[str, str], folder: Path) -> None:
    for name, text in files.items():
        (folder / name).write_text(text, "ascii")
    top = next(iter(files))
    argv = ["verilator", "--lint-only", "-Wall", "--top-module", top[:-2], *files]
    toolchain.run(argv, timeout=60, cwd=folder)


@pytest.mark.parametrize("layer", ["stream", "uart", "spi", "stream_tb"])
def test_no_layer_has_the_name_of_a_module_around_the_design(layer: str) -> None:
    graph = Graph()
    x = graph.input("x_0", Range(-8, 7))
    with graph.scope(f"/{layer}"):
        y = x + 3
    inputs, outputs = Bus("x", (1,), (x,), 4, True), Bus("y", (1,), (y,), 5, True)
    files = write_design(Design("net", (inputs,), (outputs,)))
    assert "net.v" in files
    assert f"net_{layer}.v" not in files
    assert len(files) == 2


@pytest.mark.parametrize("name", ["verilator lint_off", "synthesis translate_off", "Synopsys x"])
def test_names_of_a_model_are_no_directives(name: str) -> None:
    graph = Graph()
    x = graph.input("x_0", Range(-8, 7))
    with graph.scope(name):
        y = x + 3
    inputs, outputs = Bus("x", (1,), (x,), 4, True), Bus("y", (1,), (y,), 5, True)
    text = "".join(write_design(Design("net", (inputs,), (outputs,))).values())
    assert f"// - {name}" in text
    assert f"// {name}" not in text
