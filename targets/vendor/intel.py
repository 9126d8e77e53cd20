"""Flows of Intel's oneAPI, and its reports of what the compiler estimates."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from actc.targets.vendor.csynth import Unreadable, read_bytes
from actc.targets.vendor.flow import Report, Step
from actc.targets.vendor.tools import ICPX

_REPORTS = "reports/resources/json"
_RESOURCES = ("ALUT", "FF", "RAM", "DSP", "MLAB")
"""In the order of the columns of `summary.ndjson`."""
_MOST = 10**12


def export_step(name: str, source: str, others: tuple[str, ...], part: str, period: float) -> Step:
    """The IP of a kernel; the same flags as the target `fpga_ip_export` of hls4ml's CMakeLists.txt.

    Args:
        name: of the network.
        source, others: the files that are compiled.
        part: family or part of the FPGA.
        period: of the clock, ns.
    """
    project = f"{name}.fpga_ip_export"
    flags = (
        "-fsycl", "-fintelfpga", "-Wall", "-qactypes", "-Wno-unused-label",
        "-fconstexpr-steps=134217728", "-Isrc", "-Isrc/firmware", "-DFPGA_HARDWARE",
        "-Xshardware", f"-Xstarget={part}", f"-Xsclock={period:g}ns", "-Xsoptimize=latency",
        "-fsycl-link=early", "-fsycl-device-code-split=per_kernel", "-o", project, *others,
    )  # fmt: skip
    folder = f"{project}.prj"
    return Step(
        "ip",
        (replace(ICPX, before=flags),),
        source,
        products=(folder,),
        synthesis=Report("estimates", (f"{folder}/{_REPORTS}",)),
    )


def read_estimates(folder: Path, period: float) -> dict[str, Any]:
    """What the compiler estimates.

    Args:
        folder: of `summary.ndjson` and `loop_attr.ndjson`.
        period: of the clock that was asked for, ns.

    Returns:
        See :func:`estimated`.

    Raises:
        Unreadable: there are no such reports, or they are none.
    """
    rows = {str(row.get("name")): row.get("data") for row in _rows(folder / "summary.ndjson")}
    if "Total" not in rows:
        raise Unreadable("it has no row 'Total'")
    reached = [frequency(row["af"]) for row in _rows(folder / "loop_attr.ndjson") if "af" in row]
    return estimated(rows["Total"], rows.get("Available"), reached, period)


def estimated(
    total: object, available: object, reached: Sequence[float], period: float
) -> dict[str, Any]:
    """The figures of Intel's compilers.

    Args:
        total, available: counts of ALUT, FF, RAM, DSP and MLAB; None: not known.
        reached: clocks that blocks are scheduled for, MHz.
        period: of the clock that was asked for, ns.

    Returns:
        JSON-ready, as :func:`~actc.targets.vendor.csynth.read_csynth` gives it, without latency
        and interval of the whole, which are not in the reports.

    Raises:
        Unreadable: these are no counts.
    """
    used, there = _counts(total), _counts(available)
    return {
        "part": "",
        "clock": {"asked": period, "estimated": 1e3 / min(reached) if reached else period},
        "resources": [
            {"name": name, "used": own, "available": most}
            for name, own, most in zip(_RESOURCES, used, there, strict=True)
            if own is not None
        ],
    }


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Objects, one in each line."""
    try:
        text = read_bytes(path)
    except Unreadable as problem:
        raise Unreadable(f"{path.name}: {problem}") from problem
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as problem:
            raise Unreadable(f"{path.name} has a line that is no JSON") from problem
        if not isinstance(row, dict):
            raise Unreadable(f"{path.name} has a line that is no object")
        yield row


def _counts(data: object) -> list[int | None]:
    if data is None:
        return [None] * len(_RESOURCES)
    if not isinstance(data, list) or len(data) < len(_RESOURCES):
        raise Unreadable(f"a row has no {len(_RESOURCES)} counts")
    return [count(value) for value in data[: len(_RESOURCES)]]


def count(value: object) -> int:
    """A number of resources, which may be a text, or have a fraction.

    Raises:
        Unreadable: it is none.
    """
    number = _number(value)
    if not 0 <= number <= _MOST:
        raise Unreadable(f"{value!r:.40} is no count")
    return round(number)


def frequency(value: object) -> float:
    """A clock, MHz.

    Raises:
        Unreadable: it is none.
    """
    number = _number(value)
    if not 0 < number < 1e6:
        raise Unreadable(f"{value!r:.40} is no frequency in MHz")
    return number


def _number(value: object) -> float:
    # hls4ml reads numbers and texts of numbers there
    try:
        text = value.replace(",", "") if isinstance(value, str) else value
        return float(text) if isinstance(text, (int, float, str)) else math.nan
    except (ValueError, OverflowError):
        return math.nan
