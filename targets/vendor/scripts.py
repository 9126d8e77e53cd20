"""Tcl that makes the IP of a top function with AXI4 streams, and a board's bitstream around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actc.targets.vendor import files
from actc.targets.vendor.amd import bitstream_step, ip_step
from actc.targets.vendor.boards import Board
from actc.targets.vendor.flow import Step, VendorTool
from actc.targets.vendor.tools import VITIS, VIVADO_HLS

BOARD_SCRIPT = "build_board.tcl"
_FOLDER = "ip"
_SOLUTION = "solution"
_BITSTREAM = "board"
_SYSTEMS = {"zynq7": "zynq7.tcl.in", "zynqmp": "zynqmp.tcl.in"}


@dataclass(frozen=True, slots=True)
class AxiDesign:
    """A top function ``NAME(hls::stream<...>& in, hls::stream<...>& out)``, with a testbench.

    Attributes:
        name: of the function, and of the IP.
        library: of the IP.
        vitis: for Vitis HLS, else for Vivado HLS.
        part: of the FPGA.
        clock: MHz.
        script: name of the Tcl that makes the IP.
        sources: files of the design.
        tests: more files and folders of the testbench, beside testbench.cpp and data.
        flags: for the compiler of the tools.
        setup: more lines of Tcl, behind the opening of the solution.
    """

    name: str
    library: str
    vitis: bool
    part: str
    clock: float
    script: str
    sources: Sequence[str]
    tests: Sequence[str] = ()
    flags: str = "-I."
    setup: Sequence[str] = ()

    @property
    def tools(self) -> tuple[VendorTool, ...]:
        """What runs the script."""
        return VITIS if self.vitis else (VIVADO_HLS,)


def ip_tcl(design: AxiDesign) -> str:
    """For Vitis HLS or Vivado HLS: C simulation, synthesis, the IP."""
    flags, vitis = design.flags, design.vitis
    lines = [f'add_files {source} -cflags "{flags}"' for source in design.sources]
    lines += [f'add_files -tb testbench.cpp -cflags "{flags} -Wno-unknown-pragmas"']
    lines += [f"add_files -tb {name}" for name in ("data", *design.tests)]
    target = "-flow_target vivado " if vitis else ""
    return files.filled(
        "build_ip.tcl.in",
        NAME=design.name,
        LIBRARY=design.library,
        SCRIPT=design.script,
        PART=design.part,
        PERIOD=f"{1e3 / design.clock:g}",
        TOOL="vitis_hls" if vitis else "vivado_hls",
        FILES="\n".join(lines),
        SOLUTION="\n".join([f"open_solution -reset {target}{_SOLUTION}", *design.setup]),
    )


def board_tcl(design: AxiDesign, board: Board) -> str:
    """For Vivado: the processor, a DMA, the IP, and the bitstream."""
    system = files.filled(_SYSTEMS[board.system], CLOCK=f"{design.clock:g}", BOARD=board.title)
    return files.filled(
        "build_board.tcl.in",
        NAME=design.name,
        LIBRARY=design.library,
        PART=board.part,
        TITLE=board.title,
        BOARD=board.board_part,
        SYSTEM=system,
        SCRIPT=design.script,
    )


def steps_of(design: AxiDesign, board: Board | None) -> tuple[Step, ...]:
    """What the scripts of a design do: to the IP, and with a board to its bitstream."""
    ip = ip_step(design.tools, design.script, f"{_FOLDER}/{_SOLUTION}", design.name)
    return (ip,) if board is None else (ip, bitstream_step(BOARD_SCRIPT, _BITSTREAM, design.name))
