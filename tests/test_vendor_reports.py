"""Reports and logs of vendors' tools: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from vendor_tools import UTILIZATION, csynth, timing

from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed
from actc.targets.vendor.csynth import Unreadable, parse_xml, read_csynth
from actc.targets.vendor.logs import explained
from actc.targets.vendor.vivado import read_timing, read_utilization


def written(folder: Path, text: str) -> Path:
    path = folder / "report"
    path.write_text(text, "utf-8")
    return path


def test_c_synthesis(tmp_path: Path) -> None:
    found = read_csynth(written(tmp_path, csynth("net")), "net")
    assert found["part"] == "xc7z020-clg400-1"
    assert found["clock"] == {"asked": 10.0, "estimated": 7.256}
    assert found["latency"] == {"least": 39, "most": 41}
    assert found["interval"] == {"least": 12, "most": 12}
    assert found["resources"] == [
        {"name": "LUT", "used": 4711, "available": 53200},
        {"name": "FF", "used": 2510, "available": 106400},
        {"name": "DSP", "used": 3, "available": 220},
        {"name": "BRAM_18K", "used": 4, "available": 280},
        {"name": "URAM", "used": 0, "available": 0},
    ]


def test_c_synthesis_of_older_versions(tmp_path: Path) -> None:
    text = (
        csynth("net").replace("DSP>", "DSP48E>").replace(">39<", ">undef<").replace(">41<", ">?<")
    )
    found = read_csynth(written(tmp_path, text), "net")
    assert {"name": "DSP", "used": 3, "available": 220} in found["resources"]
    assert found["latency"] == {"least": None, "most": None}


def test_a_report_without_a_name_is_that_of_the_top(tmp_path: Path) -> None:
    text = csynth("net").replace("<TopModelName>net</TopModelName>", "")
    assert read_csynth(written(tmp_path, text), "net")["part"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no XML"),
        ("\0\1\2 garbage", "no XML"),
        (csynth("net")[:900], "no XML"),
        (csynth("other"), "report of other"),
        (csynth("net", estimated="fast"), "EstimatedClockPeriod"),
        (csynth("net", estimated="nan"), "EstimatedClockPeriod"),
        (csynth("net", period="-1"), "TargetClockPeriod"),
        (csynth("net", LUT="9" * 5000), "no count"),
        (csynth("net", FF="-3"), "no count"),
        (csynth("net", FF=""), "has no FF"),
        (csynth("net").replace("Resources>", "Resource>"), "no resources"),
        ("<html/>", "root is <html>"),
        ("<profile>" * 100 + "</profile>" * 100, "deep"),
    ],
)
def test_what_is_no_report(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=why):
        read_csynth(written(tmp_path, text), "net")


def test_entities_are_refused() -> None:
    lines = ['<!ENTITY a0 "ha">']
    lines += [f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12)]
    bomb = f"<!DOCTYPE profile [{''.join(lines)}]><profile>&a11;</profile>"
    with pytest.raises(Unreadable, match="document type"):
        parse_xml(bomb.encode())
    outside = '<!DOCTYPE p [<!ENTITY f SYSTEM "file:///etc/hostname">]><p>&f;</p>'
    with pytest.raises(Unreadable, match="document type"):
        parse_xml(outside.encode())


def test_a_report_that_is_missing(tmp_path: Path) -> None:
    for reader in (read_utilization, read_timing, lambda path: read_csynth(path, "net")):
        with pytest.raises(Unreadable, match="no such file"):
            reader(tmp_path / "absent")


def test_utilization(tmp_path: Path) -> None:
    found = read_utilization(written(tmp_path, UTILIZATION))
    assert found["whole"] == {"LUT": 6290, "FF": 7213, "DSP": 3, "BRAM_18K": 2 * 4 + 3}
    assert found["network"] == {"LUT": 3990, "FF": 2400, "DSP": 3, "BRAM_18K": 3}


def test_utilization_of_other_versions(tmp_path: Path) -> None:
    text = UTILIZATION.replace("DSP Blocks", "DSP48 Blocks").replace("3990 |", "3990(7.50%) |")
    text = text.replace("RAMB18 |", "RAMB18 | URAM |").replace("|      3 |", "|      3 | 1 |")
    text = text.replace("|      0 |          0 |", "|      0 | 0 |          0 |")
    found = read_utilization(written(tmp_path, text))
    assert found["network"] == {"LUT": 3990, "FF": 2400, "DSP": 3, "BRAM_18K": 3, "URAM": 1}
    assert read_utilization(written(tmp_path, text.replace("network", "net")))["network"] is None


@pytest.mark.parametrize("text", ["", "| a | b |\n| 1 | 2 |", UTILIZATION.replace("6290", "many")])
def test_what_is_no_utilization(text: str, tmp_path: Path) -> None:
    with pytest.raises(Unreadable):
        read_utilization(written(tmp_path, text))


def test_slack(tmp_path: Path) -> None:
    """That of the whole design, not that of a clock."""
    found = read_timing(written(tmp_path, timing("-0.731", "0.021")))
    assert found == {"wns": -0.731, "tns": 0.0, "whs": 0.021, "ths": 0.0}
    assert read_timing(written(tmp_path, timing(whs="NA")))["whs"] is None


@pytest.mark.parametrize("text", ["", "WNS(ns) TNS(ns)\n", timing("NA"), timing("soon")])
def test_what_is_no_slack(text: str, tmp_path: Path) -> None:
    with pytest.raises(Unreadable):
        read_timing(written(tmp_path, text))


LICENCES = [
    "ERROR: [Common 17-345] A valid license was not found for feature 'Synthesis' and/or device "
    "'xcvu13p'. Please run the Vivado License Manager.",
    "ERROR: [HLS 200-70] License checkout failed for feature HLS",
    "Error: Failed to check out license: Vitis_HLS",
    "No license found for 'ap_opencl'",
    "Error (292000): FLEXlm software error: Invalid license key (inconsistent authentication code)",
    "Cannot connect to license server system. (-15,578:111 Connection refused)",
]


@pytest.mark.parametrize("line", LICENCES)
def test_licences(line: str, tmp_path: Path) -> None:
    log = written(tmp_path, f"INFO: start\n{line}\nERROR: giving up\n")
    failed = ToolFailed(Diagnostic("ACT0510", "tool failed with status 1"))
    (found,) = explained(failed, log, "Vivado").diagnostics
    assert found.code == "ACT0436"
    assert found.notes == (line,)


@pytest.mark.parametrize(
    "line",
    [
        "INFO: [Common 17-349] Got license for feature 'Synthesis' and/or device 'xc7z020'",
        "WARNING: No license found for an optional feature",
        "// Licensed under the Apache License, Version 2.0",
    ],
)
def test_other_lines_about_licences(line: str, tmp_path: Path) -> None:
    log = written(tmp_path, f"{line}\nERROR: [HLS 207-3771] use of undeclared identifier 'x'\n")
    failed = ToolFailed(Diagnostic("ACT0510", "tool failed with status 1"))
    (found,) = explained(failed, log, "Vitis HLS").diagnostics
    assert found.code == "ACT0510"
    assert found.notes == ("ERROR: [HLS 207-3771] use of undeclared identifier 'x'",)
    assert str(log) in found.help


def test_the_date_that_overflows(tmp_path: Path) -> None:
    line = "ERROR: '2201011234' is an invalid argument. Please specify an integer value."
    failed = ToolFailed(Diagnostic("ACT0510", "tool failed with status 1"))
    (found,) = explained(failed, written(tmp_path, line), "Vivado HLS").diagnostics
    assert "76960" in found.help
