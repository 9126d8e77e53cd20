"""Bare Verilog: what is written for other tools, its testbench, its counted cells."""

from __future__ import annotations

import json
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from command_line import CommandLine
from fake_tools import Fake
from fpga_networks import cnn
from installed import needs_iverilog, needs_verilator
from models import network, normal

import actc
from actc import doctor, toolchain
from actc.artifact import open_artifact
from actc.data import InputInfo, load
from actc.device import Device
from actc.errors import ModelError, UsageError
from actc.ir.context import context_of
from actc.targets.base import BuildPlan, Rung
from actc.targets.fpga.flow import Limits, synthesize_design
from actc.targets.fpga.options import DEVICES
from actc.targets.fpga.verilog import VerilogTarget
from actc.targets.fpga.verilog import target as verilog_target
from actc.targets.fpga.verilog.testbench import OF_DATA, RANDOM, run_testbench
from actc.targets.named import make_target

FPGA = Path(__file__).resolve().parent.parent / "examples" / "fpga"


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    """A small network of integers."""
    case = cnn()
    directory = tmp_path_factory.mktemp("golden") / "out"
    actc.compile(
        case.model,
        "onnx",
        data=case.data,
        output=directory,
        weights=case.weights,
        activations=case.activations,
    )
    return onnx.load(directory / "golden.onnx")


def plan(golden: onnx.ModelProto, target: str = "verilog", name: str = "net.onnx") -> BuildPlan:
    model = ir.from_proto(golden)
    context = context_of(model)
    context.file = name
    inputs = [InputInfo(k, v.dtype, (None, *v.shape[1:])) for k, v in cnn().data.items()]
    context.dataset = load(cnn().data, inputs)
    return make_target(target).plan(model, "int8")


def written(plan: BuildPlan, directory: Path) -> Path:
    for name, content in plan.files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory


def bench(directory: Path, options: str = "") -> Rung:
    """The testbench that was written for a network."""
    return run_testbench(VerilogTarget.parse(options).assembly_of(directory), directory)


def plant(directory: Path, old: str = " + ", new: str = " - ") -> str:
    """Change the first sum of a layer; the name of its file."""
    for path in sorted((directory / "rtl").glob("*.v")):
        text = path.read_text()
        found = re.search(rf"^  wire .*{re.escape(old)}", text, re.M)
        if found:
            place = found.end() - len(old)
            path.write_text(text[:place] + new + text[found.end() :])
            return path.name
    raise AssertionError("no layer has a sum")


# --- what is written


def test_everything_that_other_tools_want_is_planned(golden: onnx.ModelProto) -> None:
    found = plan(golden)
    assert found.digest() == plan(golden).digest()
    others = {name for name in found.files if not name.startswith("rtl/")}
    assert others == {
        "golden.onnx",
        "interface.json",
        "net_stream.xdc",
        "sim/net_stream_tb.v",
        "sim/net_stream_tb.mem",
    }
    assert {"rtl/net.v", "rtl/net_stream.v"} < set(found.files)
    assert found.commands[0][:2] == ("yosys", "synth_xilinx")


def test_the_top_module_says_what_an_engineer_asks(golden: onnx.ModelProto) -> None:
    found = plan(golden, "verilog:clock=150")
    interface = json.loads(found.files["interface.json"])
    text = found.files["rtl/net_stream.v"].decode("ascii")
    header = text.partition("module")[0]
    assert f"{interface['latency']} clocks, from in_valid to out_valid" in header
    assert "Initiation interval  1 clock" in header
    assert "planned for 150 MHz on AMD (Xilinx) 7 series" in header
    for entry in interface["inputs"]:
        assert f"round_half_even(x / {entry['scale']!r})" in header
    for name in re.findall(r"^  (?:in|out)put +\[\S+\] (\w+)", text, re.M):
        assert f"// {name}[" in header
    assert "create_clock -name clk -period 6.667" in found.files["net_stream.xdc"].decode()


