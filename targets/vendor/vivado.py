"""Reports of Vivado: utilization, hierarchical behind routing, and the timing summary."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from actc.targets.vendor.csynth import Unreadable

_MOST_BYTES = 64 << 20
CELL = "network"
"""The network's cell in the block design."""
_SITES = {
    "LUT": {"CLB LUTs": 1, "Slice LUTs": 1},
    "FF": {"CLB Registers": 1, "Slice Registers": 1},
    "DSP": {"DSPs": 1},
    "BRAM_18K": {"RAMB36/FIFO": 2, "RAMB18": 1},
    "URAM": {"URAM": 1},
}
"""Resource -> site types of families, and how many of it each is."""


def read_utilization(path: Path) -> dict[str, Any]:
    """What `report_utilization -hierarchical` counts.

    Returns:
        JSON-ready: whole, and network (None where no cell has that name): resource -> count,
        with block memories as BRAM_18K, two to a RAMB36.

    Raises:
        Unreadable: there is no such report, or it is none.
    """
    rows = [_cells(line) for line in _lines(path) if line.lstrip().startswith("|")]
    start = next((i for i, row in enumerate(rows) if "Total LUTs" in row), None)
    if start is None or "Instance" not in rows[start]:
        raise Unreadable("it has no table of instances with their LUTs")
    heads, instances = rows[start], rows[start + 1 :]
    place = heads.index("Instance")
    whole = next((row for row in instances if len(row) == len(heads)), None)
    if whole is None:
        raise Unreadable("its table has no rows")
    named = (row for row in instances if len(row) == len(heads) and row[place] == CELL)
    network = next(named, None)
    return {
        "whole": _counts(heads, whole),
        "network": None if network is None else _counts(heads, network),
    }


def read_sites(path: Path) -> dict[str, int]:
    """What `report_utilization` counts, site type by site type.

    Returns:
        Resource -> count, with block memories as BRAM_18K, two to a RAMB36.

    Raises:
        Unreadable: there is no such report, or it is none.
    """
    sites: dict[str, str] = {}
    heads: list[str] = []
    for line in _lines(path):
        cells = _cells(line) if line.lstrip().startswith("|") else []
        if "Used" in cells:
            heads = cells
        elif heads and len(cells) == len(heads):
            # the first of a name is the whole, later ones are parts of it; "CLB LUTs*" has a note
            sites.setdefault(cells[0].rstrip("*"), cells[heads.index("Used")])
    counts = {name: _sum(sites, types) for name, types in _SITES.items()}
    if counts["LUT"] is None or counts["FF"] is None:
        raise Unreadable("it has no table with LUTs and registers")
    return {name: value for name, value in counts.items() if value is not None}


def _sum(sites: Mapping[str, str], types: Mapping[str, int]) -> int | None:
    found = [weight * _count(sites[name]) for name, weight in types.items() if name in sites]
    return sum(found) if found else None


def _counts(heads: Sequence[str], row: Sequence[str]) -> dict[str, int]:
    found = {head: _count(cell) for head, cell in zip(heads, row, strict=True) if _counted(head)}
    counts = {"LUT": found["Total LUTs"], "FF": found.get("FFs", 0)}
    counts["DSP"] = sum(value for head, value in found.items() if head.startswith("DSP"))
    counts["BRAM_18K"] = 2 * found.get("RAMB36", 0) + found.get("RAMB18", 0)
    if "URAM" in found:
        counts["URAM"] = found["URAM"]
    return counts


def _counted(head: str) -> bool:
    return head in ("Total LUTs", "FFs", "RAMB36", "RAMB18", "URAM") or head.startswith("DSP")


def _count(cell: str) -> int:
    digits = cell.split("(")[0].strip()  # "12(0.02%)" where percentages are asked for
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 12):
        raise Unreadable(f"{cell[:40]!r} is no count")
    return int(digits)


def read_timing(path: Path) -> dict[str, float | None]:
    """The worst slacks of `report_timing_summary`, ns.

    Returns:
        wns, tns (setup: worst, and the sum of the negative ones), whs, ths (hold; None where
        nothing is constrained).

    Raises:
        Unreadable: there is no such report, or it has no setup slack.
    """
    lines = _lines(path)
    heads = next((line.split() for line in lines if _is_head(line)), None)
    rule, row = next(lines, ""), next(lines, "")
    if heads is None or not rule.strip().startswith("---"):
        raise Unreadable("it has no design timing summary")
    cells = row.split()
    # headings hold blanks, but the first of a group has none: WNS(ns) TNS(ns) .. WHS(ns) THS(ns)
    if len(cells) < 6:
        raise Unreadable("its design timing summary has no row")
    wns, tns, whs, ths = (_slack(cells[i]) for i in (0, 1, 4, 5))
    if wns is None:
        raise Unreadable("no path has a setup slack: there is no clock")
    return {"wns": wns, "tns": tns, "whs": whs, "ths": ths}


def _is_head(line: str) -> bool:
    return line.split()[:2] == ["WNS(ns)", "TNS(ns)"]


def _slack(cell: str) -> float | None:
    if cell.upper() == "NA":
        return None
    try:
        value = float(cell)
    except ValueError:
        raise Unreadable(f"{cell[:40]!r} is no slack") from None
    return value if math.isfinite(value) else None


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _lines(path: Path) -> Iterator[str]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise Unreadable(f"it is larger than {_MOST_BYTES >> 20} MiB")
        text = path.read_text("utf-8", errors="replace")
    except OSError as problem:
        raise Unreadable((problem.strerror or str(problem)).lower()) from problem
    return iter(text.splitlines())
