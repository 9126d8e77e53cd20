"""The figures that tools leave behind, by the format of their reports."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from actc.targets.vendor.catapult import read_gates, read_schedule
from actc.targets.vendor.csynth import read_csynth
from actc.targets.vendor.flow import Flow
from actc.targets.vendor.intel import read_estimates
from actc.targets.vendor.quartus import read_areas, read_fit
from actc.targets.vendor.vivado import read_timing, read_utilization

Figures: TypeAlias = dict[str, Any]
_DIGITS = re.compile(r"\d+")


def _routed(flow: Flow, utilization: Path, timing: Path) -> Figures:
    return {"slack": read_timing(timing), **read_utilization(utilization)}


READERS: Mapping[str, Callable[..., Figures]] = {
    "csynth": lambda flow, path: read_csynth(path, flow.top),
    "estimates": lambda flow, path: read_estimates(path, flow.period),
    "areas": lambda flow, path: read_areas(path, flow.period),
    "schedule": lambda flow, path: read_schedule(path, flow.top, flow.period),
    "routed": _routed,
    "fit": lambda flow, path: read_fit(path, flow.top, flow.period),
    "gates": lambda flow, utilization, timing: read_gates(utilization, timing),
}
"""Format -> what reads it: the flow and the paths -> JSON-ready figures, or Unreadable."""


def resolved(work: Path, path: str) -> Path:
    """The file or folder in `work`; where `*` stands for a version, that of the highest one."""
    if "*" not in path:
        return work / path
    found = [found for found in work.glob(path) if found.is_relative_to(work)]
    return max(found, key=_versions, default=work / path)


def _versions(path: Path) -> tuple[list[int], str]:
    return [int(number) for number in _DIGITS.findall(str(path))], str(path)