def test_names_of_a_model_stay_in_their_comment(golden: onnx.ModelProto) -> None:
    model = onnx.ModelProto.FromString(golden.SerializeToString())
    old, new = model.graph.output[0].name, "y\nendmodule `include */ é"
    model.graph.output[0].name = new
    for node in model.graph.node:
        node.output[:] = [new if name == old else name for name in node.output]
    for name, content in plan(model).files.items():
        if name.endswith((".v", ".xdc")):
            lines = content.decode("ascii").splitlines()
            assert all(line.startswith("//") for line in lines if "`include" in line), name


@pytest.mark.parametrize("family", DEVICES)
def test_every_family_is_planned_for_its_own_clock(golden: onnx.ModelProto, family: str) -> None:
    found = plan(golden, f"verilog:device={family}")
    (constraint,) = (name for name in found.files if name.endswith((".xdc", ".sdc")))
    assert constraint.endswith(".xdc" if family.startswith("xc") else ".sdc")
    assert make_target(f"verilog:device={family}").capabilities().products


def test_a_latency_chooses_the_clock(golden: onnx.ModelProto) -> None:
    """The fastest whole MHz that it allows: one more is refused with the same latency."""
    clocks = []
    for latency in (2, 4):
        found = plan(golden, f"verilog:latency={latency}")
        interface = json.loads(found.files["interface.json"])
        assert interface["latency"] == latency
        mhz, rest = divmod(interface["clock_hz"], 1_000_000)
        assert rest == 0
        faster = json.loads(plan(golden, f"verilog:clock={mhz + 1:g}").files["interface.json"])
        assert faster["latency"] > latency
        clocks.append(mhz)
    assert clocks[0] < clocks[1]


# --- the testbench


@needs_iverilog
@pytest.mark.parametrize("options", ["", "latency=2"])
def test_the_testbench_passes(golden: onnx.ModelProto, tmp_path: Path, options: str) -> None:
    directory = written(plan(golden, f"verilog:{options}"), tmp_path)
    rung = bench(directory, options)
    samples = min(OF_DATA, len(cnn().data["x"])) + RANDOM
    assert (rung.result, rung.samples) == ("equal", samples)


@needs_iverilog
def test_the_testbench_catches_a_wrong_sum(golden: onnx.ModelProto, tmp_path: Path) -> None:
    directory = written(plan(golden), tmp_path)
    plant(directory)
    rung = bench(directory)
    assert rung.result == "differs"
    assert "sample" in rung.detail


@needs_iverilog
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("out_valid = valids[", "out_valid = ~valids["),
        ("assign out_valid = valids[", "assign out_valid = valids[1 +"),
    ],
)
def test_the_testbench_catches_wrong_valid_bits(
    golden: onnx.ModelProto, tmp_path: Path, old: str, new: str
) -> None:
    directory = written(plan(golden), tmp_path)
    top = directory / "rtl" / "net_stream.v"
    assert old in top.read_text()
    top.write_text(top.read_text().replace(old, new))
    assert bench(directory).result == "differs"


@needs_iverilog
def test_the_testbench_does_not_pass_without_vectors(
    golden: onnx.ModelProto, tmp_path: Path
) -> None:
    directory = written(plan(golden), tmp_path)
    (directory / "sim" / "net_stream_tb.mem").unlink()
    rung = bench(directory)
    assert rung.result == "differs"
    assert "no vectors" in rung.detail


@needs_verilator
def test_verilator_takes_the_testbench_without_a_warning(
    golden: onnx.ModelProto, tmp_path: Path
) -> None:
    directory = written(plan(golden), tmp_path)
    sources = [f"../rtl/{path.name}" for path in sorted((directory / "rtl").iterdir())]
    name = "net_stream_tb"
    command = ["verilator", "--lint-only", "--timing", "--top-module", name, f"{name}.v", *sources]
    # warnings are errors by default
    assert "%" not in toolchain.run(command, timeout=100, cwd=directory / "sim").output


# --- the command line


