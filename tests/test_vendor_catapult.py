"""Siemens' Catapult, and the Vivado that it starts, with programs in their place."""

from __future__ import annotations

from pathlib import Path

import pytest
from catapult_tool import COMMANDS, SITES, SOLUTION, catapult, gates, rtl, schedule
from hls4ml_networks import needs_hls4ml, program_of
from installed import needs_tclsh
from vendor_bench import Bench, written
from vendor_tools import Fake, fake_tools, timing

from actc.errors import MissingTool
from actc.report import render_build
from actc.targets.hls4ml.lower import lower
from actc.targets.hls4ml.options import Options
from actc.targets.hls4ml.project import project_files
from actc.targets.hls4ml.vendor import flow_of, readme
from actc.targets.vendor.build import build
from actc.targets.vendor.catapult import fit_step, read_gates, read_schedule, rtl_step
from actc.targets.vendor.csynth import Unreadable
from actc.targets.vendor.flow import Flow
from actc.targets.vendor.vivado import read_sites

FLOW = Flow("project", "net", 10.0, (rtl_step("net", "build_prj.tcl"), fit_step("net")), "more")
BENCH = Bench(FLOW, ("build_prj.tcl", "build_fit.tcl"))
run, failure = BENCH.run, BENCH.failure


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return fake_tools(tmp_path / "tools", monkeypatch)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return BENCH.lay_out(tmp_path / "out")


def test_verilog(fake: Fake, directory: Path) -> None:
    """Vivado need not be there."""
    fake("catapult", catapult())
    section, found = run(directory, "ip")
    assert found == []
    (step,) = section["steps"]
    assert (step["tool"], step["version"]) == ("catapult", "2024.2")
    assert step["products"] == [f"build/vendor/{SOLUTION}/concat_rtl.v"]
    assert section["synthesis"] == {
        "part": "",
        "clock": {"asked": 10.0, "estimated": 8.245001},
        "latency": {"least": 6, "most": 6},
        "interval": {"least": 5, "most": 5},
        "resources": [
            {"name": "area score", "used": 2282, "available": None},
            {"name": "DSP", "used": 3, "available": None},
            {"name": "LUT", "used": 2158, "available": None},
        ],
    }
    log = (directory / "build/ip.log").read_text("utf-8")
    assert "['-product', 'ultra', '-shell', '-f', 'build_prj.tcl']" in log


def test_gates(fake: Fake, directory: Path) -> None:
    """Hold before routing says nothing, and is left out."""
    fake("catapult", catapult())
    fake("vivado", "sys.exit(1)")
    section, found = run(directory)
    assert found == []
    assert [step["goal"] for step in section["steps"]] == ["ip", "fit"]
    assert section["implementation"] == {
        "slack": {"wns": 0.512, "tns": 0.0, "whs": None, "ths": None},
        "whole": {"LUT": 20001, "FF": 1711, "DSP": 3, "BRAM_18K": 5, "URAM": 0},
        "network": None,
        "stage": "unplaced",
    }
    shown = render_build({"build": section})
    assert "worst slack, unplaced" in shown
    assert "whole unplaced" in shown
    assert "routed" not in shown


def test_the_newest_solution_counts(fake: Fake, directory: Path) -> None:
    older = rtl(schedule(latency=99)).replace("net.v1", "net.v2")
    fake("catapult", catapult(older + rtl().replace("net.v1", "net.v10")))
    section, _ = run(directory, "ip")
    assert section["steps"][0]["products"] == ["build/vendor/net_prj/net.v10/concat_rtl.v"]
    assert section["synthesis"]["latency"]["most"] == 6


def test_timing_that_is_missed(fake: Fake, directory: Path) -> None:
    fake("catapult", catapult(rtl(schedule(delay="12.5")), gates(timing("-0.731"))))
    fake("vivado")
    _, (problem,) = run(directory, "ip")
    assert (problem.code, problem.severity) == ("ACT0434", "error")
    assert "12.5 ns, 2.5 ns above the 10 ns" in problem.message
    _, (estimate, slack) = run(directory)
    assert (estimate.severity, slack.severity) == ("warning", "error")
    assert "missed by 0.731 ns" in slack.message


NO_LICENCE = "# Error: Unable to obtain what the product needs (LIC-99)"


@pytest.mark.parametrize(
    ("body", "code", "note"),
    [
        (f"print({NO_LICENCE!r}); sys.exit(1)", "ACT0436", NO_LICENCE),
        # a shell that reads to the end of its input ends well
        (f"print({NO_LICENCE!r})", "ACT0436", NO_LICENCE),
        ("print('FlexNet Licensing error:-5,357')", "ACT0436", "FlexNet Licensing error:-5,357"),
        (
            "print('# Info: Connected to license server (LIC-13)')\n"
            "print('# Error: cannot open input file (BASIC-3)')",
            "ACT0437",
            "# Error: cannot open input file (BASIC-3)",
        ),
        (
            "print('# Error: Compilation aborted (CIN-5)'); sys.exit(1)",
            "ACT0510",
            "# Error: Compilation aborted (CIN-5)",
        ),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "ACT0512", None),
        ("pass", "ACT0437", None),
        (rtl("\0 crashed while writing"), "ACT0437", None),
        (rtl(schedule("other")), "ACT0437", None),
    ],
)
def test_failures(fake: Fake, directory: Path, body: str, code: str, note: str | None) -> None:
    fake("catapult", catapult(body))
    found = failure(directory)
    assert found.code == code
    if note is not None:
        assert found.notes == (note,)


