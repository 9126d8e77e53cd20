"""Proofs of networks: functions as they are written, and netlists as a whole."""

from __future__ import annotations

import copy
import importlib.util
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fpga_tools import synthesized

from actc.errors import ToolFailed
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Bus, Design, Graph, Range
from actc.targets.fpga.hdl.design import Span
from actc.targets.fpga.hdl.hierarchy import write_design
from actc.targets.fpga.ladder import proofs
from actc.targets.fpga.network.builder import plain_table
from actc.targets.fpga.network.elements import Unit
from actc.targets.fpga.pipeline import find_timing, pipeline
from actc.targets.fpga.proof import (
    Circuit,
    Proof,
    Side,
    UnitProofs,
    prove_pipelines,
    prove_units,
    read_circuits,
    units,
)
from actc.targets.fpga.proof.thresholds import occurs

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pyosys") is None, reason="pyosys is not installed"
)


def table(range: Range) -> StepFunction:
    """A hill, without symmetry."""
    codes = np.arange(range.low, range.high + 1)
    return StepFunction.of(range, np.clip((codes * 5) >> 3, -3, 9) ^ (codes > 11))


def network(bits: int = 5) -> tuple[Design, tuple[Unit, ...], StepFunction]:
    """Two sums, the same function behind both, and their difference; with registers."""
    graph = Graph()
    x = [graph.input(f"x_{n}", Range.unsigned(bits)) for n in range(3)]
    found, function = [], table(Range(-(1 << bits) + 1, (1 << bits) - 1))
    with graph.scope("layer"):
        sums = [x[0] - x[1], x[2] - x[1]]
        ends = [plain_table(one, function) for one in sums]
        found = [Unit(s, e, s, function, function, ()) for s, e in zip(sums, ends, strict=True)]
        y = ends[0] - ends[1]
    design = Design(
        "net",
        (Bus("x", (3,), tuple(x), bits, False),),
        (Bus("y", (1,), (y,), y.width, y.signed),),
        (),
        tuple(Span(unit.start, unit.end) for unit in found),
    )
    return pipeline(design, find_timing("ice40-hx"), clock_mhz=150.0), tuple(found), function


def verilog(design: Design) -> str:
    return "".join(write_design(design).values())


def proved(design: Design, text: str, found: tuple[Unit, ...]) -> UnitProofs:
    (circuit,) = read_circuits([Side("net", text)])
    return prove_units(circuit, design, found, 20)


def wrong_entry(text: str) -> str:
    """The Verilog with a constant of the first table changed."""
    found = re.search(r"_table = \d+'d(\d+);", text)
    assert found is not None
    start, end = found.span(1)
    return f"{text[:start]}{int(found[1]) ^ 1}{text[end:]}"


# --- functions


def test_every_function_is_evaluated_on_every_input() -> None:
    design, found, _ = network()
    proofs = proved(design, verilog(design), found)
    assert (proofs.units, proofs.evaluated, proofs.solved) == (2, 1, 0)  # equal ones once
    assert not proofs.refuted
    assert not proofs.undecided


def test_inputs_are_evaluated_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "_PART", 5)
    design, found, _ = network()
    assert proved(design, verilog(design), found).evaluated == 1
    assert len(proved(design, wrong_entry(verilog(design)), found).refuted) == 1


def test_wide_functions_are_proved_by_sat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "WORK", 0)
    design, found, _ = network()
    proofs = proved(design, verilog(design), found)
    assert (proofs.evaluated, proofs.solved) == (0, 1)
    assert not proofs.refuted


@pytest.mark.parametrize("work", [units.WORK, 0])
def test_a_wrong_entry_is_refuted_with_its_input(
    work: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "WORK", work)
    design, found, function = network()
    proofs = proved(design, wrong_entry(verilog(design)), found)
    (refuted,) = proofs.refuted
    found_words = re.fullmatch(r"(.*) = (-?\d+) gives (-?\d+), not (-?\d+)", refuted)
    assert found_words is not None
    where, given, gives, wants = found_words.groups()
    assert where.startswith("layer: layer.")
    assert function.evaluate(int(given)) == int(wants)
    assert int(gives) == int(wants) ^ 1


