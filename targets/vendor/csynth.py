"""The report of C synthesis, `NAME_csynth.xml` of Vivado HLS and Vitis HLS.

The file is made by a tool from files that somebody may have changed, so it is read with care:
no document type (and so no entities), limits of size, depth and digits.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

_MOST_BYTES = 16 << 20
_MOST_DEPTH = 40
_MOST_DIGITS = 18
_NAMES = {
    "LUT": ("LUT",),
    "FF": ("FF",),
    "DSP": ("DSP", "DSP48E"),
    "BRAM_18K": ("BRAM_18K",),
    "URAM": ("URAM",),
}
"""Resource -> what versions call it."""


class Unreadable(ValueError):
    """A report is not what it should be; the text says why."""


def read_csynth(path: Path, top: str) -> dict[str, Any]:
    """What C synthesis estimates.

    Args:
        top: the top function whose report it must be.

    Returns:
        JSON-ready: part; clock: asked, uncertainty, estimated, ns; latency and interval: least
        and most, clocks, None where they depend on data; resources: rows of name, used,
        available.

    Raises:
        Unreadable: there is no such report, or it is none.
    """
    root = parse_xml(read_bytes(path))
    if root.tag != "profile":
        raise Unreadable(f"its root is <{root.tag[:40]}>, not <profile>")
    name = root.findtext("./UserAssignments/TopModelName", top).strip()
    if name != top:
        raise Unreadable(f"it is the report of {name[:80]}, not of {top}")
    spent, there = root.find("./AreaEstimates/Resources"), "./AreaEstimates/AvailableResources"
    if spent is None:
        raise Unreadable("it has no resources")
    return {
        "part": root.findtext("./UserAssignments/Part", "").strip()[:80],
        "clock": {
            "asked": _ns(root, "./UserAssignments/TargetClockPeriod"),
            "estimated": _ns(
                root, "./PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod"
            ),
        },
        "latency": _clocks(root, "Best-caseLatency", "Worst-caseLatency"),
        "interval": _clocks(root, "Interval-min", "Interval-max"),
        "resources": _resources(spent, root.find(there)),
    }


def read_bytes(path: Path, most: int = _MOST_BYTES) -> bytes:
    """A report's text.

    Args:
        most: bytes that are read.

    Raises:
        Unreadable: there is none, or it is too large.
    """
    try:
        with path.open("rb") as stream:
            text = stream.read(most + 1)
    except OSError as problem:
        raise Unreadable((problem.strerror or str(problem)).lower()) from problem
    if len(text) > most:
        raise Unreadable(f"it is larger than {most >> 20} MiB")
    return text


def parse_xml(text: bytes) -> Element:
    """A document as a tree.

    Raises:
        Unreadable: it is not well-formed, has a document type, or is too deep.
    """
    builder, depth = TreeBuilder(), 0
    parser = expat.ParserCreate()

    def begin(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MOST_DEPTH:
            raise Unreadable(f"it is nested more than {_MOST_DEPTH} deep")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: object) -> None:
        raise Unreadable("it has a document type, which reports do not have")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as problem:
        raise Unreadable(f"it is no XML: {problem}") from problem
    return builder.close()


def _ns(root: Element, path: str) -> float:
    text = root.findtext(path, "").strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1e6:
        raise Unreadable(f"{path.rpartition('/')[2]} is {text[:40]!r}, no time in ns")
    return value


def _clocks(root: Element, least: str, most: str) -> dict[str, int | None]:
    folder = "./PerformanceEstimates/SummaryOfOverallLatency/"
    texts = [root.findtext(folder + name, "").strip() for name in (least, most)]
    # "undef" and "?" stand where it depends on data
    counts = [_count(text) if text.isascii() and text.isdigit() else None for text in texts]
    return {"least": counts[0], "most": counts[1]}


def _resources(spent: Element, there: Element | None) -> list[dict[str, Any]]:
    rows = []
    for name, spellings in _NAMES.items():
        used, available = (_first(part, spellings) for part in (spent, there))
        if used is None and name in ("LUT", "FF"):
            raise Unreadable(f"it has no {name}")
        if used is not None:
            rows.append({"name": name, "used": used, "available": available})
    return rows


def _first(parent: Element | None, names: tuple[str, ...]) -> int | None:
    for name in names if parent is not None else ():
        text = parent.findtext(name, "").strip() if parent is not None else ""
        if text:
            return _count(text)
    return None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise Unreadable(f"{text[:40]!r} is no count")
    return int(text)
