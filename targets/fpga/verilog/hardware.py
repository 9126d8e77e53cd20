"""hardware.json of bare Verilog: what synthesis counts, and what is only estimated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actc.targets.fpga.assembly import Assembly
from actc.targets.fpga.boards.device import Device
from actc.targets.fpga.estimate import LayerEstimate, estimate_design
from actc.targets.fpga.flow import Synthesis
from actc.targets.fpga.hardware import layers, rounded, use
from actc.targets.fpga.pipeline import report
from actc.targets.fpga.synthesis import Resources

_TITLES = {
    "luts": "look-up tables",
    "carries": "carry cells",
    "muxes": "wide multiplexers",
    "ffs": "flip-flops",
    "brams": "block memories",
    "dsps": "hard multipliers",
}
NOT_COUNTED = "not_counted"
"""Key of hardware.json: why there is no netlist."""
_ALWAYS = ("luts", "carries", "ffs", "brams", "dsps")


def describe_synthesis(
    assembly: Assembly, device: Device, synthesis: Synthesis | None, reason: str = ""
) -> dict[str, Any]:
    """The contents of hardware.json for a core that was synthesized, but not placed.

    Clock and latency in ns follow from the timing model of the pipeline: they are estimates, as
    the missing "reached" says.

    Args:
        synthesis: None where it came to no end; then only estimates are known.
        reason: why it did not; kept under "not_counted".
    """
    stages = report(assembly.design, assembly.timing)
    estimate = estimate_design(assembly.design, device.family)
    total = None if synthesis is None else synthesis.total
    found = {
        "device": device.title,
        "board": None,
        "tools": [] if synthesis is None else [synthesis.tool],
        "clock": {
            "asked": assembly.clock_mhz,
            "estimated": rounded(stages.clock_mhz),
            "reached": None,
        },
        "latency": {
            "clocks": assembly.interface.latency,
            "ns": rounded(1e3 * assembly.interface.latency / assembly.clock_mhz),
        },
        "samples_per_second": rounded(1e6 * assembly.clock_mhz),
        "interface": assembly.kind,
        "wire": None,
        "resources": _resources(total, estimate.total),
        "cells": {} if total is None else _cells(total.cells),
        "layers": [] if synthesis is None else layers(assembly, synthesis.layers, estimate),
        "critical_path": [],
    }
    if synthesis is None:
        found |= {
            NOT_COUNTED: reason,
            "notes": [f"The cells are not counted: {reason}. Verilog and testbench are complete."],
        }
    return found


def _resources(total: Resources | None, estimate: LayerEstimate) -> list[dict[str, Any]]:
    """Rows of what yosys counted."""
    return [
        use(title, getattr(total, name, None), None, _estimated(estimate, name))
        for name, title in _TITLES.items()
        if name in _ALWAYS or getattr(total, name, None)
    ]


def _estimated(estimate: LayerEstimate, name: str) -> int | None:
    """The estimate of a row; the interface, if there is one, is not in it."""
    found = getattr(estimate, name, None)
    return None if found is None else round(found)


def _cells(cells: Mapping[str, int]) -> dict[str, int]:
    """Cells by type, as yosys calls them: LUT1 to LUT6, CARRY4, FDRE."""
    return dict(sorted(cells.items()))
