"""A typed hardware description: graphs of wires with exact ranges; see docs/hdl.md."""

from __future__ import annotations

from actc.targets.fpga.hdl.design import Bus, Design
from actc.targets.fpga.hdl.evaluate import evaluate
from actc.targets.fpga.hdl.graph import Graph, Wire
from actc.targets.fpga.hdl.hierarchy import write_design
from actc.targets.fpga.hdl.module import Module, Output
from actc.targets.fpga.hdl.ranges import Range
from actc.targets.fpga.hdl.verilog import module_identifier, write_verilog

__all__ = [
    "Bus",
    "Design",
    "Graph",
    "Module",
    "Output",
    "Range",
    "Wire",
    "evaluate",
    "module_identifier",
    "write_design",
    "write_verilog",
]