def test_the_target_is_listed_with_its_options(actc_cli: CommandLine) -> None:
    listed = {entry["name"] for entry in actc_cli("targets", "--json").document["targets"]}
    assert "verilog" in listed
    found = doctor.describe_target("verilog")
    assert set(found["options"]) == {"clock", "latency", "effort", "tables", "device"}
    assert "xcup" in found["options"]["device"]
    assert "verilog:device=" in actc_cli("targets", "verilog").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--target", "verilog:device=xc8"], "ACT0535", "did you mean xc7?"),
        (["--target", "verilog", "--device", "virtex"], "ACT0535", "one of ice40, ecp5"),
        (["--target", "verilog:dvice=xc7"], "ACT0535", "did you mean device"),
        (["--target", "verilog", "--seeds", "3"], "ACT0224", "actc targets"),
        (["--target", "ecp5-25k", "--device", "xc7"], "ACT0224", "actc targets"),
        (["--target", "verilgo"], "ACT0201", "did you mean 'verilog'?"),
        (["--target", "verilog:clock=9,latency=1"], "ACT0535", "give one"),
    ],
)
def test_wrong_options_are_explained(
    actc_cli: CommandLine, arguments: list[str], code: str, words: str
) -> None:
    done = actc_cli("compile", FPGA / "digits_small.onnx", *arguments, "--json")
    assert done.status == 2
    (problem,) = done.document["diagnostics"]
    assert problem["code"] == code
    assert words in problem["help"]


def test_what_has_no_wire_says_how_to_run_it(golden: onnx.ModelProto, tmp_path: Path) -> None:
    directory = written(plan(golden), tmp_path)
    for port in ("sim", "/dev/ttyUSB0"):
        with pytest.raises(UsageError) as caught:
            Device.open(directory, port)
        assert "actc check" in str(caught.value.diagnostics[0].help)


# --- all of it, with yosys


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """digits_small for 7 series."""
    directory = tmp_path_factory.mktemp("verilog") / "out"
    actc.compile(
        FPGA / "digits_small.onnx",
        "verilog",
        data=FPGA / "digits.npz",
        output=directory,
        weights="3",
        activations="4",
    )
    return directory


