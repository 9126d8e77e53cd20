"""What stands behind the colon: ``bnn-hls:vivado,board=zcu104,throughput=10000``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.bnn_hls.boards import BOARDS, DEFAULT, Board
from actc.targets.bnn_hls.design import Flow

FLOWS: tuple[Flow, ...] = ("vitis", "vivado")
USUAL_THROUGHPUT = 1000.0
"""Samples per second, where nothing is asked for."""
FASTEST = "max"
_PART_CLOCK = 100.0


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


def _flow(text: str) -> str:
    if text not in FLOWS:
        raise ValueError(f"one of {', '.join(FLOWS)}")
    return text


def _board(text: str) -> str:
    if text not in BOARDS:
        near = difflib.get_close_matches(text, BOARDS, n=1, cutoff=0.4)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"one of {', '.join(BOARDS)}{hint}")
    return text


def _part(text: str) -> str:
    if not re.fullmatch("[a-zA-Z0-9-]{4,40}", text):
        raise ValueError("the name of a part, such as xc7z020clg400-1")
    return text


def _throughput(text: str) -> float:
    if text == FASTEST:
        return 0.0
    return _number(text, 0.001, 1e9, f"samples per second, 0.001 to 1e9, or {FASTEST}")


def _clock(text: str) -> float:
    return _number(text, 1, 1000, "MHz, 1 to 1000")


def _number(text: str, low: float, high: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not low <= value <= high:
        raise ValueError(what)
    return value


_READERS: dict[str, Callable[[str], Any]] = {
    "flow": _flow,
    "board": _board,
    "part": _part,
    "throughput": _throughput,
    "clock": _clock,
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
    values: dict[str, Any] = {}
    problems: list[Diagnostic] = []
    for item in filter(None, text.split(",")):
        name, separator, value = item.partition("=")
        if not separator and name in FLOWS:
            name, value = "flow", name
        elif not separator or name not in _READERS:
            problems.append(_unknown(item, name))
            continue
        if name in values:
            problems.append(_problem(f"the option {name} is given twice", "give it once"))
            continue
        try:
            values[name] = _READERS[name](value)
        except ValueError as error:
            problems.append(_problem(f"{name}={value} is not possible", f"give {error}"))
    if values.get("board") and values.get("part"):
        problems.append(_problem("a board and a part are given both", "a board has its part"))
    if problems:
        raise UsageError(problems)
    return Options(**values)


def _unknown(item: str, name: str) -> Diagnostic:
    near = difflib.get_close_matches(name, [*_READERS, *FLOWS], n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    known = ", ".join([*FLOWS, *(f"{key}=..." for key in _READERS if key != "flow")])
    return _problem(f"target bnn-hls has no option {item!r}", f"{hint}known: {known}")


def _problem(message: str, help: str) -> Diagnostic:
    return Diagnostic("ACT0420", message, help=help)
