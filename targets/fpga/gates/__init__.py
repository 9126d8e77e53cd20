"""Gate netlists: what synthesis, placement and routing made, evaluated cell by cell."""

from __future__ import annotations

from actc.targets.fpga.gates.compare import (
    Difference,
    compare,
    compare_values,
    evaluate_design,
)
from actc.targets.fpga.gates.evaluate import Simulation, simulate
from actc.targets.fpga.gates.netlist import GateNetlist

__all__ = [
    "Difference",
    "GateNetlist",
    "Simulation",
    "compare",
    "compare_values",
    "evaluate_design",
    "simulate",
]
