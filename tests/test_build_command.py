"""`actc build` on compiled directories: what it runs, reports, and leaves as it was."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from binary_networks import golden_of, random_network
from command_line import CommandLine
from installed import needs_gxx, needs_tclsh
from models import network, normal
from vendor_tools import Fake, csynth, fake_tools, hls, report_of, running, timing, vivado

import actc
from actc.errors import UsageError
from actc.targets.fpga.folded.network import build_folded
from actc.targets.hls4ml.lower import lower
from actc.targets.hls4ml.options import Options
from actc.targets.hls4ml.project import project_files
from actc.targets.hls4ml.vendor import flow_of, readme
from actc.targets.vendor.build import build
from actc.targets.vendor.flow import Flow

TOP = "bnn_model"
SOLUTION = "ip/solution"
needs_hls4ml = pytest.mark.skipif(
    importlib.util.find_spec("hls4ml") is None, reason="hls4ml is not installed"
)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    return fake_tools(tmp_path / "tools", monkeypatch)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A binary layer for bnn-hls; tests take copies."""
    directory = tmp_path_factory.mktemp("build") / "out"
    signs = {"w": np.sign(normal(6, 3, seed=1))}
    model = network("float[N,6] x => float[N,3] y", "s = Sign(x)\ny = MatMul(s, w)", signs)
    actc.compile(model, "bnn-hls", data={"x": normal(20, 6, seed=2)}, output=directory)
    return directory


@pytest.fixture
def directory(compiled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(compiled, tmp_path / "out"))


def top_of(directory: Path) -> str:
    (source,) = (directory / "hls").glob("bnn_*.cpp")
    return source.stem


def snapshot(directory: Path) -> dict[str, bytes]:
    """All files but what vendors' tools may write."""
    paths = (path for path in sorted(directory.rglob("*")) if path.is_file())
    names = {path.relative_to(directory).as_posix(): path for path in paths}
    work = ("build/vendor/", "build/ip.log", "build/bitstream.log")
    return {name: path.read_bytes() for name, path in names.items() if not name.startswith(work)}


@needs_gxx
def test_to_a_bitstream(actc_cli: CommandLine, directory: Path, fake: Fake) -> None:
    top = top_of(directory)
    before = snapshot(directory)
    fake("vitis-run", hls(top, SOLUTION))
    fake("vivado", vivado(top))
    done = actc_cli("build", directory)
    assert done.status == 0, done.stderr
    for text in ("Vitis HLS 2024.1", "Vivado 2024.1", "39 to 41 clocks", "0.512 ns", "3990"):
        assert text in done.stdout
    after = snapshot(directory)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"report.json", "manifest.json"}
    assert set(after) == set(before)
    report = report_of(directory)
    assert report["build"]["implementation"]["slack"]["wns"] == 0.512
    assert {key: value for key, value in report.items() if key != "build"} == json.loads(
        before["report.json"]
    )
    manifest = json.loads(after["manifest.json"])
    digest = hashlib.sha256(after["report.json"]).hexdigest()
    assert manifest["files"]["report.json"] == digest
    shown = actc_cli("report", directory)
    assert "worst slack, routed" in shown.stdout
    assert "network routed" in shown.stdout
    assert actc_cli("build", directory, "--to", "ip").status == 0
    assert report_of(directory)["build"]["implementation"] is None


@needs_gxx
def test_building_twice_gives_the_same_report(directory: Path, fake: Fake) -> None:
    top = top_of(directory)
    fake("vitis-run", hls(top, SOLUTION))
    actc.build(directory, to="ip")
    first = (directory / "report.json").read_bytes()
    actc.build(directory, to="ip")
    assert (directory / "report.json").read_bytes() == first
    assert str(directory).encode() not in first


@needs_gxx
def test_missed_timing(actc_cli: CommandLine, directory: Path, fake: Fake) -> None:
    top, before = top_of(directory), snapshot(directory)
    fake("vitis-run", hls(top, SOLUTION))
    fake("vivado", vivado(top, slack=timing("-0.731")))
    done = actc_cli("build", directory, "--json")
    assert done.status == 1
    assert done.codes == ["ACT0434"]
    assert done.document["recorded"] is False
    assert done.document["build"]["implementation"]["slack"]["wns"] == -0.731
    assert snapshot(directory) == before
    done = actc_cli("build", directory)
    assert "missed by 0.731 ns" in done.stderr
    assert "report.json is left as it was" in done.stdout


