"""Programs in the place of vendors' tools, that work, fail, crash or hang; and their reports."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actc.toolchain import variable

PART = "xc7z020-clg400-1"
BANNERS = {
    "vitis-run": "****** vitis-run v@ (64-bit)\n  **** SW Build 5076996 on Wed May 22 2024",
    "vitis_hls": "****** Vitis HLS - High-Level Synthesis from C, C++ and OpenCL v@ (64-bit)",
    "vivado_hls": "****** Vivado(TM) HLS - High-Level Synthesis from C and C++ v@ (64-bit)",
    "vivado": "vivado v@ (64-bit)\nTool Version Limit: 2024.05",
    "icpx": "Intel(R) oneAPI DPC++/C++ Compiler @.1 (@.1.20240711)\nTarget: x86_64-unknown-linux",
    "i++": "Intel(R) HLS Compiler\nVersion @.0 Build 168.5\nCopyright (C) 2020 Intel Corporation",
    "quartus_sh": "Quartus Prime Shell\nVersion @.0 Build 177 04/06/2020 SC Pro Edition",
    "catapult": "//  Catapult Ultra Synthesis @/1130128 (Production Release) Mon Aug 26 2024",
}
USUAL = {
    "vitis-run": "2024.1",
    "vitis_hls": "2023.1",
    "vivado_hls": "2019.2",
    "vivado": "2024.1",
    "icpx": "2024.2",
    "i++": "20.3",
    "quartus_sh": "20.3",
    "catapult": "2024.2",
}
# A tool: it says its version, or runs its body with its arguments. Bodies may call ...
_HEADER = """\
import json, os, pathlib, signal, subprocess, sys, time
if sys.argv[1:] in (["-version"], ["--version"]):
    print({banner!r})
    sys.exit(0)
script = pathlib.Path(sys.argv[-1])
assert any(script.with_suffix(s).is_file() for s in (script.suffix, ".qpf")), "no " + str(script)
def write(name, text):
    path = pathlib.Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
def tcl(commands):  # ... this: the script in tclsh, with the tool's commands defined first
    write("commands.tcl", commands)
    done = subprocess.run(["tclsh"], input="source commands.tcl\\nsource " + script.name, text=True)
    sys.exit(done.returncode)
"""

Fake = Callable[..., Path]
"""Command, body of its program, version=..., banner=... -> its path; it is found by ACTC_..."""


def fake_tools(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """A maker of tools; those that are not made are not found."""
    folder.mkdir(exist_ok=True)
    for command in BANNERS:
        monkeypatch.delenv(variable(command), raising=False)

    def make(command: str, body: str = "", version: str = "", banner: str | None = None) -> Path:
        said = BANNERS[command].replace("@", version or USUAL[command])
        path = folder / f"fake-{command}"
        header = _HEADER.format(banner=said if banner is None else banner)
        path.write_text(f"#!{sys.executable}\n{header}{body}\n")
        path.chmod(0o755)
        monkeypatch.setenv(variable(command), str(path))
        return path

    return make


def csynth(top: str, estimated: str = "7.256", period: str = "10.00", **changed: str) -> str:
    """A report of C synthesis, as Vitis HLS writes it."""
    used = {"BRAM_18K": "4", "DSP": "3", "FF": "2510", "LUT": "4711", "URAM": "0"} | changed
    there = {"BRAM_18K": "280", "DSP": "220", "FF": "106400", "LUT": "53200", "URAM": "0"}
    rows = ("".join(f"<{k}>{v}</{k}>" for k, v in part.items()) for part in (used, there))
    resources, available = rows
    return f"""<?xml version="1.0" encoding="utf-8"?>
<profile>
  <section name="Vitis HLS Report"/>
  <ReportVersion><Version>2024.1</Version></ReportVersion>
  <UserAssignments>
    <unit>ns</unit>
    <ProductFamily>zynq</ProductFamily>
    <Part>{PART}</Part>
    <TopModelName>{top}</TopModelName>
    <TargetClockPeriod>{period}</TargetClockPeriod>
    <ClockUncertainty>2.70</ClockUncertainty>
    <FlowTarget>vivado</FlowTarget>
  </UserAssignments>
  <PerformanceEstimates>
    <PipelineType>dataflow</PipelineType>
    <SummaryOfTimingAnalysis>
      <unit>ns</unit>
      <EstimatedClockPeriod>{estimated}</EstimatedClockPeriod>
    </SummaryOfTimingAnalysis>
    <SummaryOfOverallLatency>
      <unit>clock cycles</unit>
      <Best-caseLatency>39</Best-caseLatency>
      <Average-caseLatency>40</Average-caseLatency>
      <Worst-caseLatency>41</Worst-caseLatency>
      <Best-caseRealTimeLatency>0.390 us</Best-caseRealTimeLatency>
      <Interval-min>12</Interval-min>
      <Interval-max>12</Interval-max>
    </SummaryOfOverallLatency>
  </PerformanceEstimates>
  <AreaEstimates>
    <Resources>{resources}</Resources>
    <AvailableResources>{available}</AvailableResources>
  </AreaEstimates>
