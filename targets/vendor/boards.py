"""Boards and their parts: what Tcl needs to know of them, and what estimates are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

System: TypeAlias = Literal["zynq7", "zynqmp"]


@dataclass(frozen=True, slots=True)
class Board:
    """A board with a processor beside its logic.

    Attributes:
        name: as an option names it.
        title: for people.
        part: of the FPGA.
        board_part: pattern of Vivado's board part; its files come with Vivado or the vendor's
            board repository.
        system: the processor.
        luts, blocks, dsps: of the part: look-up tables of six inputs, block memories of 18 kbit,
            multipliers (data sheets DS190 and DS891, Kria K26 DS987).
        clock_mhz: that is usual.
    """

    name: str
    title: str
    part: str
    board_part: str
    system: System
    luts: int
    blocks: int
    dsps: int
    clock_mhz: float


BOARDS = {
    board.name: board
    for board in (
        Board(
            "pynq-z2", "TUL PYNQ-Z2", "xc7z020clg400-1", "tul.com.tw:pynq-z2:*", "zynq7",
            53_200, 280, 220, 100.0,
        ),
        Board(
            "pynq-z1", "Digilent PYNQ-Z1", "xc7z020clg400-1", "*:pynq-z1:*", "zynq7",
            53_200, 280, 220, 100.0,
        ),
        Board(
            "kv260", "AMD Kria KV260", "xck26-sfvc784-2LV-c", "xilinx.com:kv260_som:*", "zynqmp",
            117_120, 288, 1_248, 200.0,
        ),
        Board(
            "zcu104", "AMD ZCU104", "xczu7ev-ffvc1156-2-e", "xilinx.com:zcu104:*", "zynqmp",
            230_400, 624, 1_728, 200.0,
        ),
        Board(
            "zcu102", "AMD ZCU102", "xczu9eg-ffvb1156-2-e", "xilinx.com:zcu102:*", "zynqmp",
            274_080, 1_824, 2_520, 200.0,
        ),
    )
}  # fmt: skip
"""By name."""
DEFAULT = "pynq-z2"
