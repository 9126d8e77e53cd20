"""Devices, codes and costs of functions for tests of foldings."""

from __future__ import annotations

from actc.targets.fpga.boards import devices
from actc.targets.fpga.folded.costs import FunctionCost
from actc.targets.fpga.hdl import Range

ECP5, ICE40 = devices()["ecp5-25k"], devices()["ice40-up5k"]
CODES = Range.unsigned(4)
FUNCTIONS = {"fc0": FunctionCost(9.0, 0, 12), "fc1": FunctionCost(4.0, 0, 5)}
