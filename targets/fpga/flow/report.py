"""What nextpnr reports of a routed design: clocks, what is used, the slowest path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actc.targets.fpga.flow.places import Places

COUNTED = {
    "ice40": {
        "ICESTORM_LC": "luts",
        "ICESTORM_RAM": "brams",
        "ICESTORM_DSP": "dsps",
        "SB_IO": "pins",
    },
    "ecp5": {
        "TRELLIS_COMB": "luts",
        "TRELLIS_FF": "ffs",
        "DP16KD": "brams",
        "MULT18X18D": "dsps",
        "TRELLIS_IO": "pins",
    },
    "gowin": {
        "LUT4": "luts",
        "ALU": "carries",
        "DFF": "ffs",
        "BSRAM": "brams",
        "MULT18X18": "dsps",
        "IOB": "pins",
    },
}
"""By family: nextpnr's name of a resource -> "luts", "carries", "ffs", "brams", "dsps" or "pins".

Logic cells of iCE40 hold a look-up table, a carry and a flip-flop each.
"""
TITLES = {
    "luts": "look-up tables",
    "carries": "carry cells",
    "ffs": "flip-flops",
    "brams": "block memories",
    "dsps": "hard multipliers",
    "pins": "pins",
}


@dataclass(frozen=True, slots=True)
class Clock:
    """One clock: what was reached and what was asked for, MHz."""

    achieved_mhz: float
    target_mhz: float

    @property
    def met(self) -> bool:
        """Whether it is fast enough."""
        return self.achieved_mhz >= self.target_mhz


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a resource is used, and how much there is."""

    used: int
    available: int


@dataclass(frozen=True, slots=True)
class Step:
    """A piece of a path.

    Attributes:
        kind: "clk-to-q", "logic", "routing" or "setup".
        delay_ns: its delay, ns.
        cell: where it ends.
        net: for "routing", what it runs along.
        layer: the instance path that `cell` is in; "" for none.
    """

    kind: str
    delay_ns: float
    cell: str
    net: str
    layer: str


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """The slowest path between registers of one clock."""

    steps: tuple[Step, ...]

    @property
    def delay_ns(self) -> float:
        """Its whole delay, ns."""
        return sum(step.delay_ns for step in self.steps)

    @property
    def routing_ns(self) -> float:
        """What of it is wires, ns."""
        return sum(step.delay_ns for step in self.steps if step.kind == "routing")

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that it goes through, each once, in its order."""
        return tuple(dict.fromkeys(step.layer for step in self.steps))

    @property
    def logic_levels(self) -> int:
        """Cells between its registers, with a carry chain's cells as one each."""
        return sum(step.kind == "logic" for step in self.steps)


def read_clocks(report: Mapping[str, Any]) -> dict[str, Clock]:
    """Clock net -> what it reaches, in the order of the names."""
    fmax = report.get("fmax", {})
    return {
        name: Clock(float(fmax[name]["achieved"]), float(fmax[name]["constraint"]))
        for name in sorted(fmax)
    }


def read_utilization(report: Mapping[str, Any]) -> dict[str, Use]:
    """nextpnr's name of a resource -> its use, in the order of the names."""
    found = report.get("utilization", {})
    return {name: Use(int(found[name]["used"]), int(found[name]["available"])) for name in found}


def uses_by_kind(found: Mapping[str, Use], family: str) -> dict[str, Use]:
    """Kind of resource, as in :data:`COUNTED` -> its use.

    Where nextpnr counts carries on their own (Gowin's ALU), each of them takes the site of a
    look-up table, so that both together say how full the device is. A slice of two sites is for
    one of the two only; nextpnr makes chains of whole slices.
    """
    kinds = {kind: found[name] for name, kind in COUNTED[family].items() if name in found}
    if "carries" in kinds and "luts" in kinds:
        luts = kinds["luts"]
        kinds["luts"] = Use(luts.used + kinds["carries"].used, luts.available)
    return kinds


def read_critical_path(report: Mapping[str, Any], places: Places) -> CriticalPath | None:
    """The slowest path that begins and ends at a clock edge; None if there is none."""
    paths = [
        tuple(_step(step, places) for step in path["path"])
        for path in report.get("critical_paths", ())
        if _is_clocked(path["from"]) and _is_clocked(path["to"])
    ]
    found = [CriticalPath(path) for path in paths if path]
    return max(found, key=lambda path: path.delay_ns, default=None)


def _is_clocked(end: str) -> bool:
    return end.startswith(("posedge ", "negedge "))


def _step(step: Mapping[str, Any], places: Places) -> Step:
    cell = str(step["to"]["cell"])
    net = str(step.get("net", ""))
    layer = places.find(cell) or places.find(net)
    return Step(str(step["type"]), float(step["delay"]), cell, net, layer)
