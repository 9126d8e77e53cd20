"""Samples per second of a board with its wire, counted in clocks of a simulation of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from actc.device import spi
from actc.device.client import Device
from actc.device.document import read_interface
from actc.device.exchange import Traffic
from actc.device.interface import Interface
from actc.device.simulated import SimulatedPort, usual_patience
from actc.device.simulators import Simulator
from actc.device.waveform import Line, SpiLine, UartLine

Array = np.ndarray[Any, Any]

_PIECE = 512
"""Clocks that are simulated at a time: how late the host of a UART sees an answer."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """What was counted.

    Attributes:
        samples: that were sent without pauses.
        clocks: that all of them took, from the first bit of the first request to the end of
            the last answer.
        clocks_of_one: the same of a sample alone, which is the latency with the wire.
        clock_hz: of the board.
        outputs: output name -> array [samples, *shape].
        traffic: on the wire.
    """

    samples: int
    clocks: int
    clocks_of_one: int
    clock_hz: float
    outputs: Mapping[str, Array]
    traffic: Traffic

    @property
    def samples_per_second(self) -> float:
        """Of many samples: without the time until the first answer."""
        return self.clock_hz * (self.samples - 1) / (self.clocks - self.clocks_of_one)

    @property
    def latency_seconds(self) -> float:
        """From the first bit of a request to the last one of its answer."""
        return self.clocks_of_one / self.clock_hz


def measure_throughput(
    directory: str | Path, feeds: Mapping[str, Array], *, simulator: Simulator | None = None
) -> Throughput:
    """Send samples through the simulated board, with its wire, and count the clocks.

    The host is taken to be always in time: it sends the next request as soon as the board
    has room for it. A UART runs at its rate, SPI at the rate of :class:`SpiPort`.

    Args:
        directory: what `actc compile` wrote for a board with a wire.
        feeds: input name -> array [samples, *shape], two samples or more.
        simulator: that runs the design; None: the usual one of such an interface.

    Raises:
        ValueError: there are fewer than two samples, or the clock is not known.
        UsageError, ToolFailed, MissingTool: as :meth:`Device.open` and :meth:`Device.run`.
    """
    interface = read_interface(directory)
    samples = min((len(array) for array in feeds.values()), default=0)
    if samples < 2 or interface.clock_hz is None:
        raise ValueError("two samples and the frequency of the clock are needed")
    port = SimulatedPort(
        Path(directory),
        interface,
        usual_patience(interface),
        line=_line(interface, interface.clock_hz),
        simulator=simulator,
        piece=_PIECE,
    )
    with Device(interface, port) as device:
        device.identify()
        start = port.clocks
        device.run({name: array[:1] for name, array in feeds.items()})
        between = port.clocks
        outputs = device.run(feeds)
        end = port.clocks
    one, all_ = between - start, end - between
    return Throughput(samples, all_, one, interface.clock_hz, outputs, device.traffic)


def _line(interface: Interface, clock_hz: float) -> Line:
    if interface.kind == "spi":
        return SpiLine(max(2, ceil(clock_hz / (2 * spi.rate(clock_hz)))))
    return UartLine(clock_hz / (interface.baud or clock_hz), pause=_PIECE)
