"""Bytes as levels of wires over time, one sample per clock of the board, and back.

A level per clock is a number whose bits are the pins: of a UART rx (bit 0); of SPI sck
(bit 0), mosi (bit 1) and cs (bit 2, low while selected). The other way there is one pin,
tx or miso.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from actc.device.frames import FLAG, Flags

Levels = npt.NDArray[np.uint8]
SCK, MOSI, CS = 1, 2, 4
_QUIET = 4096


class Line(Protocol):
    """A kind of wire: how bytes look on it."""

    idle: int
    """Levels while nothing is sent."""

    def encode(self, data: bytes) -> Levels:
        """Levels of the pins into the board, clock after clock."""

    def quiet(self) -> Levels:
        """Levels while this end only listens, for a while."""

    def decode(self, sent: Levels, levels: Levels) -> bytes:
        """Bytes that end within the next clocks.

        Args:
            sent: levels of the pins into the board.
            levels: of the pin out of it in the same clocks, 0 or 1.
        """


@dataclass
class UartLine:
    """8N1, lowest bit first.

    Attributes:
        period: clocks of the board per bit, as this end counts them; need not be whole.
        pause: clocks that it listens at a time.
    """

    period: float
    idle: int = 1
    pause: int = _QUIET
    _rest: Levels = field(default_factory=lambda: np.zeros(0, np.uint8))

    def encode(self, data: bytes) -> Levels:
        """Start bit, eight bits, stop bit per byte, without gaps."""
        bytes_ = np.frombuffer(data, np.uint8)
        frames = np.ones((len(data), 10), np.uint8)
        frames[:, 0] = 0
        frames[:, 1:9] = np.unpackbits(bytes_[:, None], axis=1, bitorder="little")
        bits = frames.reshape(-1)
        ends = np.rint(np.arange(1, len(bits) + 1) * self.period).astype(np.int64)
        return np.repeat(bits, np.diff(ends, prepend=0))

    def quiet(self) -> Levels:
        """Nothing on the wire."""
        return np.full(self.pause, self.idle, np.uint8)

    def decode(self, sent: Levels, levels: Levels) -> bytes:
        """Look at each bit in its middle, from the edge of the start bit on."""
        wire = np.concatenate([self._rest, levels])
        found = bytearray()
        place = 0
        while True:
            starts = np.flatnonzero(wire[place:] == 0)
            if not starts.size:
                place = len(wire)
                break
            start = place + int(starts[0])
            middles = start + ((np.arange(10) + 0.5) * self.period).astype(np.int64)
            if middles[-1] >= len(wire):
                place = start
                break
            bits = wire[middles]
            if bits[9]:
                found.append(int(np.packbits(bits[1:9], bitorder="little")[0]))
            place = int(middles[-1])
        self._rest = wire[place:]
        return bytes(found)


@dataclass
class SpiLine:
    """Mode 0, highest bit first; each string of bytes under one selection.

    Attributes:
        half: clocks of the board in half a period of sck, at least 2.
    """

    half: int = 2
    idle: int = CS
    _last: int = 0
    _value: int = 0
    _bits: int = 0
    _flags: Flags = field(default_factory=Flags)

    def encode(self, data: bytes) -> Levels:
        """Select, a low and a high half per bit, deselect."""
        bits = np.unpackbits(np.frombuffer(data, np.uint8))
        low = np.repeat(bits * MOSI, self.half).reshape(-1, self.half)
        clocked = np.concatenate([low, low | SCK], axis=1).reshape(-1)
        before = np.full(4 * self.half, 0, np.uint8)
        after = np.full(4 * self.half, CS, np.uint8)
        return np.concatenate([before, clocked.astype(np.uint8), before, after])

    def quiet(self) -> Levels:
        """Flags: the board speaks only while it is spoken to."""
        return self.encode(bytes([FLAG] * 16))

    def decode(self, sent: Levels, levels: Levels) -> bytes:
        """What miso said, without flags that follow a flag."""
        return self._flags.without(self.every_byte(sent, levels))

    def every_byte(self, sent: Levels, levels: Levels) -> bytes:
        """Look at miso when sck rises; bytes that the selection ends too early are none."""
        found = bytearray()
        clocks = np.concatenate([[self._last], sent & SCK])
        self._last = int(clocks[-1])
        rising = (np.diff(clocks.astype(np.int8)) == 1) & ((sent & CS) == 0)
        events = np.flatnonzero(rising | ((sent & CS) != 0))
        for place in events:
            if sent[place] & CS:
                self._value = self._bits = 0
                continue
            self._value = self._value << 1 | int(levels[place])
            self._bits += 1
            if self._bits == 8:
                found.append(self._value)
                self._value = self._bits = 0
        return bytes(found)
