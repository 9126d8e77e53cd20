"""A board that is simulated: its pins are driven and seen clock by clock.

Bytes become the levels of the wires, these go through a simulator, which runs the
whole design with its port, and the levels that come out become bytes again. Only the
copper is missing, and the PLL: the simulation has the clock behind it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

from actc import guarding
from actc.device.document import FILE
from actc.device.interface import Interface
from actc.device.simulators import MEMORY, PORTS, Simulator, simulator_command, usual_simulator
from actc.device.waveform import Levels, Line, SpiLine, UartLine
from actc.diagnostics import Diagnostic, Place
from actc.errors import ToolFailed, UsageError

ANSWER_SECONDS = 600.0
"""Wall time that the simulator may take for one piece."""
_PIECE = 4096
"""Clocks that are simulated at a time."""


class SimulatedPort:
    """The port of a simulated board.

    Args:
        directory: where the files of the design are.
        interface: of the design; has a simulation.
        patience: clocks without a byte until :meth:`read` gives up.
        line: how this end sends and reads; None: as the interface says.
        noise, noise_back: what happens to levels on their way to the board, and from it.
        simulator: that runs the design; None: the usual one of such an interface.
        piece: clocks that are simulated at a time, at most.

    Raises:
        UsageError: ACT0590, the design cannot be simulated.
        MissingTool: ACT0501, the simulator is not installed.
        ToolFailed: the design does not compile.
    """

    def __init__(
        self,
        directory: Path,
        interface: Interface,
        patience: int,
        *,
        line: Line | None = None,
        noise: Callable[[Levels], Levels] | None = None,
        noise_back: Callable[[Levels], Levels] | None = None,
        simulator: Simulator | None = None,
        piece: int = _PIECE,
    ) -> None:
        if interface.simulation is None or interface.kind not in PORTS:
            raise _no_simulation(directory, interface)
        self.clocks = 0
        """Simulated so far."""
        self._line = line or _line(interface)
        self._noise, self._noise_back = noise or _unchanged, noise_back or _unchanged
        self._patience, self._piece = patience, piece
        # the board holds its ports back in its first clocks
        self._waiting = [np.full(64, self._line.idle, np.uint8)]
        self._folder = tempfile.TemporaryDirectory(prefix="actc-")
        self._process: subprocess.Popen[bytes] | None = None
        try:
            folder = Path(self._folder.name)
            chosen = simulator or usual_simulator(interface)
            command = simulator_command(chosen, directory, interface, self._line.idle, folder)
            self._process = _start(command, folder)
        except BaseException:
            self._folder.cleanup()
            raise

    def write(self, data: bytes) -> None:
        """Put bytes on the wire; time passes in :meth:`read`."""
        if data:
            self._waiting.append(self._noise(self._line.encode(data)))

    def read(self) -> bytes:
        """Simulate until a byte has come, or until nothing came for long.

        Raises:
            ToolFailed: ACT0597, the simulation ended or gave undefined levels.
        """
        quiet = 0
        while quiet < self._patience:
            before, sending = self.clocks, bool(self._waiting)
            found = self.step()
            if found:
                return found
            quiet = 0 if sending else quiet + self.clocks - before
        return b""

    def step(self) -> bytes:
        """Simulate a short while; the bytes that came.

        Raises:
            ToolFailed: ACT0597, as :meth:`read`.
        """
        levels = self._next_piece() if self._waiting else self._line.quiet()
        return self._line.decode(levels, self._noise_back(self._simulate(levels)))

    def send_levels(self, levels: Levels) -> None:
        """Put any levels on the wire, as they are."""
        self._waiting.append(levels)

    def close(self) -> None:
        """End the simulation."""
        self.kill()
        if self._process is not None:
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):  # of what it did not read
                        stream.close()
            self._process.wait()
        self._process = None
        self._folder.cleanup()

    def kill(self) -> None:
        """End the simulator, also where it does not answer any more."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            guarding.release(self._process.pid)

    def _next_piece(self) -> Levels:
        levels = self._waiting.pop(0)
        if len(levels) > self._piece:
            self._waiting.insert(0, levels[self._piece :])
        return levels[: self._piece]

    def _simulate(self, levels: Levels) -> Levels:
        """Levels that the board gives in the next clocks."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise ValueError("the simulated port is closed")
        try:
            process.stdin.write((levels + ord("0")).tobytes() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise _ended(_rest(process)) from None
        text = _read(process.stdout, len(levels))
        found: Levels = np.frombuffer(text, np.uint8) - np.uint8(ord("0"))
        if len(text) < len(levels) or (found > 1).any():
            raise _ended(text + _rest(process))
        self.clocks += len(levels)
        return found


def usual_patience(interface: Interface) -> int:
    """Clocks without a byte until nothing will come any more."""
    per_byte = 128.0
    if interface.kind == "uart" and interface.baud:
        per_byte = 10 * (interface.clock_hz or 0) / interface.baud + 64
    # what is under way may be computed first, then what was asked
    return int(4 * interface.longest_frame * per_byte) + 2 * interface.latency


def _unchanged(levels: Levels) -> Levels:
    return levels


def _line(interface: Interface) -> Line:
    if interface.kind == "spi":
        return SpiLine()
    if interface.clock_hz is None or interface.baud is None:
        raise ValueError("a UART has a clock and a baud rate")
    return UartLine(interface.clock_hz / interface.baud)


def _start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """The simulator, which waits for levels; ended with its group, limited in memory."""
    guarding.start_guard()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    guarding.guard(process.pid)
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(process.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
    return process


def _read(stream: IO[bytes], count: int) -> bytes:
    """`count` bytes, fewer where the stream ends or the time is over."""
    found = bytearray()
    end = time.monotonic() + ANSWER_SECONDS
    while len(found) < count:
        ready, _, _ = select.select([stream], [], [], max(0.0, end - time.monotonic()))
        piece = os.read(stream.fileno(), count - len(found)) if ready else b""
        if not piece:
            break
        found += piece
    return bytes(found)


def _rest(process: subprocess.Popen[bytes]) -> bytes:
    """What a simulator that ended still had to say."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1)
    if process.poll() is None or process.stdout is None:
        return b""
    return process.stdout.read()


def _no_simulation(directory: Path, interface: Interface) -> UsageError:
    return UsageError(
        Diagnostic(
            "ACT0590",
            f"a design with the interface '{interface.kind}' has no wire that a host could ask",
            place=Place(str(directory / FILE)),
            help="`actc check DIR --data DATA.npz` simulates its Verilog; for the wire, compile "
            "for an FPGA with --interface uart or --interface spi",
        )
    )


def _ended(output: bytes) -> ToolFailed:
    lines = output.decode("utf-8", errors="replace").splitlines()
    return ToolFailed(
        Diagnostic(
            "ACT0597",
            "the simulation of the board ended, or gave undefined levels",
            notes=tuple(line[-200:] for line in lines[-20:] if line.strip()),
            help="this is an error of actc or of the simulator; please report it",
        )
    )
