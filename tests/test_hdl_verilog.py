"""Verilog of the hardware description: its text, and what it means in a simulation."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from installed import needs_iverilog

from actc.approx.fixed_point import FixedPoint
from actc.errors import ToolFailed
from actc.targets.fpga.hdl import Graph, Module, Output, Range, Wire, evaluate, write_verilog
from actc.targets.fpga.hdl.verilog import module_identifier
from actc.targets.fpga.simulation import simulate_unit, simulate_units

# -- Verilog -----------------------------------------------------------------------------


@st.composite
def random_modules(draw: st.DrawFn) -> Module:
    """Modules of one input x and one output y, of random operators."""
    graph = Graph()
    low = draw(st.integers(-40, 20))
    x = graph.input("x", Range(low, low + draw(st.integers(1, 60))))
    wires: list[Wire] = [x]
    for _ in range(draw(st.integers(1, 10))):
        a, b = draw(st.sampled_from(wires)), draw(st.sampled_from(wires))
        wires.append(draw(st.sampled_from(results(graph, a, b))))
    y = wires[-1]
    return Module(
        draw(st.sampled_from(["unit", "reg", "a b"])), (x,), (Output("y", y, y.width + 1),)
    )


def results(graph: Graph, a: Wire, b: Wire) -> list[Wire]:
    """One wire per operator; none too wide."""
    bit, low = a.bits(1, 1), b.bits(0, 3)
    found = [
        a + b, a - b, -a, ~b, a + 5, a - 3, 7 - b, a << 2, a >> 1, b >> 9, a < b, a >= b,
        a.equals(b), a.differs(b), a.bits(0, 2), b.bits(2, 9), a.bits(1, 4, signed=True),
        bit & (a < b), bit | (b < 4), bit ^ (a < 3), low.reaches(5),
        graph.concatenate((bit, 2), (low, 3)), graph.select(bit, [a, b]),
        graph.select(low, [a, b, -7, a, 3, b, b, a]), a.saturate(Range(-5, 9)),
        graph.lookup(low, [3, -1, 4, -1, 5, -9, 2, 6]),
        graph.lookup(low, [3, 1, 4, 1, 5, 9, 2, 6], memory=True), a.narrow(a.range, "").named("t"),
    ]  # fmt: skip
    if a.width + b.width < 24:
        found.append(a * b)
    return [wire for wire in found if wire.width < 24]


@needs_iverilog
@given(st.data())
@settings(max_examples=8, deadline=None, phases=[Phase.generate])  # shrinking takes minutes
def test_verilog_means_what_the_evaluator_computes(data: st.DataObject) -> None:
    modules = [data.draw(random_modules()) for _ in range(30)]
    source, units, expected = "", {}, {}
    for number, module in enumerate(modules):
        named = Module(f"{module.name} {number}", module.inputs, module.outputs)
        top = module_identifier(named)
        (x,), (y,) = named.inputs, named.outputs
        codes = np.arange(x.range.low, x.range.high + 1)
        source += write_verilog(named)
        formats = FixedPoint(x.signed, x.width, 0), FixedPoint(y.wire.signed, y.width, 0)
        units[top] = (codes, *formats, 0)
        expected[top] = evaluate(named, {"x": codes})["y"].tolist()
    found = simulate_units(source, units)
    assert {top: codes.tolist() for top, codes in found.items()} == expected


@given(random_modules())
@settings(max_examples=50, deadline=None)
def test_equal_modules_give_equal_text(module: Module) -> None:
    text = write_verilog(module)
    assert text == write_verilog(module)
    assert text.isascii()
    assert text.endswith("\n")


def test_text_of_a_module() -> None:
    graph = Graph()
    x = graph.input("input", Range(-8, 7))
    y = ((3 * x + 8) >> 4).named("always")
    assert write_verilog(Module("line", (x,), (Output("y", y, 3),), ("of slope 3/16",))) == (
        "// of slope 3/16\n"
        "/* verilator lint_off UNUSED */  // shifts drop low bits, claims drop high ones\n"
        "module line (\n"
        "  input [3:0] input_n,\n"
        "  output [2:0] y\n"
        ");\n"
        "  wire [5:0] product = $signed({{2{input_n[3]}}, input_n}) * $signed(6'd3);\n"
        "  wire [5:0] sum = product + 6'd8;\n"
        "  wire [1:0] always_n = sum[5:4];\n"
        "  assign y = {always_n[1], always_n};\n"
        "endmodule\n"
        "/* verilator lint_on UNUSED */\n"
    )


def test_comments_cannot_leave_their_line() -> None:
    graph = Graph()
    x = graph.input("x", Range(0, 1))
    text = write_verilog(Module("m", (x,), (Output("y", x, 1),), ("a\nendmodule", "b\u2028é")))
    assert text.splitlines()[0].startswith("// a")
    assert all(line.startswith("//") for line in text.splitlines()[:4])
    assert text.isascii()


@needs_iverilog
def test_registers_in_verilog() -> None:
    graph = Graph()
    x = graph.input("x", Range(-8, 7))
    table = graph.lookup(x.bits(0, 4), [(7 * k) % 16 for k in range(16)], memory=True)
    module = Module("delay", (x,), (Output("y", table.register().register(), 4),))
    codes = np.arange(-8, 8)
    u4, s4 = FixedPoint(False, 4, 0), FixedPoint(True, 4, 0)
    assert module.latency == 2
    found = simulate_unit(write_verilog(module), "delay", codes, s4, u4, latency=2)
    assert found.tolist() == [(7 * (k & 15)) % 16 for k in codes]


@needs_iverilog
@pytest.mark.parametrize(("low", "high"), [(0, 8191), (300, 5000), (0, 4096)])
def test_large_tables_in_verilog(low: int, high: int) -> None:
    """Written as a case of cases, with rows that are cut, constant or alike."""
    values = [(k * k >> 11) - 7 if k % 1000 < 900 else 3 for k in range(8192)]
    graph = Graph()
    x = graph.input("x", Range(low, high))
    y = graph.lookup(x, values)
    text = write_verilog(Module("squares", (x,), (Output("y", y, 17),)))
    u13, s17 = FixedPoint(False, 13, 0), FixedPoint(True, 17, 0)
    codes = np.arange(low, high + 1)
    found = simulate_unit(text, "squares", codes, u13, s17)
    assert found.tolist() == values[low : high + 1]


# -- simulation --------------------------------------------------------------------------


@needs_iverilog
def test_undefined_outputs_are_an_error() -> None:
    source = "module u (input [1:0] x, output [1:0] y);\n  assign y = {x[0], 1'bz};\nendmodule\n"
    u2 = FixedPoint(False, 2, 0)
    with pytest.raises(ToolFailed, match=r"ACT0523.*4 of 4 outputs, 4 of them undefined"):
        simulate_unit(source, "u", u2.codes(), u2, u2)


@needs_iverilog
def test_wrong_source_is_an_error() -> None:
    u2 = FixedPoint(False, 2, 0)
    with pytest.raises(ToolFailed, match="ACT0510"):
        simulate_unit("module u (input x, output y); endmodul\n", "u", u2.codes(), u2, u2)


@needs_iverilog
@pytest.mark.parametrize("spelling", ["s1.0", "u1.0", "s5.0", "u16.0"])
def test_codes_pass_through_a_simulation(spelling: str) -> None:
    form = FixedPoint.parse(spelling)
    vector = f"[{form.bits - 1}:0]"
    source = f"module u (input {vector} x, output {vector} y);\n  assign y = x;\nendmodule\n"
    assert np.array_equal(simulate_unit(source, "u", form.codes(), form, form), form.codes())


def test_an_input_may_be_called_clk() -> None:
    graph = Graph()
    x = graph.input("clk", Range(0, 1))
    text = write_verilog(Module("m", (x,), (Output("y", x.register(), 1),)))
    assert re.search(r"input clk,\s+input clk_2,", text)
    assert "always @(posedge clk)" in text
