"""What a vendor's tools made of a directory, for the report.

The dictionary comes from `actc.build`: ``goal``, ``steps`` (rows of ``title``, ``version``,
``log``, ``products``), ``synthesis`` (``part``; ``clock``: ``asked``, ``estimated``; ``latency``
and ``interval``: ``least``, ``most``; ``resources``: rows of ``name``, ``used``, ``available``)
and ``implementation`` (``slack``: ``wns``, ``whs``; ``whole``, ``network``: name -> count;
``stage``, "routed" where it is missing), each None where no tool said so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actc.report.format import plain


@dataclass(frozen=True)
class Built:
    """The section of the report.

    Attributes:
        facts: name, value and remark.
        heads, rows: the table of resources.
    """

    facts: tuple[tuple[str, str, str], ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def built(report: Mapping[str, Any]) -> Built | None:
    """The section; None where no vendor's tool has run."""
    given = report.get("build")
    if not given:
        return None
    synthesis, routed = given.get("synthesis") or {}, given.get("implementation") or {}
    facts = [
        (str(s["goal"]), f"{s['title']} {s['version']}", str(s["log"])) for s in given["steps"]
    ]
    facts += [("made", str(product), "") for s in given["steps"] for product in s["products"]]
    return Built(tuple(facts + _speed(synthesis, routed)), *_resources(synthesis, routed))


def _speed(synthesis: Mapping[str, Any], routed: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = []
    clock = synthesis.get("clock")
    if clock:
        remark = f"{clock['estimated']:g} ns by C synthesis"
        found.append(("clock asked for", f"{clock['asked']:g} ns", remark))
    for key in ("latency", "interval"):
        if key in synthesis:
            found.append((key, _clocks(synthesis[key]), "by C synthesis"))
    slack = routed.get("slack")
    if slack:
        hold = "" if slack["whs"] is None else f"hold {slack['whs']:g} ns"
        found.append((f"worst slack, {_stage(routed)}", f"{slack['wns']:g} ns", hold))
    return found


def _stage(routed: Mapping[str, Any]) -> str:
    return str(routed.get("stage", "routed"))


def _clocks(given: Mapping[str, int | None]) -> str:
    least, most = given["least"], given["most"]
    if least is None or most is None:
        return "depends on data"
    return f"{least:,} clocks" if least == most else f"{least:,} to {most:,} clocks"


def _resources(
    synthesis: Mapping[str, Any], routed: Mapping[str, Any]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    estimated = {row["name"]: row for row in synthesis.get("resources", ())}
    whole, network = routed.get("whole") or {}, routed.get("network") or {}
    rows = []
    for name in dict.fromkeys([*estimated, *whole]):
        row = estimated.get(name, {})
        counts = [row.get("used"), row.get("available")]
        if routed:
            counts += [network.get(name), whole.get(name)]
        rows.append((str(name), *(plain(count) for count in counts)))
    heads = ("built", "by C synthesis", "of")
    stage = _stage(routed)
    return (*heads, f"network {stage}", f"whole {stage}") if routed else heads, tuple(rows)
