"""Tcl that makes the IP, and a board's bitstream around it."""

from __future__ import annotations

from actc.targets.bnn_hls.options import Options
from actc.targets.vendor import scripts
from actc.targets.vendor.boards import Board

SCRIPT = "build_ip.tcl"


def axi_design(name: str, options: Options) -> scripts.AxiDesign:
    """What the tools build."""
    vitis = options.flow == "vitis"
    return scripts.AxiDesign(
        name,
        "bnn",
        vitis,
        options.device,
        options.clock_mhz,
        SCRIPT,
        (f"{name}.cpp",),
        flags="-I." if vitis else "-std=c++0x -I.",
    )


def ip_tcl(name: str, options: Options) -> str:
    """For Vitis HLS or Vivado HLS: C simulation, synthesis, the IP."""
    return scripts.ip_tcl(axi_design(name, options))


def board_tcl(name: str, options: Options, board: Board) -> str:
    """For Vivado: the processor, a DMA, the IP, and the bitstream."""
    return scripts.board_tcl(axi_design(name, options), board)
