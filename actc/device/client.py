"""The client: samples to the board, its answers back, whatever happens on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from actc.device import bits, frames, spi
from actc.device.document import FILE, read_interface
from actc.device.exchange import Exchange, Traffic
from actc.device.interface import InputFormat, Interface
from actc.device.ports import Port, SerialPort
from actc.device.simulated import SimulatedPort, usual_patience
from actc.diagnostics import Diagnostic
from actc.errors import UsageError

Array = np.ndarray[Any, Any]

SIMULATED = "sim"
"""The name of the port that is a simulation of the board."""
_IDENTITY_BYTES = 16
_VERSION = 1
_QUIET_SECONDS = 0.5


class Device:
    """A network in an FPGA.

    Args:
        interface: what interface.json says about it.
        port: where it is.

    Attributes:
        interface, port: as given.
        traffic: what happened so far.
    """

    def __init__(self, interface: Interface, port: Port) -> None:
        self.interface, self.port = interface, port
        self.traffic = Traffic()
        stale = (interface.in_flight or 0) * interface.longest_frame
        self._exchange = Exchange(port, self.traffic, interface.in_flight, stale)

    @classmethod
    def open(cls, directory: str | Path, port: str) -> Device:
        """Open the board that runs what is in `directory`, and ask whether it does.

        Args:
            directory: what `actc compile` wrote for a board.
            port: a serial port, "spidev:BUS.CHIP" for an SPI controller of Linux, or "sim"
                for a simulation of the whole board.

        Raises:
            UsageError: ACT0590 no such directory, ACT0591 no such port, ACT0593 the board
                runs another design.
            ToolFailed: ACT0592 nothing answers, ACT0594 nothing answers rightly.
            MissingTool: ACT0503 pyserial or spidev, or ACT0501 the simulator is not installed.
        """
        interface = read_interface(directory)
        device = cls(interface, _open_port(Path(directory), interface, port))
        try:
            device.identify()
        except BaseException:
            device.close()
            raise
        return device

    def close(self) -> None:
        """Give the port back."""
        self.port.close()

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def identify(self) -> None:
        """Ask the board which design it runs.

        Raises:
            UsageError: ACT0593, another one.
            ToolFailed: ACT0592, ACT0594.
        """
        answer = self._exchange.ask(frames.IDENTITY, [b""], _IDENTITY_BYTES)[0]
        build = answer[8:0:-1].hex()
        sizes = [int.from_bytes(answer[k : k + 3], "little") for k in (9, 12)]
        expected = [self.interface.input_bits, self.interface.output_bits]
        if answer[0] != _VERSION or build != self.interface.build or sizes != expected:
            message = (
                f"the board runs the design {build} with {sizes[0]} bits in and {sizes[1]} out, "
                f"not {self.interface.build} with {expected[0]} and {expected[1]}"
            )
            help_text = f"program the board with the bitstream beside this {FILE}"
            raise UsageError(Diagnostic("ACT0593", message, help=help_text))

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs of the network for a batch, exactly those of golden.onnx.

        Args:
            feeds: input name -> array [samples, *shape].

        Returns:
            output name -> array [samples, *shape].

        Raises:
            UsageError: ACT0595, names, shapes or types do not fit; ACT0591.
            ToolFailed: ACT0592, ACT0594.
        """
        _check_feeds(self.interface, feeds)
        columns = [
            (item.codes(np.asarray(feeds[item.input])), item.width)
            for item in self.interface.inputs
        ]
        size = -(-self.interface.output_bits // 8)
        answers = self._exchange.ask(frames.OUTPUTS, bits.pack(columns), size)
        wires = self.interface.wires
        layout = [(item.elements, item.width, item.signed) for item in wires]
        found = dict(zip(self.interface.output_buses, bits.unpack(answers, layout), strict=True))
        return {item.output: item.values(found[item.bus]) for item in self.interface.outputs}


_OTHER_WAYS = {
    "stream": "compile for an FPGA with --interface uart, or simulate it: "
    "`actc check DIR --data DATA.npz`",
    "spi": f"take --port {spi.PREFIX}BUS.CHIP for an SPI controller of Linux, or --port sim",
    "uart": "compile again: its baud rate is not known",
}
"""Kind of interface -> what to do where a serial port does not fit."""


def _open_port(directory: Path, interface: Interface, name: str) -> Port:
    if name == SIMULATED:
        return SimulatedPort(directory, interface, usual_patience(interface))
    slowest = interface.longest_frame
    # what is under way may be computed first, then what was asked
    computing = 2 * interface.latency
    if interface.kind == "spi" and name.startswith(spi.PREFIX):
        return spi.SpiPort(name, interface.clock_hz or 0, 4 * slowest + computing)
    if interface.kind != "uart" or interface.baud is None:
        message = f"the design has the interface '{interface.kind}', which is no serial port"
        help_text = _OTHER_WAYS[interface.kind]
        raise UsageError(Diagnostic("ACT0591", message, help=help_text))
    seconds = 40 * slowest / interface.baud + computing / (interface.clock_hz or 1)
    return SerialPort(name, interface.baud, _QUIET_SECONDS + seconds)


def _check_feeds(interface: Interface, feeds: Mapping[str, Array]) -> None:
    """Refuse what the network cannot take.

    Raises:
        UsageError: ACT0595, with all problems at once.
    """
    wanted = {item.input: item for item in interface.inputs}
    problems = [problem for item in wanted.values() for problem in _feed_problems(item, feeds)]
    problems += [f"there is no input '{name}'" for name in sorted(set(feeds) - set(wanted))]
    counts = {len(array) for array in map(np.asarray, feeds.values()) if array.ndim}
    if not problems and len(counts) > 1:
        problems.append(f"the arrays hold different numbers of samples, {sorted(counts)}")
    if problems:
        listed = ", ".join(
            f"{item.input} [samples{''.join(f', {size}' for size in item.shape)}] {item.dtype}"
            for item in wanted.values()
        )
        help_text = f"the network takes {listed}"
        raise UsageError([Diagnostic("ACT0595", text, help=help_text) for text in problems])


_TAKEN = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}
"""Kind of an input's type -> kinds of arrays that it takes."""


def _feed_problems(item: InputFormat, feeds: Mapping[str, Array]) -> list[str]:
    if item.input not in feeds:
        return [f"there are no values for the input '{item.input}'"]
    array = np.asarray(feeds[item.input])
    if array.ndim == 0 or array.shape[1:] != item.shape:
        return [f"'{item.input}' has the shape {list(array.shape)}"]
    if array.dtype.kind not in _TAKEN[np.dtype(item.dtype).kind]:
        return [f"'{item.input}' has the type {array.dtype}"]
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return [f"'{item.input}' holds NaN or infinite values"]
    return []
