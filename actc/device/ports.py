"""Where bytes go to a board and come from it."""

from __future__ import annotations

from typing import Any, Protocol

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.toolchain import require_package

HOW = "pip install 'actc[device]'"


class Port(Protocol):
    """A way to and from a board that keeps the order of bytes, and may lose or break some."""

    def write(self, data: bytes) -> None:
        """Send bytes; may wait until they are on their way."""

    def read(self) -> bytes:
        """What has come; waits for it, but not forever: b"" where nothing came in time."""

    def close(self) -> None:
        """Give it back."""


class SerialPort:
    """A UART of this machine, by pyserial.

    Args:
        name: /dev/ttyUSB0, COM3, or a URL that pyserial knows (loop://, socket://...).
        baud: bits per second.
        patience: seconds until :meth:`read` gives up.

    Raises:
        MissingTool: ACT0503, pyserial is not installed.
        UsageError: ACT0591, the port cannot be opened.
    """

    def __init__(self, name: str, baud: int, patience: float) -> None:
        serial = require_package("serial", HOW)
        self._name, self._error = name, (serial.SerialException, OSError)
        try:
            self._port: Any = serial.serial_for_url(
                name, baudrate=baud, timeout=patience, write_timeout=10 + patience
            )
            self._port.reset_input_buffer()
        except (*self._error, ValueError) as problem:
            raise _no_port(name, problem) from problem

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            UsageError: ACT0591, the port is gone.
        """
        try:
            self._port.write(data)
        except self._error as problem:
            raise _no_port(self._name, problem) from problem

    def read(self) -> bytes:
        """What has come, at least one byte unless the patience is over.

        Raises:
            UsageError: ACT0591, the port is gone.
        """
        try:
            return bytes(self._port.read(max(1, self._port.in_waiting)))
        except self._error as problem:
            raise _no_port(self._name, problem) from problem

    def close(self) -> None:
        """Give the port back."""
        self._port.close()


def _no_port(name: str, problem: Exception) -> UsageError:
    reason = getattr(problem, "strerror", None) or str(problem)
    present = _present()
    there = f"ports of this machine: {', '.join(present)}" if present else "there is no serial port"
    return UsageError(
        Diagnostic(
            "ACT0591",
            f"the port {name} cannot be used: {reason}",
            help=f"{there}; --port sim simulates the board",
        )
    )


def _present() -> list[str]:
    """Names of the serial ports of this machine."""
    ports = require_package("serial.tools.list_ports", HOW).comports()
    return sorted(port.device for port in ports)
