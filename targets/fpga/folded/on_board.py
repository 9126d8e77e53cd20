"""A folded network on a board: its clock, the rate of its UART."""

from __future__ import annotations

import onnx_ir as ir

from actc.diagnostics import Diagnostic
from actc.errors import ModelError
from actc.targets.fpga.assembly import core_name
from actc.targets.fpga.boards import Board
from actc.targets.fpga.folded.assembly import FoldedAssembly, assemble_folded, goal_of
from actc.targets.fpga.folded.network import build_folded
from actc.targets.fpga.folded.usual import usual_clock
from actc.targets.fpga.on_board import (
    DEFAULT_KIND,
    baud_of,
    check_pins,
    clock_of,
    timing_name,
)
from actc.targets.fpga.options import FpgaOptions
from actc.targets.fpga.pipeline import find_timing


def check_folded(golden: ir.Model) -> list[Diagnostic]:
    """All reasons why a golden model cannot be folded."""
    try:
        build_folded(golden, "core")
    except ModelError as problem:
        return list(problem.diagnostics)
    return []


def assemble_folded_for_board(
    golden: ir.Model, name: str, board: Board, options: FpgaOptions
) -> FoldedAssembly:
    """Build the hardware of a golden model for a board.

    Args:
        name: of the network; the top module is called after it.

    Raises:
        ModelError: ACT0605, the model cannot be folded; ACT0606, no folding fits.
        UsageError: the clock or the interface cannot be had.
    """
    kind = options.interface or DEFAULT_KIND
    check_pins(board, kind)
    timing = find_timing(timing_name(board))
    clock, clock_mhz = clock_of(board, kind, options.clock or usual_clock(board.device))
    return assemble_folded(
        golden,
        core_name(name),
        board,
        timing,
        kind=kind,
        goal=goal_of(options.throughput, options.latency),
        clock_mhz=clock_mhz,
        clock=clock,
        baud=baud_of(clock_mhz) if kind == "uart" else None,
    )