def test_failures_of_vivado(fake: Fake, directory: Path) -> None:
    fake("vivado")
    fake("catapult", catapult(second="print('# Error: Vivado not found')"))
    found = failure(directory, goal="fit")
    assert found.code == "ACT0437"
    assert "timing_summary_synth.rpt" in found.message
    assert found.notes == ("# Error: Vivado not found",)
    fake("catapult", catapult(second="time.sleep(60)"))
    assert failure(directory, goal="fit", seconds=2.0).code == "ACT0511"


def test_a_hang(fake: Fake, directory: Path) -> None:
    fake("catapult", "time.sleep(60)")
    assert failure(directory, seconds=1.0).code == "ACT0511"


def test_missing_tools(fake: Fake, directory: Path) -> None:
    with pytest.raises(MissingTool) as caught:
        run(directory)
    messages = [item.message for item in caught.value.diagnostics]
    assert len(messages) == 2
    assert "no catapult on PATH" in messages[0]
    assert "no vivado on PATH" in messages[1]


@pytest.mark.parametrize(
    ("banner", "severity"),
    [
        ("Catapult Ultra Synthesis 10.5c/896140 (Production Release)", "error"),
        ("//  Catapult Ultra Synthesis 2023.1_2/1049935 (Production Release)", "error"),
        ("Catapult Ultra Synthesis 2024.1_1/1091966 (Production Release)", None),
        ("Catapult University Version 2025.3/1 (Production Release)", "warning"),
        ("catapult: web page replay", "error"),
        ("", "error"),
    ],
)
def test_versions(banner: str, severity: str | None, fake: Fake, directory: Path) -> None:
    fake("catapult", catapult(), banner=banner)
    if severity == "error":
        assert failure(directory).code == "ACT0435"
    else:
        _, found = run(directory, "ip")
        assert [item.severity for item in found] == ([severity] if severity else [])


# --- reports


def test_what_depends_on_data(tmp_path: Path) -> None:
    path = tmp_path / "rtl.rpt"
    path.write_text(schedule(latency=-1), "utf-8")
    assert read_schedule(path, "net", 10.0)["latency"] == {"least": None, "most": None}


def test_another_technology(tmp_path: Path) -> None:
    """Standard cells have a score alone."""
    text = schedule().replace(" Area(DSP) Area(LUTs) Area(MUX_CARRYs)", " Area(Gates)")
    path = tmp_path / "rtl.rpt"
    path.write_text(text.replace("     3.000   2157.250          255.000", "  2281.711"), "utf-8")
    rows = read_schedule(path, "net", 10.0)["resources"]
    assert rows == [{"name": "area score", "used": 2282, "available": None}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file"),
        ("", "no row 'Design Total'"),
        (schedule().partition("Timing")[0], "no critical path"),
        (schedule("net_2"), "report of net_2, not of net"),
        (schedule(delay="0"), "no time"),
        (schedule(delay="fast"), "no count"),
        (schedule(area="nan"), "no count"),
        (schedule(area=""), "other columns"),
    ],
)
def test_broken_schedules(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "rtl.rpt"
    if text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises(Unreadable, match=said):
        read_schedule(path, "net", 10.0)


def test_sites_of_older_families(tmp_path: Path) -> None:
    path = tmp_path / "utilization_synth.rpt"
    text = SITES.replace("CLB LUTs* ", "Slice LUTs*").replace("CLB Registers  ", "Slice Registers")
    path.write_text(text.replace("| URAM ", "| URAM288"), "utf-8")
    assert read_sites(path) == {"LUT": 20001, "FF": 1711, "DSP": 3, "BRAM_18K": 5}


@pytest.mark.parametrize("text", ["", SITES.replace("20001", "many"), SITES.replace("CLB R", "R")])
def test_broken_sites(tmp_path: Path, text: str) -> None:
    utilization, summary = tmp_path / "utilization.rpt", tmp_path / "timing.rpt"
    utilization.write_text(text, "utf-8")
    summary.write_text(timing(), "utf-8")
    with pytest.raises(Unreadable):
        read_gates(utilization, summary)


# --- the scripts themselves, in tclsh, with commands that write where Catapult does


@needs_hls4ml
@needs_tclsh
@pytest.mark.parametrize("io", ["parallel", "stream"])
def test_the_scripts_of_hls4ml(io: str, fake: Fake, tmp_path: Path) -> None:
    """Synthesis runs, and no simulation; results lie where they are looked for."""
    network = lower(program_of(3), "net", io, own=True)
    options = Options("Catapult", io, clock=125, part="xc7z020-clg484-1")
    out = tmp_path / "out"
    written(out, project_files(network, options))
    flow = flow_of(network, options)
    for name, text in {
        "rtl.rpt": schedule(delay="7.5"), "utilization": SITES, "timing_summary": timing(),
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text, "utf-8")
    commands = COMMANDS.replace("@RTL@", str(tmp_path / "rtl.rpt"))
    fake("catapult", f"tcl({commands.replace('@FOLDER@', str(tmp_path))!r})")
    fake("vivado")
    section, found = build(flow, out, None, 60, lambda line: None)
    assert found == []
    assert section["synthesis"]["clock"] == {"asked": 8.0, "estimated": 7.5}
    assert section["implementation"]["whole"]["LUT"] == 20001
    log = (out / "build/vendor/commands.log").read_text("utf-8")
    assert "-CLOCK_PERIOD 8.0 " in log
    assert "xc7z020-clg484-1" in log
    order = ["project new", "go compile", "go extract", "project save", "project load", "Vivado/sy"]
    places = [log.index(word) for word in order]
    assert places == sorted(places)
    assert "SCVerify/launch_make" not in log
    assert log.count("go extract") == 1
    assert "-DRANDOM_FRAMES=2" in log
    assert "OutputVHDL false" in log
    assert "OutputVerilog true" in log
    text = readme(network, options)
    for script in ("build_prj.tcl", "build_fit.tcl"):
        assert f"catapult -product ultra -shell -f {script}" in text
