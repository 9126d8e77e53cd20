"""A board at an SPI controller of this machine."""

from __future__ import annotations

import re
from typing import Any

from actc.device.frames import FLAG, Flags
from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.toolchain import require_package

PREFIX = "spidev:"
"""How the names of such ports begin: spidev:BUS.CHIP, as in /dev/spidev0.0."""
HOW = "pip install spidev (Linux)"
_MOST_HERTZ = 10e6
_CLOCKS_PER_BIT = 8
"""Twice what the board needs."""
_PIECE = 4096
"""Bytes that spidev takes at a time, unless it was loaded with another buffer."""
_FLAGS = bytes([FLAG]) * 64


def rate(clock_hz: float) -> int:
    """Rate of sck for a board with such a clock, Hz."""
    return int(min(_MOST_HERTZ, clock_hz / _CLOCKS_PER_BIT))


class SpiPort:
    """An SPI controller, by spidev; mode 0, each piece of bytes under a selection of its own.

    Args:
        name: "spidev:0.0".
        clock_hz: of the board, Hz; decides the rate of sck.
        patience: bytes clocked without an answer until :meth:`read` gives up.

    Raises:
        MissingTool: ACT0503, spidev is not installed.
        UsageError: ACT0591, there is no such port.
    """

    def __init__(self, name: str, clock_hz: float, patience: int) -> None:
        found = re.fullmatch(rf"{PREFIX}(\d+)\.(\d+)", name)
        if found is None:
            raise _no_port(name, "it is not spidev:BUS.CHIP")
        self._name, self._patience = name, patience
        self._flags, self._heard = Flags(), b""
        self._spi: Any = require_package("spidev", HOW).SpiDev()
        try:
            self._spi.open(int(found[1]), int(found[2]))
            self._spi.mode = 0
            self._spi.max_speed_hz = rate(clock_hz)
        except OSError as problem:
            raise _no_port(name, problem.strerror or str(problem)) from problem

    def write(self, data: bytes) -> None:
        """Send bytes, and keep what comes meanwhile.

        Raises:
            UsageError: ACT0591, the port is gone.
        """
        for start in range(0, len(data), _PIECE):
            self._heard += self._exchange(data[start : start + _PIECE])

    def read(self) -> bytes:
        """What has come; clocks flags out until something comes or the patience is over.

        Raises:
            UsageError: ACT0591, the port is gone.
        """
        for _ in range(0, self._patience, len(_FLAGS)):
            if self._heard:
                break
            self._heard = self._exchange(_FLAGS)
        found, self._heard = self._heard, b""
        return found

    def close(self) -> None:
        """Give the port back."""
        self._spi.close()

    def _exchange(self, data: bytes) -> bytes:
        try:
            return self._flags.without(bytes(self._spi.xfer2(list(data))))
        except OSError as problem:
            raise _no_port(self._name, problem.strerror or str(problem)) from problem


def _no_port(name: str, reason: str) -> UsageError:
    return UsageError(
        Diagnostic(
            "ACT0591",
            f"the port {name} cannot be used: {reason}",
            help="/dev/spidevBUS.CHIP must be there and yours to write; --port sim simulates "
            "the board",
        )
    )
