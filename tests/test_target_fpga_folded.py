"""FPGA targets that fold: when they do, what they write, and every form compared with golden."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from installed import needs_iverilog, needs_verilator, needs_yosys
from models import network, normal
from sealed import sealed

import actc
from actc.artifact import open_artifact
from actc.errors import ModelError
from actc.ir.context import context_of
from actc.targets.base import Rung
from actc.targets.fpga.assembly import Assembly
from actc.targets.fpga.folded.assembly import FoldedAssembly
from actc.targets.fpga.folded.program import MatrixStage, MaximumStage
from actc.targets.fpga.target import FpgaTarget
from actc.targets.named import make_target

Array = np.ndarray[Any, Any]
SIDE = 8


def convolutions() -> onnx.ModelProto:
    """Two convolutions with SiLU, a pooling between them, a dense layer."""
    weights = {
        "a": normal(4, 1, 3, 3, seed=1),
        "b": normal(6, 4, 3, 3, seed=2),
        "c": normal(6 * 4 * 4, 3, seed=3),
    }
    body = """
        first = Conv <pads=[1,1,1,1]> (x, a)
        gate = Sigmoid(first)
        silu = Mul(first, gate)
        small = MaxPool <kernel_shape=[2,2], strides=[2,2]> (silu)
        second = Conv <pads=[1,1,1,1]> (small, b)
        gate2 = Sigmoid(second)
        silu2 = Mul(second, gate2)
        flat = Flatten(silu2)
        y = MatMul(flat, c)
    """
    return network(f"float[N,1,{SIDE},{SIDE}] x => float[N,3] y", body, weights)


def data(count: int = 64) -> dict[str, Array]:
    return {"x": normal(count, 1, SIDE, SIDE, seed=5)}


BITS = {"weights": "3", "activations": "4"}


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("golden") / "out"
    actc.compile(convolutions(), "onnx", data=data(), output=directory, **BITS)
    return (directory / "golden.onnx").read_bytes()


def model_of(golden: bytes) -> ir.Model:
    return ir.from_proto(onnx.load_from_string(golden))


def assembled(golden: bytes, spec: str) -> Assembly | FoldedAssembly:
    target = make_target(spec)
    assert isinstance(target, FpgaTarget)
    return target.assemble(golden, "net")


@pytest.mark.parametrize(
    "spec",
    [
        "ice40-hx8k",  # far too large unrolled
        "ecp5-25k:throughput=1000",
        "ecp5-25k:architecture=folded",
    ],
)
def test_networks_fold_where_asked_for_or_too_large(golden: bytes, spec: str) -> None:
    assert isinstance(assembled(golden, spec), FoldedAssembly)


@pytest.mark.parametrize(("spec", "told"), [("ice40-hx8k:effort=1", 1), ("ice40-hx8k", 0)])
def test_options_that_folding_leaves_without_effect_are_named(
    golden: bytes, spec: str, told: int
) -> None:
    model = model_of(golden)
    make_target(spec).plan(model, "int8")
    found = [item for item in context_of(model).sink.items if item.code == "ACT0558"]
    assert len(found) == told
    assert all("effort" in item.message for item in found)


def test_what_fits_is_unrolled(tmp_path: Path) -> None:
    weights = {"a": normal(6, 3, seed=1)}
    model = network("float[N,6] x => float[N,3] y", "y = MatMul(x, a)", weights)
    samples = {"x": normal(64, 6, seed=5)}
    actc.compile(model, "onnx", data=samples, output=tmp_path / "out", **BITS)
    small = (tmp_path / "out" / "golden.onnx").read_bytes()
    assert isinstance(assembled(small, "ecp5-25k"), Assembly)


def test_throughput_decides_how_much_is_done_at_a_time(golden: bytes) -> None:
    slow = assembled(golden, "ecp5-25k:throughput=1000,clock=50")
    fast = assembled(golden, "ecp5-25k:throughput=50000,clock=50")
    assert isinstance(slow, FoldedAssembly)
    assert isinstance(fast, FoldedAssembly)
    assert fast.samples_per_second >= 50000 > slow.samples_per_second >= 1000
    assert fast.choice.area.luts > slow.choice.area.luts


def test_a_latency_is_kept(golden: bytes) -> None:
    loose = assembled(golden, "ecp5-25k:architecture=folded,latency=20000")
    tight = assembled(golden, "ecp5-25k:architecture=folded,latency=2000")
    assert isinstance(loose, FoldedAssembly)
    assert isinstance(tight, FoldedAssembly)
    assert tight.choice.latency <= 2000 < loose.choice.latency <= 20000
    assert tight.choice.area.luts > loose.choice.area.luts


def test_no_throughput_is_promised_that_nothing_reaches(golden: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        assembled(golden, "ice40-up5k:throughput=2000001")
    (problem,) = caught.value.diagnostics
    assert problem.code == "ACT0606"
    assert "2,000,001 samples per second (11 clocks each)" in problem.message
    assert "samples per second" in "\n".join(problem.notes)


def test_refused_unrolled_where_that_is_asked_for(golden: bytes) -> None:
    target = make_target("ice40-hx8k:architecture=unrolled")
    codes = {problem.code for problem in target.validate(model_of(golden), "int8")}
    assert codes == {"ACT0552"}


def test_equal_plans(golden: bytes) -> None:
    model = model_of(golden)
    plans = [make_target("ecp5-25k:throughput=1000").plan(model, "int8") for _ in range(2)]
    assert plans[0].files == plans[1].files
    assert {Path(name).suffix for name in plans[0].files} == {".onnx", ".v", ".json", ".lpf"}


def test_functions_are_in_the_stages_in_front_of_them(golden: bytes) -> None:
    found = assembled(golden, "ecp5-25k:throughput=1000")
    assert isinstance(found, FoldedAssembly)
    kinds = [type(stage) for stage in found.network.program.stages]
    assert kinds == [MatrixStage, MaximumStage, MatrixStage, MatrixStage]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled network; tests that change it take a copy."""
    directory = tmp_path_factory.mktemp("folded") / "out"
    spec = "ecp5-25k:throughput=4000"
    actc.compile(convolutions(), spec, data=data(), output=directory, **BITS)
    return directory