</profile>
"""


UTILIZATION = """\
Copyright 1986-2022 Xilinx, Inc. All Rights Reserved. Copyright 2022-2024 Advanced Micro Devices, Inc.
| Tool Version : Vivado v.2024.1 (lin64) Build 5076996 Wed May 22 18:36:09 MDT 2024
| Design       : system_wrapper
| Device       : xc7z020clg400-1
| Design State : Routed

Utilization Design Information

1. Utilization by Hierarchy
---------------------------

+------------------+-----------------+------------+------------+---------+------+------+--------+--------+------------+
|     Instance     |      Module     | Total LUTs | Logic LUTs | LUTRAMs | SRLs |  FFs | RAMB36 | RAMB18 | DSP Blocks |
+------------------+-----------------+------------+------------+---------+------+------+--------+--------+------------+
| system_wrapper   |           (top) |       6290 |       5800 |     300 |  190 | 7213 |      4 |      3 |          3 |
|   system_i       |          system |       6290 |       5800 |     300 |  190 | 7213 |      4 |      3 |          3 |
|     dma          |    system_dma_0 |       1500 |       1400 |      60 |   40 | 2100 |      2 |      0 |          0 |
|     network      | system_network_0|       3990 |       3800 |     150 |   40 | 2400 |      0 |      3 |          3 |
+------------------+-----------------+------------+------------+---------+------+------+--------+--------+------------+
"""  # noqa: E501


def timing(wns: str = "0.512", whs: str = "0.021") -> str:
    """A timing summary, as Vivado writes it."""
    return f"""\
------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints
    -------      -------  ---------------------  -------------------      -------      -------  ---------------------
      {wns}        0.000                      0                19233        {whs}        0.000                      0


All user specified timing constraints are met.

------------------------------------------------------------------------------------------------
| Intra Clock Table
------------------------------------------------------------------------------------------------

Clock             WNS(ns)      TNS(ns)  TNS Failing Endpoints
-----             -------      -------  ---------------------
clk_fpga_0          9.999        0.000                      0
"""  # noqa: E501


def hls(top: str, solution: str, report: str | None = None) -> str:
    """The body of an HLS tool that makes an IP."""
    text = csynth(top) if report is None else report
    return (
        f"write({f'{solution}/syn/report/{top}_csynth.xml'!r}, {text!r})\n"
        f"write({f'{solution}/impl/ip/component.xml'!r}, '<component/>')\n"
        "print('INFO: [HLS 200-111] Finished')"
    )


def vivado(top: str, folder: str = "board", slack: str | None = None) -> str:
    """The body of a Vivado that makes a bitstream."""
    reports = {"utilization": UTILIZATION, "timing": timing() if slack is None else slack}
    return "\n".join(
        [
            *(f"write({f'{folder}/{name}.txt'!r}, {text!r})" for name, text in reports.items()),
            *(f"write({f'{folder}/{top}.{end}'!r}, 'made')" for end in ("bit", "hwh")),
        ]
    )


# commands of an HLS tool that lay down what the real ones do, in the folders that the script names
HLS_COMMANDS = """\
set project {}; set solution {}; set top {}; set exported 0
set log [open commands.log w]
proc note {args} {global log; puts $log $args; flush $log}
proc open_project {args} {
  global project; note open_project {*}$args
  set project [lindex $args end]
}
proc open_solution {args} {
  global solution; note open_solution {*}$args
  foreach word $args {
    if {![string match -* $word] && $word ne "vivado"} {set solution $word}
  }
}
proc set_top {name} {global top; set top $name; note set_top $name}
proc add_files {args} {
  note add_files {*}$args
  foreach word $args {
    if {[string match *.cpp $word] && ![file isfile $word]} {error "no file $word"}
  }
}
proc place {path text} {
  file mkdir [file dirname $path]
  set out [open $path w]; puts -nonewline $out $text; close $out
}
proc csynth_design {} {
  global project solution top
  note csynth_design
  set in [open @REPORT@]; set text [read $in]; close $in
  place $project/$solution/syn/report/${top}_csynth.xml $text
}
proc export_design {args} {
  global project solution
  note export_design {*}$args
  place $project/$solution/impl/ip/component.xml <component/>
}
proc unknown {args} {note {*}$args}
"""


def running(report: Path) -> str:
    """The body of an HLS tool that runs its script in tclsh."""
    return f"tcl({HLS_COMMANDS.replace('@REPORT@', '{' + str(report) + '}')!r})"


def report_of(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "report.json").read_text("utf-8"))
    return found
