"""What stands behind the colon: ``bnn-hls:vivado,board=zcu104,throughput=10000``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.bnn_hls.design import Flow
from actc.targets.vendor.boards import BOARDS, DEFAULT, Board
from actc.targets.written_options import (
    Reader,
    megahertz,
    one_of,
    part,
    read_options,
    real_number,
)

FLOWS: tuple[Flow, ...] = ("vitis", "vivado")
USUAL_THROUGHPUT = 1000.0
"""Samples per second, where nothing is asked for."""
FASTEST = "max"
_PART_CLOCK = 100.0
_CODE = "ACT0420"


@dataclass(frozen=True, slots=True)
class Options:
    """How a network is built.

    Attributes:
        flow: the tool whose pragmas and Tcl are written.
        board: its name; "" where only a part is given.
        part: of the FPGA; "" for that of the board.
        throughput: samples per second; None: what is usual; 0: as many as fit.
        clock: MHz; None: what is usual.
    """

    flow: Flow = "vitis"
    board: str = ""
    part: str = ""
    throughput: float | None = None
    clock: float | None = None

    @property
    def on_board(self) -> Board | None:
        """The board, if there is one."""
        return BOARDS[self.board or DEFAULT] if self.board or not self.part else None

    @property
    def device(self) -> str:
        """The part."""
        board = self.on_board
        return self.part or (board.part if board else "")

    @property
    def clock_mhz(self) -> float:
        """The clock."""
        board = self.on_board
        return self.clock or (board.clock_mhz if board else _PART_CLOCK)

    def __str__(self) -> str:
        """The text that :func:`parse` reads, without defaults."""
        throughput = FASTEST if self.throughput == 0 else self.throughput
        pairs = {
            "board": self.board,
            "part": self.part,
            "throughput": throughput,
            "clock": self.clock,
        }
        found: list[str] = [] if self.flow == "vitis" else [self.flow]
        found += [f"{key}={str(v).removesuffix('.0')}" for key, v in pairs.items() if v]
        return ",".join(found)


_per_second = real_number(0.001, 1e9, f"samples per second, 0.001 to 1e9, or {FASTEST}")
_READERS: Mapping[str, Reader] = {
    "flow": one_of(FLOWS),
    "board": one_of(tuple(BOARDS)),
    "part": part,
    "throughput": lambda text: 0.0 if text == FASTEST else _per_second(text),
    "clock": megahertz,
}
DESCRIBED: Mapping[str, str] = {
    "flow": f"{' or '.join(FLOWS)}: whose pragmas and Tcl are written; also without `flow=`",
    "board": f"{', '.join(BOARDS)}: to the bitstream; default: {DEFAULT}",
    "part": "of the FPGA, in place of a board: the IP alone",
    "throughput": f"samples per second, or {FASTEST}: as many as fit by estimate; default: "
    f"{USUAL_THROUGHPUT:g}",
    "clock": "MHz; default: 100, on UltraScale+ boards 200",
}
"""Option -> its values, in words."""


def parse(text: str) -> Options:
    """Read options; "" means defaults.

    Raises:
        UsageError: ACT0420, all that is wrong with them.
    """
    values, problems = read_options(text, _READERS, _CODE, dict.fromkeys(FLOWS, "flow"))
    if values.get("board") and values.get("part"):
        message = "a board and a part are given both"
        problems.append(Diagnostic(_CODE, message, help="a board has its part"))
    if problems:
        raise UsageError(problems)
    return Options(**values)
