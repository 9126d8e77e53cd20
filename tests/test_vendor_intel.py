"""Intel's oneAPI with a program in the place of its compiler: success, and ways to fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from vendor_bench import Bench
from vendor_tools import Fake, fake_tools

from actc.errors import MissingTool
from actc.targets.vendor.csynth import Unreadable
from actc.targets.vendor.flow import Flow
from actc.targets.vendor.intel import export_step, read_estimates

STEP = export_step("net", "src/firmware/net.cpp", ("src/net_test.cpp",), "Agilex7", 5.0)
FLOW = Flow("project", "net", 5.0, (STEP,), "a larger reuse=")
BENCH = Bench(FLOW, ("src/firmware/net.cpp",))
run, failure = BENCH.run, BENCH.failure
REPORTS = "net.fpga_ip_export.prj/reports/resources/json"
SUMMARY = [
    {"name": "Available", "data": [974400, 1948800, 7110, 4510, 24000]},
    {"name": "Total", "data": [4711, "9422", 12, 3.0, 7]},
]
LOOPS = [{"name": "a", "af": "412.5", "ii": "1", "lt": "7"}, {"name": "b", "af": 600}, {"ii": 1}]


def reports(summary: list[object], loops: list[object]) -> str:
    """The body of a compiler that writes these rows."""
    texts = {
        name: "\n".join(map(json.dumps, rows))
        for name, rows in (("summary", summary), ("loop_attr", loops))
    }
    return "".join(f"write({REPORTS + '/' + n + '.ndjson'!r}, {t!r})\n" for n, t in texts.items())


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return fake_tools(tmp_path / "tools", monkeypatch)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return BENCH.lay_out(tmp_path / "out")


def test_an_ip(fake: Fake, directory: Path) -> None:
    fake("icpx", "print('arguments', sys.argv[1:])\n" + reports(SUMMARY, LOOPS))
    section, found = run(directory)
    assert found == []
    (step,) = section["steps"]
    assert (step["tool"], step["version"]) == ("icpx", "2024.2")
    synthesis = section["synthesis"]
    assert synthesis["clock"] == {"asked": 5.0, "estimated": pytest.approx(1000 / 412.5)}
    rows = {row["name"]: (row["used"], row["available"]) for row in synthesis["resources"]}
    assert rows["ALUT"] == (4711, 974400)
    assert rows["FF"] == (9422, 1948800)
    assert rows["DSP"] == (3, 4510)
    log = (directory / "build/ip.log").read_text("utf-8")
    for flag in ("-Xstarget=Agilex7", "-Xsclock=5ns", "src/net_test.cpp", "net.fpga_ip_export"):
        assert flag in log


def test_timing_that_is_missed(fake: Fake, directory: Path) -> None:
    fake("icpx", reports(SUMMARY, [{"af": 150}]))
    _, (problem,) = run(directory)
    assert (problem.code, problem.severity) == ("ACT0434", "error")
    assert "--clock 150" in str(problem.help)


def test_a_design_that_is_too_large(fake: Fake, directory: Path) -> None:
    small = {"name": "Available", "data": [4000, 8000, 10, 2, 10]}
    fake("icpx", reports([small, SUMMARY[1]], LOOPS))
    _, (problem,) = run(directory)
    assert (problem.code, problem.severity) == ("ACT0438", "warning")
    assert len(problem.notes) == 4


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("print('Error: could not check out a license for Quartus'); sys.exit(1)", "ACT0436"),
        ("print('error: unknown target'); sys.exit(1)", "ACT0510"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "ACT0512"),
        ("pass", "ACT0437"),
        (reports([{"name": "Total"}, {"name": "Total", "data": [1]}], LOOPS), "ACT0437"),
        (reports(SUMMARY, [{"af": "quick"}]), "ACT0437"),
    ],
)
def test_failures(fake: Fake, directory: Path, body: str, code: str) -> None:
    fake("icpx", body)
    assert failure(directory).code == code


def test_a_compiler_that_hangs(fake: Fake, directory: Path) -> None:
    fake("icpx", "time.sleep(60)")
    assert failure(directory, seconds=2.0).code == "ACT0511"


def test_versions(fake: Fake, directory: Path) -> None:
    assert failure(directory, MissingTool).code == "ACT0501"
    fake("icpx", reports(SUMMARY, LOOPS), version="2023.2")
    assert failure(directory).code == "ACT0435"
    fake("icpx", reports(SUMMARY, LOOPS), version="2025.1")
    _, (remark,) = run(directory)
    assert (remark.code, remark.severity) == ("ACT0435", "warning")


@pytest.mark.parametrize(
    ("summary", "loops", "said"),
    [
        (None, "", "summary.ndjson: no such file"),
        ("", "", "no row 'Total'"),
        ("{", "", "no JSON"),
        ("[" * 100_000, "", "no JSON"),
        ("[1]", "", "no object"),
        ('{"name": "Total", "data": [1, 2, 3, 4, -5]}', "", "no count"),
        ('{"name": "Total", "data": [1, 2, 3, 4, true]}', '{"af": 1e9}', "no frequency"),
        ('{"name": "Total", "data": [1, 2, 3, 4, NaN]}', "", "no count"),
        ('{"name": "Total", "data": [1, 2, 3, 4, 5]}', None, "loop_attr.ndjson: no such file"),
    ],
)
def test_broken_reports(tmp_path: Path, summary: str | None, loops: str | None, said: str) -> None:
    for name, text in (("summary", summary), ("loop_attr", loops)):
        if text is not None:
            (tmp_path / f"{name}.ndjson").write_text(text, "utf-8")
    with pytest.raises(Unreadable, match=said):
        read_estimates(tmp_path, 5.0)
