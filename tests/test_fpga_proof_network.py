"""Proofs of networks: functions as they are written, netlists between registers of equal names."""

from __future__ import annotations

import importlib.util
import re
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
    Proof,
    Side,
    UnitProofs,
    prove_stages,
    prove_units,
    read_circuits,
    units,
)

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


@pytest.mark.slow
def test_a_netlist_is_proved_stage_by_stage(netlist: tuple[Design, dict[str, Any]]) -> None:
    verilog_side, netlist_side = read_circuits(sides(*netlist))
    assert prove_stages(verilog_side, netlist_side, 60).proved


@pytest.mark.slow
def test_a_wrong_table_is_refuted_and_confirmed_by_an_input(
    netlist: tuple[Design, dict[str, Any]],
) -> None:
    design, document = netlist
    cells = document["modules"]["net"]["cells"].values()
    parameters = next(c["parameters"] for c in cells if "LUT_INIT" in c["parameters"])
    right = parameters["LUT_INIT"]
    parameters["LUT_INIT"] = right.translate(str.maketrans("01", "10"))
    gold, gate = sides(design, document)
    found = prove_stages(*read_circuits([gold, gate]), 60)
    assert found.status == "refuted"
    confirmed = proofs._confirmed(found, gold, gate, design.latency or 0)
    parameters["LUT_INIT"] = right
    assert confirmed.counterexample is not None
    x = confirmed.counterexample.inputs["x"]
    codes = np.array([[x >> 5 * n & 31 for n in range(3)]])
    latency = design.latency or 0
    (value,) = design.evaluate({"x": np.repeat(codes, latency + 1, axis=0)})["y"][-1]
    width = design.outputs[0].width
    assert confirmed.counterexample.gold["y"] == int(value) & ((1 << width) - 1)
    assert confirmed.counterexample.gate["y"] != confirmed.counterexample.gold["y"]


def test_registers_without_a_counterpart_leave_it_undecided() -> None:
    chain = """module net(input clk, input x, output reg y);
  reg {0};
  always @(posedge clk) {1}
endmodule
"""
    texts = []
    for prefix in "ab":
        names = [f"{prefix}{n}" for n in range(5)]
        steps = zip([*names, "y"], ["x", *names], strict=True)
        body = " ".join(f"{to} <= {source};" for to, source in steps)
        texts.append(chain.format(", ".join(names), f"begin {body} end"))
    gold, gate = read_circuits([Side("net", text) for text in texts])
    found = prove_stages(gold, gate, 60)
    assert found.status == "undecided"
    assert "no counterpart" in found.reason
    assert prove_stages(gold, gold, 60).proved


def test_feedback_is_not_proved() -> None:
    text = """module net(input clk, input x, output reg y);
  always @(posedge clk) y <= y ^ x;
endmodule
"""
    (circuit,) = read_circuits([Side("net", text)])
    found = prove_stages(circuit, circuit, 60)
    assert found.status == "undecided"
    assert "feedback" in found.reason


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
