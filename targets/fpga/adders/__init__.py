"""Constant matrices times vectors, as shared adders; see docs/adders.md."""

from __future__ import annotations

from actc.targets.fpga.adders.cost import adder_cost
from actc.targets.fpga.adders.linear import adder_graph, linear
from actc.targets.fpga.adders.options import AdderOptions
from actc.targets.fpga.adders.program import AdderGraph

__all__ = ["AdderGraph", "AdderOptions", "adder_cost", "adder_graph", "linear"]