def test_what_is_no_function_of_its_input_is_not_called_proved() -> None:
    design, found, _ = network()
    mixed = Design(
        design.name, design.inputs, design.outputs, (),
        tuple(Span(span.start, design.outputs[0].wires[0]) for span in design.spans),
    )  # fmt: skip
    proofs = proved(mixed, verilog(design), found)
    assert proofs.evaluated == proofs.solved == 0
    assert any("reads more than its input" in reason for reason in proofs.undecided)


def test_an_input_without_values_proves_nothing() -> None:
    """Both of its bits are written as 1, but 2 is the largest value that it can have."""
    x = Graph().input("x", Range(0, 2))
    zero = StepFunction.of(x.range, np.zeros(3, np.int64))
    unit = Unit(x, x.graph.constant(0), x, zero, zero, ())
    found = UnitProofs(1)
    problem = units.Problem("layer: x", ("1", "1"), ("0",), (), unit)
    units._evaluate(problem, units._netlist(problem), found)
    assert (found.evaluated, found.undecided) == (0, [f"layer: x: {units.IMPOSSIBLE}"])
    possible = units.Problem("layer: x", ("0", "1"), ("0",), (), unit)
    units._evaluate(possible, units._netlist(possible), found)
    assert found.evaluated == 1


def test_the_solver_proves_nothing_of_an_input_without_values() -> None:
    """Both sides are 0 where the input is not in its range: here they are always equal."""
    x = Graph().input("x", Range(0, 2))
    zero = StepFunction.of(x.range, np.zeros(3, np.int64))
    unit = Unit(x, x.graph.constant(0), x, zero, zero, ())
    found = UnitProofs(1)
    units._solve(units.Problem("layer: x", ("1", "1"), ("1",), (), unit), found, 60)
    assert (found.solved, found.undecided) == (0, [f"layer: x: {units.IMPOSSIBLE}"])
    units._solve(units.Problem("layer: x", ("0", "1"), ("0",), (), unit), found, 60)
    assert found.solved == 1


@pytest.mark.parametrize("signed", [False, True])
def test_which_inputs_can_occur(signed: bool) -> None:
    """As by trying all values of the range, on bits that are constant, equal or free."""
    rng = np.random.default_rng(int(signed))
    nets: list[int | str] = ["0", "1", 2, 3, 4]
    answers = []
    for _ in range(400):
        start = tuple(nets[place] for place in rng.integers(0, len(nets), 5))
        low, high = sorted((rng.integers(0, 32, 2) - 16 * signed).tolist())
        span = Range(min(low, -9) if signed else low, max(high, 16 - 8 * signed))
        x = Graph().input("x", span)
        function = StepFunction.of(span, lambda codes: 0 * codes)
        unit = Unit(x, x.graph.constant(0), x, function, function, ())
        problem = units.Problem("x", start, ("0",), (), unit)
        assert span.width == len(start)
        answers.append(problem.possible(np.arange(span.low, span.high + 1)).any())
        assert occurs(start, span) == answers[-1]
    assert len(set(answers)) == 2


def test_an_input_of_the_network_is_no_function_of_another_wire() -> None:
    design, found, _ = network()
    spans = tuple(Span(span.start, design.inputs[0].wires[0]) for span in design.spans)
    mixed = Design(design.name, design.inputs, design.outputs, (), spans)
    proofs = proved(mixed, verilog(design), found)
    assert proofs.evaluated == proofs.solved == 0
    assert all("not made from its input" in reason for reason in proofs.undecided)


def test_a_net_with_two_drivers_is_refused() -> None:
    text = "module net(input a, b, output y); assign y = a & b; assign y = a | b; endmodule\n"
    with pytest.raises(ToolFailed) as caught:
        read_circuits([Side("net", text)])
    assert caught.value.diagnostics[0].code == "ACT0604"


def test_the_solver_is_asked_for_a_few_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "WORK", 0)
    monkeypatch.setattr(units, "SOLVED", 0)
    design, found, _ = network()
    proofs = proved(design, verilog(design), found)
    assert len(proofs.undecided) == proofs.distinct == 1


