"""Flows of Intel's HLS compiler i++ with Quartus, and the reports of both.

The command is that of hls4ml's Makefile. `report_data.js` and `quartus_data.js` are JavaScript,
`var areaJSON={...};` line by line; hls4ml reads the same variables (hls4ml/report/
quartus_report.py), and `acl/Report.pm`, `quartus_resource_json_writer.tcl` of the compiler
(20.3) write them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from actc.targets.vendor.csynth import Unreadable, read_bytes
from actc.targets.vendor.flow import Report, Step
from actc.targets.vendor.intel import count, estimated, frequency
from actc.targets.vendor.tools import IPP, QUARTUS

_MOST_BYTES = 256 << 20
"""The sources lie in the report, too, with all weights."""
_PROJECT = "quartus_compile"
_COUNTS = {"alm": "ALM", "reg": "FF", "ram": "RAM", "dsp": "DSP", "mlab": "MLAB"}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_OPEN = "TBD"
"""What stands in the place of figures before Quartus has run."""


def component_step(name: str, source: str, others: tuple[str, ...], part: str) -> Step:
    """The IP of a component, for Platform Designer.

    Args:
        name: of the network, and of its component.
        source, others: the files that are compiled.
        part: family or part of the FPGA.
    """
    # no simulation of the RTL: it needs a licence of its own
    flags = (f"-march={part}", "--simulator", "none", "-o", f"{name}-fpga", *others)
    folder = _folder(name)
    return Step(
        "ip",
        (replace(IPP, before=flags),),
        source,
        products=(f"{folder}/components/{name}",),
        synthesis=Report("areas", (f"{folder}/reports/lib/report_data.js",)),
        also=(QUARTUS,),
    )


def fit_step(name: str) -> Step:
    """The component placed and routed by Quartus, in the project that i++ has written."""
    folder = _folder(name)
    return Step(
        "fit",
        (QUARTUS,),
        _PROJECT,
        products=(),
        implementation=Report("fit", (f"{folder}/reports/lib/quartus_data.js",)),
        folder=f"{folder}/quartus",
    )


def _folder(name: str) -> str:
    return f"{name}-fpga.prj"


def read_areas(path: Path, period: float) -> dict[str, Any]:
    """What i++ estimates.

    Args:
        path: of `report_data.js`.
        period: of the clock that was asked for, ns.

    Returns:
        See :func:`~actc.targets.vendor.intel.estimated`.

    Raises:
        Unreadable: there is no such report, or it is none.
    """
    text = _text(path)
    area, loops = _variable(text, "areaJSON"), _variable(text, "loop_attrJSON", {})
    if area.get("total") is None:
        raise Unreadable("areaJSON has no total")
    reached = [frequency(value) for value in _all(loops, "af") if value != "n/a"]
    return estimated(area["total"], area.get("max_resources"), reached, period)


def read_fit(path: Path, top: str, period: float) -> dict[str, Any]:
    """What Quartus has placed and routed.

    Args:
        path: of `quartus_data.js`.
        top: name of the component.
        period: of the clock that was asked for, ns.

    Returns:
        JSON-ready: slack (see :func:`~actc.targets.vendor.vivado.read_timing`; setup alone, from
        the highest clock), whole, all components together, and network: resource -> count.

    Raises:
        Unreadable: there is no such report, it is none, or Quartus has not run.
    """
    found = _variable(_text(path), "quartusJSON")
    clock = _nodes(found, "quartusFitClockSummary")[0].get("clock")
    if clock == _OPEN:
        raise Unreadable("Quartus has left its clock open")
    nodes = _nodes(found, "quartusFitResourceUsageSummary")
    own = next((node for node in nodes if node.get("name") == top), None)
    slack = round(period - 1e3 / frequency(clock), 6)
    return {
        "slack": {"wns": slack, "tns": None, "whs": None, "ths": None},
        "whole": _counts(nodes[-1]),
        "network": None if own is None else _counts(own),
    }


def _nodes(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    section = found.get(name)
    nodes = section.get("nodes") if isinstance(section, dict) else None
    if not isinstance(nodes, list) or not nodes or not all(isinstance(n, dict) for n in nodes):
        raise Unreadable(f"it has no {name}")
    return nodes


def _counts(node: dict[str, Any]) -> dict[str, int]:
    return {name: count(node[key]) for key, name in _COUNTS.items() if key in node}


def _text(path: Path) -> str:
    return read_bytes(path, _MOST_BYTES).decode("utf-8", "replace")


def _variable(text: str, name: str, default: dict[str, Any] | None = None) -> dict[str, Any]:
    """The object behind `var NAME=`, up to the next variable."""
    found = re.search(rf"(?:^|;)var {name}\s*=\s*", text, re.MULTILINE)
    if found is None:
        if default is None:
            raise Unreadable(f"it has no {name}")
        return default
    end = re.compile(r"^;?var ", re.MULTILINE).search(text, found.end())
    literal = _ESCAPED.sub(_unescaped, text[found.end() : end.start() if end else None])
    try:
        value, _ = json.JSONDecoder().raw_decode(literal)
    except (ValueError, RecursionError) as problem:
        raise Unreadable(f"{name} is no object") from problem
    if not isinstance(value, dict):
        raise Unreadable(f"{name} is no object")
    return value


def _unescaped(match: re.Match[str]) -> str:
    """Escapes of JavaScript that JSON does not have (``\\'``) are the character itself."""
    return match[0] if match[1] in '"\\/bfnrtu' else match[1]


def _all(value: object, key: str) -> Iterator[object]:
    """The values of a key at any depth."""
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            if key in item:
                yield item[key]
            rest += item.values()
        elif isinstance(item, list):
            rest += item
