"""hardware.json of bare Verilog: what synthesis counts, and what is only estimated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actc.targets.fpga.assembly import Assembly
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
_ALWAYS = ("luts", "carries", "ffs", "brams", "dsps")


def describe_synthesis(assembly: Assembly, synthesis: Synthesis) -> dict[str, Any]:
    """The contents of hardware.json for a core that was synthesized, but not placed.

    Clock and latency in ns follow from the timing model of the pipeline: they are estimates, as
    the missing "reached" says.
    """
    stages = report(assembly.design, assembly.timing)
    estimate = estimate_design(assembly.design, synthesis.device.family)
    return {
        "device": synthesis.device.title,
        "board": None,
        "tools": [synthesis.tool],
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
        "resources": _resources(synthesis.total, estimate.total),
        "cells": _cells(synthesis.total.cells),
        "layers": layers(assembly, synthesis.layers, estimate),
        "critical_path": [],
    }


def _resources(total: Resources, estimate: LayerEstimate) -> list[dict[str, Any]]:
    """Rows of what yosys counted."""
    return [
        use(title, getattr(total, name), None, _estimated(estimate, name))
        for name, title in _TITLES.items()
        if name in _ALWAYS or getattr(total, name)
    ]


def _estimated(estimate: LayerEstimate, name: str) -> int | None:
    """The estimate of a row; the interface, if there is one, is not in it."""
    found = getattr(estimate, name, None)
    return None if found is None else round(found)


def _cells(cells: Mapping[str, int]) -> dict[str, int]:
    """Cells by type, as yosys calls them: LUT1 to LUT6, CARRY4, FDRE."""
    return dict(sorted(cells.items()))