# --- netlists


@pytest.fixture(scope="module")
def netlist() -> tuple[Design, dict[str, Any]]:
    design, _, _ = network()
    return design, synthesized(verilog(design), "net", "ice40")


def sides(design: Design, document: dict[str, Any]) -> list[Side]:
    return [Side("net", verilog(design)), Side("net", netlist=document, family="ice40")]


def wrong_table(cells: dict[str, Any]) -> None:
    parameters = next(c["parameters"] for c in cells.values() if "LUT_INIT" in c["parameters"])
    parameters["LUT_INIT"] = parameters["LUT_INIT"].translate(str.maketrans("01", "10"))


def wrong_register(cells: dict[str, Any]) -> None:
    """One takes what another takes, as if they had been merged."""
    first, second = [c["connections"] for c in cells.values() if c["type"] == "SB_DFF"][:2]
    first["D"] = second["D"]


@pytest.mark.slow
def test_a_netlist_is_proved(netlist: tuple[Design, dict[str, Any]]) -> None:
    assert prove_pipelines(*read_circuits(sides(*netlist)), 60).proved


@pytest.mark.slow
@pytest.mark.parametrize("plant", [wrong_table, wrong_register])
def test_a_wrong_cell_is_refuted_with_an_input(
    netlist: tuple[Design, dict[str, Any]], plant: Callable[[dict[str, Any]], None]
) -> None:
    design, document = netlist[0], copy.deepcopy(netlist[1])
    plant(document["modules"]["net"]["cells"])
    found = prove_pipelines(*read_circuits(sides(design, document)), 60)
    assert found.status == "refuted"
    assert found.counterexample is not None
    x = found.counterexample.inputs["x"]
    codes = np.array([[x >> 5 * n & 31 for n in range(3)]])
    latency = design.latency or 0
    (value,) = design.evaluate({"x": np.repeat(codes, latency + 1, axis=0)})["y"][-1]
    width = design.outputs[0].width
    assert found.counterexample.gold["y"] == int(value) & ((1 << width) - 1)
    assert found.counterexample.gate["y"] != found.counterexample.gold["y"]


def circuits(*bodies: str, ports: str = "input [15:0] x, output reg y") -> list[Circuit]:
    """Circuits of the same ports."""
    head = f"module net(input clk, {ports});\n"
    return read_circuits([Side("net", f"{head}{body}\nendmodule\n") for body in bodies])


# the registers of PLAIN: with other names; with equal ones merged; moved behind a table
PLAIN = """  reg [15:0] a, b, c; reg d, e;
  always @(posedge clk) begin
    a <= x; b <= x; c <= a + 3; d <= b[7:0] == 8; e <= b[7:0] == 8; y <= ^c ^ (d & c[2]) ^ e;
  end"""
NAMED = PLAIN.replace("a,", "p,").replace("a <=", "p <=").replace("a + 3", "p + 3")
MERGED = """  reg [15:0] a, c; reg d;
  always @(posedge clk) begin
    a <= x; c <= a + 3; d <= a[7:0] == 8; y <= ^c ^ (d & c[2]) ^ d;
  end"""
MOVED = """  reg [15:0] a, c; reg d, e;
  always @(posedge clk) begin
    a <= x + 3; c <= a; d <= x[7:0] == 8; e <= d; y <= ^c ^ (e & c[2]) ^ e;
  end"""


@pytest.mark.parametrize("text", [NAMED, MERGED, MOVED])
def test_it_does_not_matter_which_registers_there_are(text: str) -> None:
    assert prove_pipelines(*circuits(PLAIN, text), 60).proved


@pytest.mark.parametrize(
    "text",
    [
        MERGED.replace("== 8", "== 9"),
        MERGED.replace("^ d;", "^ c[1];"),  # merged with the wrong one
        MOVED.replace("x + 3", "x + 2"),
    ],
)
def test_registers_that_are_merged_wrongly_are_refuted(text: str) -> None:
    assert prove_pipelines(*circuits(PLAIN, text), 60).counterexample is not None


