"""Formal equivalence: what is equal is proved, what is not is refuted by inputs that show it."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from fixed_point_units import unit
from fpga_tools import synthesized

from actc.approx.fixed_table import fit_fixed_table
from actc.approx.gates import FixedForm
from actc.approx.signed_digits import fit_integer_lines
from actc.errors import ToolFailed, UsageError
from actc.targets.fpga.proof import Side, prove_equal, prove_unit
from actc.targets.fpga.proof.equivalence import read_answer
from actc.targets.fpga.units import UnitOptions, unit_verilog

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("pyosys") is None, reason="pyosys is not installed"
)

MEMORY = UnitOptions(lookup="memory")
PIPELINE = """module pipe(input clk, input [11:0] x, output reg [7:0] y);
  reg signed [7:0] s; reg [5:0] late;
  wire signed [5:0] a = x[5:0], b = x[11:6];
  always @(posedge clk) begin
    s <= a + 3 * b; late <= x[5:0];
    y <= s[7] ? s - late : s;
  end
endmodule
"""


def gelu(bits: int) -> FixedForm:
    return fit_integer_lines(unit("GELU", bits, "faithful"), digits=2).form


def test_a_unit_is_proved_equal_to_its_table() -> None:
    form = gelu(8)
    found = prove_unit(unit_verilog(form, "gelu"), "gelu", form)
    assert found.proved
    assert found.counterexample is None


def test_a_unit_with_a_register_is_proved() -> None:
    form = fit_fixed_table(unit("Sigmoid", 6, "correctly_rounded")).form
    verilog = unit_verilog(form, "sigmoid", MEMORY)
    assert prove_unit(verilog, "sigmoid", form, latency=1).proved


@pytest.mark.slow
@pytest.mark.parametrize("options", [UnitOptions(), MEMORY])
def test_a_unit_of_12_bits_is_proved(options: UnitOptions) -> None:
    form = gelu(12)
    latency = int(options.lookup == "memory")
    assert prove_unit(unit_verilog(form, "gelu", options), "gelu", form, latency=latency).proved


def test_one_wrong_entry_is_found() -> None:
    form = fit_fixed_table(unit("Sigmoid", 6, "correctly_rounded")).form
    codes, outputs = form.input.codes(), form.evaluate(form.input.codes())
    verilog = unit_verilog(form, "sigmoid")
    wrong = -5 % form.input.count
    inside = verilog.replace("module sigmoid", "module inner")
    width_in, width_out = form.input.bits, form.output.bits
    planted = f"""{inside}
module sigmoid(input [{width_in - 1}:0] x, output [{width_out - 1}:0] y);
  wire [{width_out - 1}:0] right;
  inner unit(.x(x), .y(right));
  assign y = right ^ (x == {width_in}'d{wrong});
endmodule
"""
    found = prove_unit(planted, "sigmoid", form)
    assert found.status == "refuted"
    assert found.counterexample is not None
    assert found.counterexample.inputs == {"x": wrong}
    right = int(outputs[codes == -5][0]) % form.output.count
    assert found.counterexample.gold == {"y": right}
    assert found.counterexample.gate == {"y": right ^ 1}
    assert str(found.counterexample) == f"for x = {wrong}: y is {right ^ 1}, not {right}"


def plant(document: dict[str, Any], parameter: str) -> dict[str, Any]:
    """Invert the first table."""
    for cell in document["modules"]["pipe"]["cells"].values():
        if parameter in cell["parameters"]:
            flip = str.maketrans("01", "10")
            cell["parameters"][parameter] = cell["parameters"][parameter].translate(flip)
            return document
    raise AssertionError(parameter)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "parameter"),
    [("ice40", "LUT_INIT"), ("ecp5", "INIT"), ("gowin", "INIT"), ("xc7", "INIT")],
)
def test_a_pipeline_is_proved_equal_to_its_netlist(family: str, parameter: str) -> None:
    document = synthesized(PIPELINE, "pipe", family)
    gold = Side("pipe", PIPELINE)
    right = Side("pipe", netlist=document, family=family)
    assert prove_equal(gold, right, latency=2).proved
    wrong = Side("pipe", netlist=plant(document, parameter), family=family)
    found = prove_equal(gold, wrong, latency=2)
    assert found.status == "refuted"
    assert found.counterexample is not None
    assert found.counterexample.gold != found.counterexample.gate


def test_a_pipeline_of_another_latency_is_refuted() -> None:
    later = PIPELINE.replace("y <= s[7] ? s - late : s;", "y <= q; q <= s[7] ? s - late : s;")
    later = later.replace("reg [5:0] late;", "reg [5:0] late; reg [7:0] q;")
    found = prove_equal(Side("pipe", PIPELINE), Side("pipe", later), latency=3)
    assert found.status == "refuted"


def test_a_hard_problem_is_given_up_in_time() -> None:
    sides = []
    for order in ("a * b", "b * a + (a - a)"):
        text = f"""module product(input [21:0] a, b, output [43:0] y);
  assign y = {order if order == "a * b" else "(b >> 11) * a * 2048 + (b & 2047) * a"};
endmodule
"""
        sides.append(Side("product", text))
    found = prove_equal(sides[0], sides[1], seconds=1)
    assert found.status == "undecided"
    assert "1 second" in found.reason
    assert found.seconds < 60


def test_wrong_verilog_shows_what_yosys_says() -> None:
    with pytest.raises(ToolFailed) as caught:
        prove_unit("module gelu(input x output y); endmodule\n", "gelu", gelu(8))
    assert caught.value.diagnostics[0].code == "ACT0510"


def test_names_that_would_be_commands_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        prove_equal(Side("a; shell", PIPELINE), Side("pipe", PIPELINE))
    assert caught.value.diagnostics[0].code == "ACT0531"


def test_netlists_of_other_families_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        prove_equal(Side("pipe", PIPELINE), Side("pipe", netlist={"modules": {}}, family="moon"))
    assert caught.value.diagnostics[0].code == "ACT0530"


def test_an_answer_that_is_none_is_an_error() -> None:
    with pytest.raises(ToolFailed) as caught:
        read_answer("nothing of note\n", 0, 1, 1)
    assert caught.value.diagnostics[0].code == "ACT0574"
