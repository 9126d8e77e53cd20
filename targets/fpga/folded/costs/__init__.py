"""What a folded stage takes of a device, and how many clocks: exact clocks, estimated area."""

from __future__ import annotations

from actc.targets.fpga.folded.costs.area import Area, FunctionCost, converter_area, stage_area
from actc.targets.fpga.folded.costs.clocks import Clocks, stage_clocks, transfer_clocks

__all__ = [
    "Area",
    "Clocks",
    "FunctionCost",
    "converter_area",
    "stage_area",
    "stage_clocks",
    "transfer_clocks",
]
