"""Flows of vendors' tools with programs in their place: success, and every way to fail."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from vendor_bench import Bench
from vendor_tools import Fake, csynth, fake_tools, hls, timing, vivado

from actc.errors import MissingTool, ToolFailed, UsageError
from actc.targets.vendor.amd import bitstream_step, ip_step
from actc.targets.vendor.flow import Flow
from actc.targets.vendor.tools import VITIS, VIVADO_HLS

FLOW = Flow(
    "hls",
    "net",
    10.0,
    (ip_step(VITIS, "ip.tcl", "ip/solution", "net"), bitstream_step("board.tcl", "board", "net")),
    "something else",
)
BENCH = Bench(FLOW, ("ip.tcl", "board.tcl"))
run, failure = BENCH.run, BENCH.failure


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return fake_tools(tmp_path / "tools", monkeypatch)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return BENCH.lay_out(tmp_path / "out")


GOOD = hls("net", "ip/solution")


def test_an_ip(fake: Fake, directory: Path) -> None:
    fake("vitis-run", "print('arguments', sys.argv[1:])\n" + GOOD)
    section, found = run(directory, "ip")
    assert found == []
    assert section["steps"] == [
        {
            "goal": "ip",
            "tool": "vitis-run",
            "title": "Vitis HLS",
            "version": "2024.1",
            "log": "build/ip.log",
            "products": ["build/vendor/ip/solution/impl/ip"],
        }
    ]
    assert section["implementation"] is None
    log = (directory / "build/ip.log").read_text()
    assert "['--mode', 'hls', '--tcl', 'ip.tcl']" in log
    assert sorted(p.name for p in (directory / "hls").iterdir()) == ["board.tcl", "ip.tcl"]


def test_a_bitstream(fake: Fake, directory: Path) -> None:
    fake("vitis_hls", GOOD)
    fake("vivado", "assert sys.argv[1:4] == ['-mode', 'batch', '-source']\n" + vivado("net"))
    section, found = run(directory)
    assert found == []
    assert [step["tool"] for step in section["steps"]] == ["vitis_hls", "vivado"]
    implementation = section["implementation"]
    assert isinstance(implementation, dict)
    assert implementation["slack"]["wns"] == 0.512
    assert implementation["network"]["LUT"] == 3990
    assert (directory / "build/vendor/board/net.bit").is_file()


def test_the_newer_tool_is_taken(fake: Fake, directory: Path) -> None:
    fake("vitis_hls", "sys.exit(1)")
    fake("vitis-run", GOOD)
    assert run(directory, "ip")[0]["steps"][0]["tool"] == "vitis-run"


def test_what_c_synthesis_estimates_too_slow(fake: Fake, directory: Path) -> None:
    fake("vitis-run", hls("net", "ip/solution", csynth("net", estimated="12.5")))
    _, (found,) = run(directory, "ip")
    assert (found.code, found.severity) == ("ACT0434", "error")
    assert "12.5 ns, 2.5 ns above the 10 ns" in found.message
    assert found.help == "compile again with --clock 80, or something else"
    # routing decides
    fake("vivado", vivado("net"))
    _, (found,) = run(directory)
    assert (found.code, found.severity) == ("ACT0434", "warning")


def test_a_clock_that_is_reached_exactly(fake: Fake, directory: Path) -> None:
    fake("vitis-run", hls("net", "ip/solution", csynth("net", estimated="10.00")))
    fake("vivado", vivado("net", slack=timing("0.000", "0.000")))
    assert run(directory)[1] == []


def test_negative_slack(fake: Fake, directory: Path) -> None:
    fake("vitis-run", GOOD)
    fake("vivado", vivado("net", slack=timing("-0.731", "-0.050")))
    _, (setup, hold) = run(directory)
    assert {setup.code, hold.code} == {"ACT0434"}
    assert {setup.severity, hold.severity} == {"error"}
    assert "missed by 0.731 ns at a clock of 10 ns" in setup.message
    assert "--clock 93.1" in setup.help  # 1000 / 10.731 = 93.188
    assert "0.05 ns too early" in hold.message


def test_a_part_that_is_too_small(fake: Fake, directory: Path) -> None:
    fake("vitis-run", hls("net", "ip/solution", csynth("net", LUT="60000")))
    _, (found,) = run(directory, "ip")
    assert (found.code, found.severity) == ("ACT0438", "warning")
    assert found.notes == ("LUT: 60000 of 53200",)


def test_no_licence(fake: Fake, directory: Path) -> None:
    line = "ERROR: [Common 17-345] A valid license was not found for feature 'Synthesis'"
    fake("vitis-run", f"print({line!r})\nsys.exit(1)")
    found = failure(directory)
    assert found.code == "ACT0436"
    assert found.notes == (line,)
    assert found.place.file == str(directory / "build/ip.log")


def test_a_crash(fake: Fake, directory: Path) -> None:
    fake(
        "vitis-run",
        "print('ERROR: [HLS 200-1] bad', flush=True)\nos.kill(os.getpid(), signal.SIGSEGV)",
    )
    found = failure(directory)
    assert found.code == "ACT0512"
    assert "SIGSEGV" in found.message
    assert found.notes == ("ERROR: [HLS 200-1] bad",)
    assert found.place.file.endswith("build/ip.log")


def test_a_failure_without_error_lines(fake: Fake, directory: Path) -> None:
    fake("vitis-run", "print('oops')\nsys.exit(3)")
    found = failure(directory)
    assert found.code == "ACT0510"
    assert "status 3" in found.message
    assert found.notes == ("oops",)


def test_a_hang(fake: Fake, directory: Path) -> None:
    """It and its children are ended, and its log is kept."""
    child = "import time\nwhile True:\n open('alive', 'a').write('x')\n time.sleep(0.1)"
    fake(
        "vitis-run",
        "print('WARNING: No license found, queued', flush=True)\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "time.sleep(600)",
    )
    start = time.monotonic()
    found = failure(directory, seconds=3)
    assert time.monotonic() - start < 30
    assert found.code == "ACT0511"
    assert "--timeout" in found.help
    assert "queued" in (directory / "build/ip.log").read_text()
    alive = directory / "build/vendor/alive"
    size = alive.stat().st_size
    time.sleep(0.5)
    assert alive.stat().st_size == size


def test_the_limit_is_for_all_steps(fake: Fake, directory: Path) -> None:
    fake("vitis-run", GOOD + "\ntime.sleep(2)")
    fake("vivado", "time.sleep(4)\n" + vivado("net"))
    with pytest.raises(ToolFailed) as caught:
        run(directory, seconds=5)
    assert caught.value.diagnostics[0].code == "ACT0511"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("print('done')", "made no ip/solution/impl/ip"),
        ("pathlib.Path('ip/solution/impl/ip').mkdir(parents=True)", "made no"),
        (hls("net", "ip/solution", "\1garbage"), "no XML"),
        (hls("other", "ip/solution"), "no such file"),
    ],
)
def test_no_results(body: str, why: str, fake: Fake, directory: Path) -> None:
    fake("vitis-run", body)
    found = failure(directory)
    assert found.code == "ACT0437"
    assert why in found.message


def test_results_of_an_earlier_run_do_not_count(fake: Fake, directory: Path) -> None:
    fake("vitis-run", GOOD)
    run(directory, "ip")
    fake("vitis-run", "print('nothing made')")
    assert failure(directory).code == "ACT0437"


def test_no_timing_report(fake: Fake, directory: Path) -> None:
    fake("vitis-run", GOOD)
    fake("vivado", vivado("net", slack="crashed while writing"))
    with pytest.raises(ToolFailed) as caught:
        run(directory)
    assert caught.value.diagnostics[0].code == "ACT0437"
    assert "timing.txt" in caught.value.diagnostics[0].message


@pytest.mark.parametrize(("version", "severity"), [("2019.1", "error"), ("2031.2", "warning")])
def test_other_versions(version: str, severity: str, fake: Fake, directory: Path) -> None:
    fake("vitis-run", GOOD, version=version)
    if severity == "error":
        found = failure(directory)
        assert not (directory / "build").exists()
    else:
        _, (found,) = run(directory, "ip")
    assert (found.code, found.severity) == ("ACT0435", severity)
    assert f"is version {version}; the scripts are written for 2022.2 to 2025.1" in found.message


@pytest.mark.parametrize("banner", ["", "hello", "version 12", "v2024"])
def test_a_version_that_cannot_be_read(banner: str, fake: Fake, directory: Path) -> None:
    fake("vitis-run", GOOD, banner=banner)
    found = failure(directory)
    assert found.code == "ACT0435"
    assert found.notes == ((banner,) if banner else ())


def test_missing_tools_are_named_at_once(fake: Fake, directory: Path) -> None:
    with pytest.raises(MissingTool) as caught:
        run(directory)
    first, second = caught.value.diagnostics
    assert {first.code, second.code} == {"ACT0501"}
    assert "no vitis-run or vitis_hls on PATH" in first.message
    assert "no vivado on PATH" in second.message
    assert "ACTC_VITIS_RUN" in first.help
    assert "README.md" in first.help
    assert not (directory / "build").exists()


def test_a_tool_on_path(fake: Fake, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = fake("vitis-run", GOOD)
    monkeypatch.delenv("ACTC_VITIS_RUN")
    made.rename(made.parent / "vitis-run")
    monkeypatch.setenv("PATH", f"{made.parent}:/usr/bin:/bin")
    assert run(directory, "ip")[1] == []


def test_a_wrong_path(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTC_VITIS_RUN", "/nowhere/vitis-run")
    assert failure(directory, MissingTool).code == "ACT0502"


def test_scripts_that_are_not_there(fake: Fake, directory: Path) -> None:
    only_ip = Flow("hls", "net", 10.0, (ip_step((VIVADO_HLS,), "ip.tcl", "ip/solution", "net"),))
    with pytest.raises(UsageError) as caught:
        Bench(only_ip, ()).run(directory, "bitstream")
    assert caught.value.diagnostics[0].code == "ACT0433"
