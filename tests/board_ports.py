"""Ports for tests of the client: the simulated board, and what answers wrongly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from board_cores import Core

from actc.device import Device, Interface
from actc.device.frames import REFUSED, Decoder, Frame, encode
from actc.device.ports import Port
from actc.device.simulated import SimulatedPort

PATIENCE = 20_000
"""Clocks: more than the longest answer of these cores takes."""


class Wire:
    """A port between the client and the simulated board that changes bytes on their way.

    Attributes:
        there, back: make what arrives of what is sent.
    """

    def __init__(
        self,
        port: Port,
        there: Callable[[bytes], bytes] = bytes,
        back: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self.port, self.there, self.back = port, there, back

    def write(self, data: bytes) -> None:
        self.port.write(self.there(data))

    def read(self) -> bytes:
        return self.back(self.port.read())

    def close(self) -> None:
        self.port.close()


def board(directory: Path, interface: Interface, **options: Any) -> SimulatedPort:
    return SimulatedPort(directory, interface, PATIENCE, **options)


def compare(core: Core, device: Device, count: int, seed: int = 0) -> None:
    feeds = core.samples(count, seed)
    found = device.run(feeds)
    expected = core.expected(feeds)
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert np.array_equal(found[name], values), name


class Silent:
    """A port that nothing is behind."""

    answer = b""

    def __init__(self) -> None:
        self.written = bytearray()

    def write(self, data: bytes) -> None:
        self.written += data

    def read(self) -> bytes:
        return self.answer

    def close(self) -> None:
        pass


class Chatter(Silent):
    """Something else at the port."""

    answer = b"login: \n"


class Refusing(Silent):
    """A board that finds every request broken."""

    def read(self) -> bytes:
        frames = Decoder().feed(bytes(self.written))
        self.written.clear()
        return b"".join(encode(Frame(REFUSED, frame.sequence, b"")) for frame in frames)


class OtherSizes(Silent):
    """A board whose answers have another length."""

    def read(self) -> bytes:
        frames = Decoder().feed(bytes(self.written))
        self.written.clear()
        return b"".join(encode(Frame(frame.kind, frame.sequence, b"12345")) for frame in frames)