@pytest.fixture
def unproved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the proofs, which take longest and have tests of their own."""
    for name in ("units_rung", "netlist_proof_rung"):
        monkeypatch.setattr(
            verilog_target, name, lambda *given: Rung("proof", "not run", "left out here")
        )


def counts(hardware: dict[str, Any]) -> dict[str, int]:
    return {row["name"]: row["used"] for row in hardware["resources"]}


@pytest.mark.slow
def test_a_network_is_written_counted_and_compared(built: Path) -> None:
    report = json.loads((built / "report.json").read_text())
    assert report["bit_exact"] is True
    rungs = {rung["name"]: rung["result"] for rung in report["rungs"]}
    names = {"hardware description", "Verilog", "testbench", "synthesized netlist"}
    assert names < set(rungs)
    assert {rungs[name] for name in names} == {"equal"}
    assert "differs" not in rungs.values()  # a proof may end undecided
    hardware = report["hardware"]
    assert hardware["clock"]["reached"] is None
    assert hardware["clock"]["estimated"] >= hardware["clock"]["asked"] == 200
    assert 200 < counts(hardware)["look-up tables"] < 2000
    assert sum(row["luts"] for row in hardware["layers"]) == counts(hardware)["look-up tables"]
    assert "by estimate; not routed" in (built / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("unproved")
def test_ultrascale_takes_as_many_tables_at_twice_the_clock(built: Path, tmp_path: Path) -> None:
    target = make_target("verilog:device=xcup")
    model = ir.load(built / "golden.onnx")
    context_of(model).file = "digits_small.onnx"
    target.build(target.plan(model, "int8"), tmp_path)
    feeds = {"image": np.load(FPGA / "digits.npz")["image"][:50]}
    rungs = target.verify(tmp_path, feeds, open_artifact(built).run(feeds))
    assert {rung.result for rung in rungs if rung.samples} == {"equal"}
    assert "differs" not in {rung.result for rung in rungs}
    seven = json.loads((built / "hardware.json").read_text())
    ultra = target.hardware(tmp_path)
    assert ultra is not None
    assert ultra["clock"]["asked"] == 2 * seven["clock"]["asked"]
    ratio = counts(ultra)["look-up tables"] / counts(seven)["look-up tables"]
    assert 0.8 < ratio < 1.25


@pytest.mark.slow
@pytest.mark.usefixtures("unproved")
def test_wrong_constants_are_caught_at_their_rungs(built: Path, tmp_path: Path) -> None:
    feeds = {"image": np.load(FPGA / "digits.npz")["image"][:50]}
    golden = open_artifact(built).run(feeds)
    for rung in ("Verilog", "synthesized netlist"):
        directory = tmp_path / rung
        shutil.copytree(built, directory)
        if rung == "Verilog":
            plant(directory)
        else:
            invert_a_table(directory)
        found = {r.name: r.result for r in make_target("verilog").verify(directory, feeds, golden)}
        assert found[rung] == "differs"
        assert found["hardware description"] == "equal"
        assert (found["testbench"] == "differs") == (rung == "Verilog")
        # the netlist was made of the right Verilog
        assert (found["synthesized netlist"] == "differs") == (rung != "Verilog")


@pytest.mark.slow
@pytest.mark.usefixtures("unproved")
def test_a_netlist_with_cells_of_no_model_is_not_run(built: Path, tmp_path: Path) -> None:
    directory = tmp_path / "out"
    shutil.copytree(built, directory)
    path = directory / "build" / "netlist.json"
    path.write_text(path.read_text().replace('"type": "LUT6"', '"type": "RAMB18E1"'))
    feeds = {"image": np.load(FPGA / "digits.npz")["image"][:5]}
    golden = open_artifact(built).run(feeds)
    rungs = {r.name: r for r in make_target("verilog").verify(directory, feeds, golden)}
    assert rungs["synthesized netlist"].result == "not run"
    assert "RAMB18E1" in rungs["synthesized netlist"].detail


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "seconds", "words"),
    [
        ("time.sleep(60)", 2, "yosys was ended after 2 seconds"),
        ("print('terminate called: std::bad_alloc'); os.abort()", 60, "yosys ran out of memory"),
    ],
)
@pytest.mark.usefixtures("unproved")
def test_without_counts_the_verilog_and_its_comparisons_stay(
    body: str,
    seconds: int,
    words: str,
    fake: Fake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limited = partial(synthesize_design, limits=Limits(seconds, 8 << 30))
    monkeypatch.setattr(verilog_target, "synthesize_design", limited)
    fake("yosys", body)
    case, out = cnn(), tmp_path / "out"
    bits = {"weights": case.weights, "activations": case.activations}
    report = actc.compile(case.model, "verilog", data=case.data, output=out, **bits).report
    assert report["bit_exact"] is True
    rungs = {rung["name"]: rung for rung in report["rungs"]}
    assert {rungs[n]["result"] for n in ("hardware description", "Verilog", "testbench")} == {
        "equal"
    }
    assert rungs["synthesized netlist"]["result"] == "not run"
    assert words in rungs["synthesized netlist"]["detail"]
    assert not (out / "build" / "netlist.json").exists()
    assert (out / "build" / "logs" / "synthesis.log").exists()
    hardware = report["hardware"]
    assert {row["used"] for row in hardware["resources"]} == {None}
    assert hardware["resources"][0]["estimated"] > 0
    assert f"The cells are not counted: {words}" in (out / "report.html").read_text()


def invert_a_table(directory: Path) -> None:
    """Invert a look-up table in the network's part of the netlist."""
    path = directory / "build" / "netlist.json"
    document = json.loads(path.read_text())
    (module,) = document["modules"].values()
    cell = next(
        cell
        for name, cell in sorted(module["cells"].items())
        if name.startswith("core.") and re.fullmatch("LUT[1-6]", cell["type"])
    )
    table = cell["parameters"]["INIT"]
    cell["parameters"]["INIT"] = table.translate(str.maketrans("01", "10"))
    path.write_text(json.dumps(document))


def test_a_network_of_constant_outputs_is_refused(tmp_path: Path) -> None:
    body = "h = MatMul(x, w)\n y = Relu(h)"
    model = network("float[N,3] x => float[N,2] y", body, {"w": np.zeros((3, 2), np.float32)})
    with pytest.raises(ModelError) as caught:
        actc.compile(model, "verilog", data={"x": normal(20, 3)}, output=tmp_path / "out")
    assert [problem.code for problem in caught.value.diagnostics] == ["ACT0557"]
    assert not (tmp_path / "out").exists()
