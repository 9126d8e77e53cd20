"""From Verilog files to a bitstream with open tools: yosys, nextpnr and the packers."""

from actc.targets.fpga.flow.build import Built, build_bitstream
from actc.targets.fpga.flow.execute import LOGS, Limits, prepare
from actc.targets.fpga.flow.fit import DEEPER, SMALLER, check_fit, timing_missed
from actc.targets.fpga.flow.pack import BITSTREAMS, Bitstream, pack
from actc.targets.fpga.flow.parallel import runs_at_a_time
from actc.targets.fpga.flow.programs import PROGRAMS, Program, find_program
from actc.targets.fpga.flow.report import Clock, CriticalPath, Step, Use
from actc.targets.fpga.flow.route import (
    CONFIGURATIONS,
    PLACERS,
    Attempt,
    Routed,
    place_and_route,
)
from actc.targets.fpga.flow.synthesize import Synthesis, find_yosys, synthesize_design

__all__ = [
    "BITSTREAMS",
    "CONFIGURATIONS",
    "DEEPER",
    "LOGS",
    "PLACERS",
    "PROGRAMS",
    "SMALLER",
    "Attempt",
    "Bitstream",
    "Built",
    "Clock",
    "CriticalPath",
    "Limits",
    "Program",
    "Routed",
    "Step",
    "Synthesis",
    "Use",
    "build_bitstream",
    "check_fit",
    "find_program",
    "find_yosys",
    "pack",
    "place_and_route",
    "prepare",
    "runs_at_a_time",
    "synthesize_design",
    "timing_missed",
]
