"""Intel's i++ and Quartus with programs in their place: success, and ways to fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hls4ml_networks import needs_hls4ml, program_of
from quartus_tool import AREA, FOLDER, area_report, compiler, fit_report, fitter
from vendor_bench import Bench, written
from vendor_tools import Fake, fake_tools

from actc.errors import MissingTool
from actc.report import render_build
from actc.targets.hls4ml.lower import lower
from actc.targets.hls4ml.options import Options
from actc.targets.hls4ml.project import project_files
from actc.targets.hls4ml.vendor import flow_of, readme
from actc.targets.vendor.build import build
from actc.targets.vendor.csynth import Unreadable
from actc.targets.vendor.flow import Flow
from actc.targets.vendor.quartus import component_step, fit_step, read_areas, read_fit

STEPS = (component_step("net", "firmware/net.cpp", ("net_test.cpp",), "Arria10"), fit_step("net"))
FLOW = Flow("project", "net", 5.0, STEPS, "a larger reuse=")
BENCH = Bench(FLOW, ("firmware/net.cpp",))
run, failure = BENCH.run, BENCH.failure


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return fake_tools(tmp_path / "tools", monkeypatch)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return BENCH.lay_out(tmp_path / "out")


def test_a_component(fake: Fake, directory: Path) -> None:
    fake("i++", compiler())
    fake("quartus_sh", "sys.exit(1)")
    section, found = run(directory, "ip")
    assert found == []
    (step,) = section["steps"]
    assert (step["tool"], step["title"], step["version"]) == ("i++", "Intel HLS Compiler", "20.3")
    assert step["products"] == [f"build/vendor/{FOLDER}/components/net"]
    synthesis = section["synthesis"]
    assert synthesis["clock"] == {"asked": 5.0, "estimated": pytest.approx(1000 / 212.5)}
    rows = {row["name"]: (row["used"], row["available"]) for row in synthesis["resources"]}
    assert rows["ALUT"] == (13342, 854400)
    assert rows["MLAB"] == (117, 0)
    assert section["implementation"] is None
    log = (directory / "build/ip.log").read_text("utf-8")
    arguments = "'-march=Arria10', '--simulator', 'none', '-o', 'net-fpga', 'net_test.cpp', "
    assert arguments + "'firmware/net.cpp'" in log


def test_a_fit(fake: Fake, directory: Path) -> None:
    fake("i++", compiler())
    fake("quartus_sh", fitter())
    section, found = run(directory)
    assert found == []
    assert [step["goal"] for step in section["steps"]] == ["ip", "fit"]
    slack = pytest.approx(5 - 1000 / 212.26, abs=1e-6)
    counts = {"ALM": 58968, "FF": 97925, "RAM": 926, "DSP": 12, "MLAB": 3}
    assert section["implementation"] == {
        "slack": {"wns": slack, "tns": None, "whs": None, "ths": None},
        "whole": counts,
        "network": counts,
    }
    log = (directory / "build/fit.log").read_text("utf-8")
    assert "['--flow', 'compile', 'quartus_compile'] quartus" in log
    shown = render_build({"build": section})
    assert "worst slack, routed" in shown
    assert "latency" not in shown  # not in the reports


def test_timing_that_is_missed(fake: Fake, directory: Path) -> None:
    slow = {"nodes": [{"children": [{"af": 150}]}]}
    fake("i++", compiler(area_report(loops=slow)))
    fake("quartus_sh", fitter(fit_report("125.00")))
    _, (problem,) = run(directory, "ip")
    assert (problem.code, problem.severity) == ("ACT0434", "error")
    assert "--clock 150" in str(problem.help)
    _, (estimate, routed) = run(directory)
    assert (estimate.severity, routed.severity) == ("warning", "error")
    assert "missed by 3 ns at a clock of 5 ns" in routed.message
    assert "--clock 125" in str(routed.help)


def test_a_design_that_is_too_large(fake: Fake, directory: Path) -> None:
    fake("i++", compiler(area_report({**AREA, "max_resources": [13000, 33889, 2713, 0, 200]})))
    fake("quartus_sh")
    _, (problem,) = run(directory, "ip")
    assert (problem.code, problem.severity) == ("ACT0438", "warning")
    assert problem.notes == ("ALUT: 13342 of 13000",)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("print('Error (292000): FLEXlm software error: Invalid license'); sys.exit(1)", "ACT0436"),
        ("print('Error: Cannot find foo'); sys.exit(1)", "ACT0510"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "ACT0512"),
        ("pass", "ACT0437"),
        (compiler(area="crashed while writing"), "ACT0437"),
    ],
)
def test_failures_of_the_compiler(fake: Fake, directory: Path, body: str, code: str) -> None:
    fake("i++", body)
    fake("quartus_sh", fitter())
    assert failure(directory).code == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("print('Error: valid license not found for Quartus'); sys.exit(3)", "ACT0436"),
        ("print('Error (170011): Design contains too many blocks'); sys.exit(2)", "ACT0510"),
        ("os.kill(os.getpid(), signal.SIGABRT)", "ACT0512"),
        ("pass", "ACT0437"),  # figures are left open
    ],
)
def test_failures_of_quartus(fake: Fake, directory: Path, body: str, code: str) -> None:
    fake("i++", compiler())
    fake("quartus_sh", body)
    found = failure(directory, goal="fit")
    assert found.code == code
    assert found.place.file is not None
    assert found.place.file.endswith("build/fit.log")


def test_tools_that_hang(fake: Fake, directory: Path) -> None:
    fake("quartus_sh", "time.sleep(60)")
    fake("i++", "time.sleep(60)")
    assert failure(directory, seconds=1.0).code == "ACT0511"
    fake("i++", compiler())
    assert failure(directory, goal="fit", seconds=2.0).code == "ACT0511"


def test_a_project_of_quartus_that_is_missing(fake: Fake, directory: Path) -> None:
    fake("i++", compiler() + f"import shutil; shutil.rmtree('{FOLDER}/quartus')")
    fake("quartus_sh", fitter())
    found = failure(directory, goal="fit")
    assert found.code == "ACT0437"
    assert f"no {FOLDER}/quartus for Quartus Prime" in found.message


def test_missing_tools_are_named_once(
    fake: Fake, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingTool) as caught:
        run(directory)
    compiler_, quartus = caught.value.diagnostics
    assert "no i++ on PATH" in compiler_.message
    assert "ACTC_IXX" in str(compiler_.help)
    assert "no quartus_sh on PATH" in quartus.message
    monkeypatch.setenv("ACTC_QUARTUS_SH", "/nowhere/quartus_sh")
    fake("i++", compiler())
    assert failure(directory, MissingTool).code == "ACT0502"


def test_the_compiler_finds_quartus(fake: Fake, directory: Path) -> None:
    """It calls `quartus_sh` itself, by name."""
    made = fake("quartus_sh", "print('that of Quartus')")
    made.with_name("quartus_sh").symlink_to(made)
    asked = "print(subprocess.run(['quartus_sh', '--version'], capture_output=True).stdout)\n"
    fake("i++", asked + compiler())
    run(directory, "ip")
    assert "20.3.0 Build 177" in (directory / "build/ip.log").read_text("utf-8")


@pytest.mark.parametrize(("tool", "goal"), [("i++", "ip"), ("quartus_sh", "fit")])
def test_versions(tool: str, goal: str, fake: Fake, directory: Path) -> None:
    bodies = {"i++": compiler(), "quartus_sh": fitter()}
    for command, body in bodies.items():
        fake(command, body)
    fake(tool, bodies[tool], version="16.1")
    assert failure(directory, goal=goal).code == "ACT0435"
    fake(tool, bodies[tool], banner="g++ (Debian 12.2.0) 12.2.0")
    assert failure(directory, goal=goal).code == "ACT0435"
    fake(tool, bodies[tool], version="25.1")
    _, (remark,) = run(directory, goal)
    assert (remark.code, remark.severity) == ("ACT0435", "warning")


# --- reports


def test_a_report_of_several_lines(tmp_path: Path) -> None:
    """As older versions write it, with a semicolon in front of the next variable."""
    text = json.dumps(AREA, indent=1)
    path = tmp_path / "report_data.js"
    path.write_text(f"var mavJSON={{}}\n;var areaJSON={text}\n;var loopsJSON={{}};", "utf-8")
    found = read_areas(path, 5.0)
    assert found["clock"] == {"asked": 5.0, "estimated": 5.0}
    assert found["resources"][1] == {"name": "FF", "used": 33889, "available": 1708800}


def test_escapes_that_json_does_not_have(tmp_path: Path) -> None:
    name = json.dumps({**AREA, "name": "~"}).replace("~", r"\'lambda\'(): \"x\" \012 \\n \u000A")
    path = tmp_path / "report_data.js"
    path.write_text(f"var areaJSON={name};\n", "utf-8")
    assert read_areas(path, 5.0)["resources"][0]["used"] == 13342


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file"),
        ("", "no areaJSON"),
        ("var areaJSON={", "areaJSON is no object"),
        ("var areaJSON=[1];", "areaJSON is no object"),
        ("var areaJSON=" + '{"a":' * 100_000, "areaJSON is no object"),
        ("var areaJSON={};", "no total"),
        ('var areaJSON={"total": [1, 2]};', "no 5 counts"),
        ('var areaJSON={"total": [1, 2, 3, 4, -5]};', "no count"),
        (area_report(loops={"af": "quick"}), "no frequency"),
    ],
)
def test_broken_estimates(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "report_data.js"
    if text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises(Unreadable, match=said):
        read_areas(path, 5.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (fit_report("TBD"), "left its clock open"),
        (fit_report("quick"), "no frequency"),
        (fit_report(None), "no frequency"),
        (fit_report(counts=None), "no quartusFitResourceUsageSummary"),
        (fit_report(counts={"alm": "many"}), "no count"),
        ("var quartusJSON={};", "no quartusFitClockSummary"),
        ('var quartusJSON={"quartusFitClockSummary": {"nodes": [1]}};', "no quartusFitClock"),
    ],
)
def test_broken_fits(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "quartus_data.js"
    path.write_text(text, "utf-8")
    with pytest.raises(Unreadable, match=said):
        read_fit(path, "net", 5.0)


# --- projects of hls4ml


@needs_hls4ml
@pytest.mark.parametrize("part", ["", "10AS016C3U19E2LG"])
def test_a_project_of_hls4ml(part: str, fake: Fake, tmp_path: Path) -> None:
    """What is compiled is in the project, with the part of its Makefile."""
    network = lower(program_of(3), "net", "stream")
    options = Options("Quartus", "stream", part=part)
    out = tmp_path / "out"
    written(out, project_files(network, options))
    flow = flow_of(network, options)
    sources = [word for word in flow.steps[0].tools[0].before if word.endswith(".cpp")]
    assert all((out / flow.folder / name).is_file() for name in sources)
    makefile = (out / flow.folder / "Makefile").read_text("utf-8")
    device = next(line.split()[-1] for line in makefile.splitlines() if line.startswith("DEVICE"))
    assert flow.steps[0].tools[0].before[0] == f"-march={device}"
    assert f"SOURCE_FILES \t\t:= {' '.join(sources)} {flow.steps[0].script}" in makefile
    header = (out / flow.folder / "firmware/net.h").read_text("utf-8")
    assert f"hls_scheduler_target_fmax_mhz({options.clock_mhz:g})" in header
    text = readme(network, options)
    assert f"-march={device} --simulator none -o net-fpga" in text
    assert f"cd project/{FOLDER}/quartus && quartus_sh --flow compile quartus_compile" in text
    fake("i++", compiler())
    fake("quartus_sh", fitter())
    section, found = build(flow, out, None, 60, lambda line: None)
    assert found == []
    assert section["implementation"]["whole"]["ALM"] == 58968