@needs_yosys
@needs_iverilog
@needs_verilator
@pytest.mark.slow
def test_every_form_equals_golden(built: Path) -> None:
    rungs = {
        rung["name"]: rung for rung in json.loads((built / "report.json").read_text())["rungs"]
    }
    assert list(rungs) == [
        "program",
        "Verilog",
        "board, over its wire",
        "synthesized netlist",
        "routed netlist",
        "bitstream",
    ]
    assert {rung["result"] for rung in rungs.values()} == {"equal"}
    assert "samples/s" in rungs["board, over its wire"]["detail"]


@needs_yosys
@pytest.mark.slow
def test_the_report_says_what_it_takes(built: Path) -> None:
    hardware = json.loads((built / "hardware.json").read_text())
    assert hardware["architecture"] == "folded"
    assert hardware["samples_per_second"] >= 4000
    assert [row["layer"] for row in hardware["foldings"]] == [
        row["layer"] for row in hardware["layers"][:4]
    ]
    found = {row["name"]: row for row in hardware["resources"]}
    cells = found["network's logic cells"]
    assert cells["estimated"] == pytest.approx(cells["used"], rel=0.35)
    assert found["block memories"]["used"] >= 1


@needs_yosys
@needs_iverilog
@needs_verilator
@pytest.mark.slow
def test_a_wrong_weight_is_found(built: Path, tmp_path: Path) -> None:
    """One bit of one weight in the Verilog, which the netlists do not share."""
    copy = tmp_path / "copy"
    shutil.copytree(built, copy)
    file = max((copy / "rtl").glob("*_weights.v"))  # of the last layer, or of an engine
    lines = file.read_text().splitlines(keepends=True)
    place = next(k for k, line in enumerate(lines) if "words[1] =" in line)
    start, _, digits = lines[place].strip().rstrip(";").rpartition("h")
    lines[place] = f"  {start}h{int(digits, 16) ^ 1:0{len(digits)}x};\n"
    file.write_text("".join(lines))
    artifact = open_artifact(sealed(copy))
    feeds = data(8)
    target = make_target("ecp5-25k:throughput=4000")
    rungs: dict[str, Rung] = {
        rung.name: rung for rung in target.verify(copy, feeds, artifact.run(feeds))
    }
    assert rungs["Verilog"].result == "differs"
    assert rungs["routed netlist"].result == "equal"