@needs_gxx
@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        ("print('ERROR: License checkout failed')\nsys.exit(1)", "ACT0436", 5),
        ("os.kill(os.getpid(), signal.SIGABRT)", "ACT0512", 5),
        ("time.sleep(600)", "ACT0511", 5),
        ("print('nothing')", "ACT0437", 5),
        (None, "ACT0501", 4),
    ],
)
def test_failures(
    body: str | None,
    code: str,
    status: int,
    actc_cli: CommandLine,
    directory: Path,
    fake: Fake,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = snapshot(directory)
    if body is None:
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
    else:
        fake("vitis-run", body)
    done = actc_cli("build", directory, "--to", "ip", "--timeout", "0.03", "--json")
    assert (done.status, done.codes) == (status, [code])
    assert snapshot(directory) == before


def test_what_is_not_built(actc_cli: CommandLine, tmp_path: Path, model: Path) -> None:
    assert actc_cli("build", tmp_path, "--json").codes == ["ACT0204"]
    assert actc_cli("compile", model, "--target", "onnx", "-o", tmp_path / "out").status == 0
    done = actc_cli("build", tmp_path / "out", "--json")
    assert (done.status, done.codes) == (2, ["ACT0433"])


@needs_gxx
def test_wrong_options(actc_cli: CommandLine, directory: Path) -> None:
    assert actc_cli("build", directory, "--to", "moon", "--json").codes == ["ACT0433"]
    for minutes in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError) as caught:
            actc.build(directory, timeout=minutes)
        assert caught.value.diagnostics[0].code == "ACT0203"


# --- the scripts themselves, in tclsh, with commands that write where the tools do


@needs_gxx
@needs_tclsh
@pytest.mark.parametrize("tool", ["vitis-run", "vitis_hls"])
def test_the_script_of_bnn_hls(tool: str, directory: Path, fake: Fake, tmp_path: Path) -> None:
    given = tmp_path / "csynth.xml"
    given.write_text(csynth(top_of(directory)))
    fake(tool, running(given))
    found = actc.build(directory, to="ip")
    assert found["recorded"] is True
    assert found["build"]["steps"][0]["tool"] == tool
    log = (directory / "build/vendor/commands.log").read_text()
    assert "csim_design" in log
    assert "cosim_design" not in log


def hls4ml_directory(options: Options, folder: Path) -> tuple[Flow, dict[str, bytes]]:
    """A project of a small network, written but not compiled."""
    model, feeds = random_network(np.random.default_rng(0), "dense")
    folded = build_folded(ir.from_proto(golden_of(model, feeds)), "net")
    layers = lower(folded.program, "net", options.io)
    files = project_files(layers, options)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    flow = flow_of(layers, options)
    text = readme(layers, options)
    for tool in flow.steps[0].tools:
        assert tool.line("build_prj.tcl") in text
    return flow, files


@needs_hls4ml
@needs_tclsh
@pytest.mark.parametrize(("backend", "tool"), [("Vitis", "vitis-run"), ("Vivado", "vivado_hls")])
def test_the_script_of_hls4ml(backend: str, tool: str, fake: Fake, tmp_path: Path) -> None:
    """C synthesis and export are run, no simulation; results lie where they are looked for."""
    options = Options(backend, "stream", part="xc7z020clg400-1", clock=125)
    out = tmp_path / "out"
    flow, _ = hls4ml_directory(options, out)
    given = tmp_path / "csynth.xml"
    given.write_text(csynth("net", period="8.00"))
    fake(tool, running(given))
    section, found = build(flow, out, None, 60, lambda line: None)
    assert found == []
    synthesis: dict[str, Any] = section["synthesis"]
    assert synthesis["clock"] == {"asked": 8.0, "estimated": 7.256}
    log = (out / "build/vendor/commands.log").read_text()
    assert "set_part xc7z020clg400-1" in log
    assert "create_clock -period 8.0 " in log
    order = [log.index(word) for word in ("open_project", "csynth_design", "export_design")]
    assert order == sorted(order)
    assert "csim_design" not in log
    assert "cosim_design" not in log


@pytest.mark.slow
@needs_gxx
@needs_hls4ml
def test_hls4ml_from_compile_to_ip(actc_cli: CommandLine, fake: Fake, tmp_path: Path) -> None:
    weights = {"w": normal(4, 2, seed=1)}
    model = network("float[N,4] x => float[N,2] y", "y = MatMul(x, w)", weights)
    out, data = tmp_path / "out", {"x": normal(20, 4, seed=2)}
    actc.compile(model, "hls4ml:clock=100", data=data, output=out)
    (source,) = (out / "project").glob("*_bridge.cpp")
    top = source.name.removesuffix("_bridge.cpp")
    assert top in (out / "README.md").read_text()
    fake("vitis-run", hls(top, f"{top}_prj/solution1"))
    assert actc_cli("build", out).status == 0
    assert report_of(out)["build"]["goal"] == "ip"
    assert actc_cli("build", out, "--to", "bitstream", "--json").codes == ["ACT0433"]
    assert actc.load(out).run(data["x"])
