"""Frames on the wire, as RFC 1662 (PPP in HDLC-like framing) makes them.

    flag, header, payload, check low, check high, flag

Flags (7e) stand between frames only: within a frame 7e and 7d are written as 7d and the
byte with bit 5 inverted, so whoever missed something finds the next frame at its flag.
The check is CRC-16/X-25 over header and payload. The header holds a command (host to
board) or status (board to host) in its two highest bits, and the sequence number of the
request below. targets/fpga/interfaces/verilog/actc_receiver.v is the other end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FLAG, ESCAPE, FLIP = 0x7E, 0x7D, 0x20
OUTPUTS, IDENTITY, REFUSED = 0, 1, 2
"""Commands and statuses; REFUSED is a status only: a broken frame came."""
SEQUENCE_NUMBERS = 64


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame whose check was right.

    Attributes:
        kind: OUTPUTS, IDENTITY or REFUSED.
        sequence: 0..63.
        payload: without header and check.
    """

    kind: int
    sequence: int
    payload: bytes


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x8408 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def checksum(data: bytes) -> int:
    """CRC-16/X-25, the FCS of RFC 1662: polynomial 1021 reflected, begin ffff, inverted."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFF


def encode(frame: Frame) -> bytes:
    """The bytes of a frame, with a flag at each end."""
    plain = bytes([frame.kind << 6 | frame.sequence]) + frame.payload
    plain += checksum(plain).to_bytes(2, "little")
    escaped = plain.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e")
    return b"\x7e" + escaped + b"\x7e"


def longest(payload: int) -> int:
    """Most bytes that a frame can take: every one between the flags escaped."""
    return 2 * (1 + payload + 2) + 2


@dataclass
class Flags:
    """Takes out flags that follow a flag: they mean nothing, and SPI has to fill its time."""

    _last: int = FLAG

    def without(self, data: bytes) -> bytes:
        """What is left of the next bytes."""
        before = bytes([self._last]) + data
        self._last = before[-1]
        return bytes(
            byte for last, byte in zip(before, data, strict=False) if not last == byte == FLAG
        )


@dataclass
class Decoder:
    """Finds frames in what comes, in pieces of any size.

    Attributes:
        broken: number of frames so far whose check was wrong.
    """

    broken: int = 0
    _frame: bytearray = field(default_factory=bytearray)
    _escaped: bool = False

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes."""
        found = []
        for byte in data:
            if byte == FLAG:
                found += self._close()
            elif byte == ESCAPE:
                self._escaped = True
            else:
                self._frame.append(byte ^ FLIP if self._escaped else byte)
                self._escaped = False
        return found

    def _close(self) -> list[Frame]:
        content, aborted = bytes(self._frame), self._escaped
        self._frame.clear()
        self._escaped = False
        if not content and not aborted:
            return []
        body, check = content[:-2], content[-2:]
        if aborted or not body or checksum(body) != int.from_bytes(check, "little"):
            self.broken += 1
            return []
        return [Frame(body[0] >> 6, body[0] & 63, body[1:])]
