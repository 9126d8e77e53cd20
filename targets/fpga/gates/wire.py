"""The pins of a board whose netlist is evaluated: what a host's client talks to."""

from __future__ import annotations

import numpy as np

from actc.device.interface import Interface
from actc.device.waveform import Levels, Line, SpiLine, UartLine
from actc.targets.fpga.gates.evaluate import Simulation
from actc.targets.fpga.gates.netlist import GateNetlist

_PINS = {"uart": ("uart_rx",), "spi": ("spi_sck", "spi_mosi", "spi_cs")}
"""Ports of the board's top, by interface: pin k is bit k of a level."""
_ANSWER = {"uart": "uart_tx", "spi": "spi_miso"}
_RESET = 64
"""Clocks before anything is sent: the board holds its ports back in its first clocks."""
_PIECE = 4096
"""Clocks that are evaluated at a time."""
_PATIENCE = 16
"""Pieces without a byte until a read gives up."""


class NetlistPort:
    """A :class:`~actc.device.ports.Port` into a netlist of a board.

    Args:
        netlist: with the ports of the board's top.
        interface: of the design, "uart" or "spi".

    Raises:
        ValueError: the interface has no wire.
    """

    def __init__(self, netlist: GateNetlist, interface: Interface) -> None:
        if interface.kind not in _PINS:
            raise ValueError(f"a {interface.kind} has no wire")
        self._pins, self._answer = _PINS[interface.kind], _ANSWER[interface.kind]
        self._line = _line(interface)
        self._simulation = Simulation(netlist)
        self._inputs = tuple(netlist.inputs)
        self._waiting = np.full(_RESET, self._line.idle, np.uint8)

    def write(self, data: bytes) -> None:
        """Put bytes on the wire; time passes in :meth:`read`."""
        if data:
            self._waiting = np.concatenate([self._waiting, self._line.encode(data)])

    def read(self) -> bytes:
        """Go on until a byte has come, or until nothing came for long."""
        quiet = 0
        while quiet < _PATIENCE:
            sending = bool(len(self._waiting))
            levels = self._waiting[:_PIECE] if sending else self._line.quiet()
            self._waiting = self._waiting[_PIECE:]
            found = self._line.decode(levels, self._evaluate(levels))
            if found:
                return found
            quiet = 0 if sending else quiet + 1
        return b""

    def close(self) -> None:
        """Nothing is open."""

    def _evaluate(self, levels: Levels) -> Levels:
        """The level of the answering pin in each clock."""
        given = {pin: (levels >> place) & 1 for place, pin in enumerate(self._pins)}
        # a clock that passes a PLL is an input like any other, and not read as data
        rows = {port: given.get(port, np.zeros(len(levels), np.uint8)) for port in self._inputs}
        return self._simulation.run(rows)[self._answer][:, 0]


def _line(interface: Interface) -> Line:
    if interface.kind == "spi":
        return SpiLine()
    assert interface.clock_hz is not None
    assert interface.baud is not None
    return UartLine(round(interface.clock_hz / interface.baud))
