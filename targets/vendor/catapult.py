"""Flows of Siemens' Catapult, its report `rtl.rpt`, and those of the Vivado that it starts.

hls4ml's `build_prj.tcl` makes the RTL. The places of the reports are those that
hls4ml/report/catapult_report.py reads; the structure of `rtl.rpt` is that of Catapult 2024.1, as in
https://github.com/PatriChou/lab2-2-Edge-Map/blob/60b6c4f2643f4bf6c1189eaf7feff807d2ee50dc/rtl.rpt
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from actc.targets.vendor.csynth import Unreadable
from actc.targets.vendor.flow import Report, Step
from actc.targets.vendor.tools import CATAPULT, VIVADO
from actc.targets.vendor.vivado import read_sites, read_timing

FIT_SCRIPT = "build_fit.tcl"
_GATES = "vivado_concat_v"
_MOST_BYTES = 1 << 30
_MOST_COUNT = 10**12
_AREAS = {"Area Score": "area score", "Area(DSP)": "DSP", "Area(LUTs)": "LUT"}
"""Column of the bill of materials -> resource. The score has no unit, the others count."""
_COLUMN = re.compile(r"Area Score|Area\([^)]*\)")
_TOTAL = re.compile(r"\s*TOTAL AREA \(After Assignment\):\s*(.*)")
_DESIGN = re.compile(r"\s*Design Total:\s+-?\d+\s+(-?\d+)\s+(-?\d+)\s")
_SOLUTION = re.compile(r"Solution Settings:\s*(\S+)\.v\d+\s*$")
_DELAY = re.compile(r"\s*Max Delay:\s*(\S+)\s*$")


def rtl_step(name: str, script: str) -> Step:
    """Verilog of a design.

    Args:
        name: of the network.
        script: hls4ml's.
    """
    solution = _solution(name)
    return Step(
        "ip",
        (CATAPULT,),
        script,
        products=(f"{solution}/concat_rtl.v",),
        synthesis=Report("schedule", (f"{solution}/rtl.rpt",)),
    )


def fit_step(name: str) -> Step:
    """The Verilog synthesized by Vivado, which Catapult starts."""
    folder = f"{_solution(name)}/{_GATES}"
    files = (f"{folder}/utilization_synth.rpt", f"{folder}/timing_summary_synth.rpt")
    return Step(
        "fit",
        (CATAPULT,),
        FIT_SCRIPT,
        products=(),
        implementation=Report("gates", files),
        also=(VIVADO,),
    )


def fit_tcl(name: str) -> str:
    """For Catapult: the project that the other script has saved, synthesized by Vivado."""
    return (
        "# Run this behind build_prj.tcl: catapult -product ultra -shell -f build_fit.tcl\n"
        f"project load {name}_prj.ccs\n"
        f"flow run /Vivado/synthesize -shell {_GATES}/concat_rtl.v.xv\n"
    )


def _solution(name: str) -> str:
    return f"{name}_prj/{name}.v*"


def read_schedule(path: Path, top: str, period: float) -> dict[str, Any]:
    """What Catapult estimates.

    Args:
        path: of `rtl.rpt`.
        top: name of the design.
        period: of the clock that was asked for, ns.

    Returns:
        JSON-ready, as :func:`~actc.targets.vendor.csynth.read_csynth` gives it; resources are
        those of the bill of materials.

    Raises:
        Unreadable: there is no such report, or it is none.
    """
    columns: list[str] = []
    found: dict[str, Any] = {"part": "", "resources": []}
    for line in _lines(path):
        if (match := _SOLUTION.match(line)) and match[1] != top:
            raise Unreadable(f"it is the report of {match[1][:80]}, not of {top}")
        if match := _DESIGN.match(line):
            found["latency"], found["interval"] = _clocks(match[1]), _clocks(match[2])
        elif "Component Name" in line:
            columns = _COLUMN.findall(line)
        elif match := _TOTAL.match(line):
            found["resources"] = _areas(columns, match[1].split())
        elif match := _DELAY.match(line):
            found["clock"] = {"asked": period, "estimated": _delay(match[1])}
            break  # paths follow, without end
    if "latency" not in found:
        raise Unreadable("it has no row 'Design Total'")
    if "clock" not in found:
        raise Unreadable("it has no critical path")
    return found


def read_gates(utilization: Path, timing: Path) -> dict[str, Any]:
    """What Vivado has synthesized, but not placed.

    Returns:
        JSON-ready: slack (see :func:`~actc.targets.vendor.vivado.read_timing`; setup alone, as
        routing mends hold), whole: resource -> count, network: None, and stage.

    Raises:
        Unreadable: there are no such reports, or they are none.
    """
    slack = read_timing(timing) | {"whs": None, "ths": None}
    return {
        "slack": slack,
        "whole": read_sites(utilization),
        "network": None,
        "stage": "unplaced",
    }


def _clocks(text: str) -> dict[str, int | None]:
    clocks = int(text) if len(text) <= 18 else -1
    known = clocks if clocks >= 0 else None  # -1 where it depends on data
    return {"least": known, "most": known}


def _areas(columns: list[str], cells: list[str]) -> list[dict[str, Any]]:
    if len(cells) != len(columns):
        raise Unreadable("the total of its areas has other columns than their table")
    return [
        {"name": _AREAS[column], "used": math.ceil(_number(cell)), "available": None}
        for column, cell in zip(columns, cells, strict=True)
        if column in _AREAS
    ]


def _delay(text: str) -> float:
    delay = _number(text)
    if not 0 < delay < 1e6:
        raise Unreadable(f"{text[:40]!r} is no time in ns")
    return delay


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= _MOST_COUNT:
        raise Unreadable(f"{text[:40]!r} is no count")
    return value


def _lines(path: Path) -> Iterator[str]:
    """Reports of large designs are large; they are read line by line."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            read = 0
            while line := stream.readline(1 << 20):
                read += len(line)
                if read > _MOST_BYTES:
                    raise Unreadable(f"it is larger than {_MOST_BYTES >> 20} MiB")
                yield line
    except OSError as problem:
        raise Unreadable((problem.strerror or str(problem)).lower()) from problem
