"""Constraint files: which port of the top module is which pin."""

from __future__ import annotations

import re
from collections.abc import Mapping

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.fpga.boards.device import Board, Pin

_PORT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\[[0-9]+\])?")
SUFFIXES = {"ice40": ".pcf", "ecp5": ".lpf", "gowin": ".cst"}
"""Of each family's constraint files."""


def write_constraints(board: Board, ports: Mapping[str, str]) -> str:
    """The constraint file of a board, in its family's language.

    Args:
        board: its pins; of a generic board without pins, no line is written.
        ports: port of the top module ("rx", "leds[0]") -> role, one of
            :data:`~actc.targets.fpga.boards.device.ROLES`.

    Raises:
        UsageError: ACT0588, the board has no pin for a role.
        ValueError: a port is no plain Verilog name.
    """
    lines = []
    for port, role in ports.items():
        if not _PORT.fullmatch(port):
            raise ValueError(f"{port!r} is not a port that a constraint file can name")
        pin = board.pins.get(role)
        if pin is None:
            if board.pins:
                raise UsageError(_no_pin(board, role))
            continue
        lines += _LINES[board.device.family](port, pin, pin.standard or board.standard)
    return "".join(line + "\n" for line in lines)


def _pcf(port: str, pin: Pin, standard: str) -> list[str]:
    pull = "-pullup yes " if pin.pull == "up" else ""
    return [f"set_io {pull}{port} {pin.site}"]


def _lpf(port: str, pin: Pin, standard: str) -> list[str]:
    pull = f" PULLMODE={pin.pull.upper()}" if pin.pull else ""
    return [
        f'LOCATE COMP "{port}" SITE "{pin.site}";',
        f'IOBUF PORT "{port}" IO_TYPE={standard}{pull};',
    ]


def _cst(port: str, pin: Pin, standard: str) -> list[str]:
    pull = f" PULL_MODE={pin.pull.upper()}" if pin.pull else ""
    return [f'IO_LOC "{port}" {pin.site};', f'IO_PORT "{port}" IO_TYPE={standard}{pull};']


_LINES = {"ice40": _pcf, "ecp5": _lpf, "gowin": _cst}


def _no_pin(board: Board, role: str) -> Diagnostic:
    return Diagnostic(
        "ACT0588",
        f"the board {board.name} has no pin for {role}",
        notes=(f"it has pins for {', '.join(board.pins)}",),
        help="choose another interface, or write a file of your own with that pin and give "
        "its path as the board (docs/boards.md)",
    )
