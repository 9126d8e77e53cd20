"""What reports say against a design: timing that is missed, a part that is too small."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from actc.diagnostics import Diagnostic
from actc.targets.vendor.flow import Flow

TIMING = "ACT0434"


def judge(flow: Flow, section: Mapping[str, Any]) -> list[Diagnostic]:
    """All that the figures of a build say against it.

    Args:
        section: see :func:`~actc.targets.vendor.build.build`.
    """
    routed = section["implementation"] is not None
    return [
        *(_estimated(flow, section["synthesis"], routed) if section["synthesis"] else ()),
        *(_routed(flow, section["implementation"]["slack"]) if routed else ()),
    ]


def _estimated(flow: Flow, found: Mapping[str, Any], routed: bool) -> list[Diagnostic]:
    asked, estimated = found["clock"]["asked"], found["clock"]["estimated"]
    problems = []
    if estimated > asked:
        message = f"C synthesis estimates a clock of {estimated:g} ns, {estimated - asked:.3g} ns "
        problems.append(
            Diagnostic(
                TIMING,
                message + f"above the {asked:g} ns that were asked for",
                # routing measures what this only estimates
                severity="warning" if routed else "error",
                help=_slower(flow, estimated),
            )
        )
    full = [
        row for row in found["resources"] if row["available"] and row["used"] > row["available"]
    ]
    if full:
        notes = tuple(f"{r['name']}: {r['used']} of {r['available']}" for r in full)
        problems.append(
            Diagnostic(
                "ACT0438",
                f"by estimate the design does not fit {found['part'] or 'the part'}",
                severity="warning",
                notes=notes,
                help="compile again for a larger part" + _or(flow),
            )
        )
    return problems


def _routed(flow: Flow, slack: Mapping[str, float | None]) -> list[Diagnostic]:
    problems = []
    setup, hold = slack["wns"], slack["whs"]
    if setup is not None and setup < 0:
        message = f"timing is missed by {-setup:g} ns at a clock of {flow.period:g} ns"
        help = _slower(flow, flow.period - setup)
        problems.append(Diagnostic(TIMING, message, help=help))
    if hold is not None and hold < 0:
        message = f"signals come {-hold:g} ns too early at a register (hold)"
        help = "a slower clock does not help: give Vivado another strategy of implementation"
        problems.append(Diagnostic(TIMING, message, help=help))
    return problems


def _slower(flow: Flow, period: float) -> str:
    # down to tenths, so that the clock that is named would do
    clock = math.floor(1e4 / period) / 10
    return f"compile again with --clock {clock:g}" + _or(flow)


def _or(flow: Flow) -> str:
    return f", or {flow.slower}" if flow.slower else ""
