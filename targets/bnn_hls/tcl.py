"""Tcl that makes the IP, and a board's bitstream around it."""

from __future__ import annotations

from actc.targets.bnn_hls import files
from actc.targets.bnn_hls.boards import Board
from actc.targets.bnn_hls.options import Options

_TEMPLATES = {"zynq7": "zynq7.tcl.in", "zynqmp": "zynqmp.tcl.in"}


def ip_tcl(name: str, options: Options) -> str:
    """For Vitis HLS or Vivado HLS: C simulation, synthesis, the IP."""
    vitis = options.flow == "vitis"
    return files.filled(
        "build_ip.tcl.in",
        NAME=name,
        PART=options.device,
        PERIOD=f"{1e3 / options.clock_mhz:g}",
        TOOL="vitis_hls" if vitis else "vivado_hls",
        STANDARD="" if vitis else "-std=c++0x ",
        SOLUTION="open_solution -reset -flow_target vivado solution"
        if vitis
        else "open_solution -reset solution",
    )


def board_tcl(name: str, options: Options, board: Board) -> str:
    """For Vivado: the processor, a DMA, the IP, and the bitstream."""
    system = files.filled(
        _TEMPLATES[board.system], CLOCK=f"{options.clock_mhz:g}", BOARD=board.title
    )
    return files.filled(
        "build_board.tcl.in",
        NAME=name,
        PART=board.part,
        TITLE=board.title,
        BOARD=board.board_part,
        SYSTEM=system,
    )
