"""What stands behind the colon: ``hls4ml:vitis,io=stream,reuse=4``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.hls4ml import backends
from actc.targets.vendor.boards import BOARDS, Board
from actc.targets.written_options import (
    Reader,
    megahertz,
    one_of,
    part,
    read_options,
    whole_number,
)

BACKENDS = {name.lower(): name for name in backends.BACKENDS}
"""Name on the command line -> hls4ml's."""
STRATEGIES = ("latency", "resource")
INTERFACES = ("parallel", "stream")
_WITH_BOARDS = ("vitis", "vivado")
_WITH_STRATEGIES = ("vitis", "vivado", "catapult")
_CODE = "ACT0431"
_MOST_REUSED = 1 << 20
_CLOCK = 200.0


@dataclass(frozen=True, slots=True)
class Options:
    """How hls4ml builds a network.

    Attributes:
        backend: hls4ml's name of it.
        io: "parallel" or "stream".
        strategy: of products: "latency", all weights in logic, or "resource", in memories.
        reuse: products that share one multiplier, at most.
        board: its name; "": none, and the project leads to an IP.
        part: of the FPGA; "": the board's, or the backend's own.
        clock: MHz; None: what is usual.
    """

    backend: str = "Vitis"
    io: str = "parallel"
    strategy: str = "latency"
    reuse: int = 1
    board: str = ""
    part: str = ""
    clock: float | None = None

    @property
    def on_board(self) -> Board | None:
        """The board, if there is one."""
        return BOARDS[self.board] if self.board else None

    @property
    def device(self) -> str:
        """The part; "": the backend's own."""
        return self.part or (self.on_board.part if self.on_board else "")

    @property
    def clock_mhz(self) -> float:
        """The clock."""
        return self.clock or (self.on_board.clock_mhz if self.on_board else _CLOCK)

    @property
    def period(self) -> float:
        """Of the clock, ns."""
        return 1000 / self.clock_mhz

    def __str__(self) -> str:
        """The text that :func:`parse` reads, without defaults."""
        usual = Options()
        found = []
        for item in fields(self):
            value = getattr(self, item.name)
            if value == getattr(usual, item.name):
                continue
            text = str(value).lower().removesuffix(".0") if item.name != "part" else value
            found.append(text if item.name == "backend" else f"{item.name}={text}")
        return ",".join(found)


def _backend(text: str) -> str:
    return BACKENDS[one_of(tuple(BACKENDS))(text)]


def _strategy(text: str) -> str:
    if text in ("distributed_arithmetic", "da"):
        why = "hls4ml does that with fixed point types alone, and all types here are integers"
        raise ValueError(f"one of {', '.join(STRATEGIES)}; {why}")
    return str(one_of(STRATEGIES)(text))


_READERS: Mapping[str, Reader] = {
    "backend": _backend,
    "io": one_of(INTERFACES),
    "strategy": _strategy,
    "reuse": whole_number(1, _MOST_REUSED),
    "board": one_of(tuple(BOARDS)),
    "part": part,
    "clock": megahertz,
}
DESCRIBED: Mapping[str, str] = {
    "backend": f"{', '.join(BACKENDS)}: of hls4ml; also without `backend=`; default: vitis",
    "io": f"{' or '.join(INTERFACES)}: whole tensors, or position by position; default: parallel",
    "strategy": f"{' or '.join(STRATEGIES)}: weights in logic, or in memories "
    f"({', '.join(_WITH_STRATEGIES)}); default: latency",
    "reuse": "products that share one multiplier; default: 1",
    "board": f"{', '.join(BOARDS)}: to the bitstream, with {' or '.join(_WITH_BOARDS)}",
    "part": "of the FPGA; default: hls4ml's, or the board's",
    "clock": "MHz; default: 200, on boards with Zynq-7000 100",
}
"""Option -> its values, in words."""


def parse(text: str) -> Options:
    """Read options; "" means defaults.

    Raises:
        UsageError: ACT0431, all that is wrong with them.
    """
    words = dict.fromkeys(BACKENDS, "backend")
    values, problems = read_options(text, _READERS, _CODE, words)
    problems += _unsuitable(values)
    if problems:
        raise UsageError(problems)
    return Options(**values)


def _unsuitable(values: Mapping[str, Any]) -> list[Diagnostic]:
    """What does not go together."""
    found = []
    if values.get("board") and values.get("part"):
        message = "a board and a part are given both"
        found.append(Diagnostic(_CODE, message, help="a board has its part"))
    backend = str(values.get("backend", "Vitis")).lower()
    if values.get("board") and backend not in _WITH_BOARDS:
        message = f"the backend {backend} has no way to a bitstream"
        help = f"give a board with {' or '.join(_WITH_BOARDS)}"
        found.append(Diagnostic(_CODE, message, help=help))
    if values.get("strategy") == "resource" and backend not in _WITH_STRATEGIES:
        message = f"strategy=resource is not offered with the backend {backend}"
        help = f"take {', '.join(_WITH_STRATEGIES)}, or leave it out: reuse= shares multipliers"
        found.append(Diagnostic(_CODE, message, help=help))
    return found