def test_an_input_among_very_many_is_found_by_the_solver() -> None:
    """No random input shows it."""
    body = "  wire hit = {value};\n  always @(posedge clk) y <= ^x ^ hit;"
    right, wrong = body.format(value="1'b0"), body.format(value="x == 40'h12345abcde")
    ports = "input [39:0] x, output reg y"
    found = prove_pipelines(*circuits(right, wrong, ports=ports), 60)
    assert found.counterexample is not None
    assert found.counterexample.inputs == {"x": 0x12345ABCDE}
    assert found.counterexample.gold["y"] != found.counterexample.gate["y"]


def test_a_latency_that_differs_is_not_proved() -> None:
    late = PLAIN.replace("y <=", "z <=").replace("end", "y <= z; end").replace("d, e", "d, e, z")
    found = prove_pipelines(*circuits(PLAIN, late), 60)
    assert (found.status, found.reason) == ("undecided", "y[0] comes after 4 clocks, not 3")


@pytest.mark.parametrize(
    ("ports", "reason"),
    [
        ("input [9:0] z, output reg y", "inputs of one are x[40], of the other z[10]"),
        ("input [39:0] x, output reg w", "outputs of one are y[1], of the other w[1]"),
        ("input [39:0] x, output reg [1:0] y", "outputs of one are y[1], of the other y[2]"),
        ("input [39:0] x, input z, output reg y", "x[40], of the other x[40], z[1]"),
    ],
)
def test_circuits_of_other_ports_are_not_proved(ports: str, reason: str) -> None:
    plain, other = "input [39:0] x, output reg y", ports.split()[-1]
    read = "^z" if "z" in ports else "^x"
    (gold,) = circuits("  always @(posedge clk) y <= ^x;", ports=plain)
    (gate,) = circuits(f"  always @(posedge clk) {other} <= {read};", ports=ports)
    for found in (prove_pipelines(gold, gate, 60), prove_pipelines(gate, gold, 60)):
        assert found.status == "undecided"
        assert found.counterexample is None
    assert reason in prove_pipelines(gold, gate, 60).reason


def test_bits_that_are_not_defined_are_not_proved() -> None:
    given = "  always @(posedge clk) y <= x[0] ? 1'b{} : x[1];"
    undefined, zero, one = circuits(given.format("x"), given.format("0"), given.format("1"))
    assert prove_pipelines(zero, zero, 60).proved
    for gold, gate in [(undefined, zero), (undefined, one), (zero, undefined)]:
        found = prove_pipelines(gold, gate, 60)
        assert (found.status, found.reason) == ("undecided", "a bit of it is not defined")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("  always @(posedge clk) y <= y ^ x[0];", "feedback"),
        ("  reg a; always @(posedge clk) begin a <= x[0]; y <= a ^ x[1]; end", "different number"),
    ],
)
def test_what_is_no_pipeline_is_not_proved(body: str, reason: str) -> None:
    (circuit,) = circuits(body)
    found = prove_pipelines(circuit, circuit, 60)
    assert found.status == "undecided"
    assert reason in found.reason


def test_a_latch_is_refused() -> None:
    text = "module net(input e, input x, output reg y); always @* if (e) y = x; endmodule\n"
    with pytest.raises(ToolFailed) as caught:
        read_circuits([Side("net", text)])
    assert caught.value.diagnostics[0].code == "ACT0604"


# --- what the report says


def test_undecided_is_never_success() -> None:
    rung = proofs._of_netlist(Proof("undecided", 1.0, None, "the solver gave up"), 9)
    assert (rung.result, rung.detail) == ("not run", "undecided: the solver gave up")
    found = UnitProofs(3, evaluated=1, undecided=["layer: sum: the solver gave up"])
    rung = proofs._of_units(found, 1)
    assert rung.result == "not run"
    assert "1 undecided (layer: sum: the solver gave up)" in rung.detail
    assert proofs._of_units(UnitProofs(1, refuted=["layer: sum = 3 gives 4, not 5"]), 1) == (
        proofs.Rung(proofs.UNITS, "differs", "layer: sum = 3 gives 4, not 5")
    )
