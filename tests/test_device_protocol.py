"""Frames and waveforms as the board and the wire see them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from board_cores import build, bytes_out
from board_ports import board

from actc.device.frames import FLAG, OUTPUTS, REFUSED, Decoder, Frame, encode
from actc.device.simulated import SimulatedPort
from actc.device.waveform import CS, SCK, Line, SpiLine, UartLine
from actc.targets.fpga.interfaces import Kind

pytestmark = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="Icarus Verilog is not installed (apt: iverilog)"
)


def answers_to(port: SimulatedPort, data: bytes) -> list[Frame]:
    """All frames that come until the board is silent."""
    decoder, found = Decoder(), []
    port.write(data)
    while data := port.read():
        found += decoder.feed(data)
    assert decoder.broken == 0
    return found


@pytest.mark.parametrize("kind", ["uart", "spi"])
def test_broken_frames_are_refused_and_forgotten(kind: Kind, tmp_path: Path) -> None:
    interface = build(tmp_path, bytes_out(2), kind)
    good = encode(Frame(OUTPUTS, 9, b"\x10"))
    answer = Frame(OUTPUTS, 9, bytes([0x10, 0x10 ^ 3]))
    wrong_check = bytearray(good)
    wrong_check[-2] ^= 1
    cases = {
        "wrong check": bytes(wrong_check),
        "too short": encode(Frame(OUTPUTS, 3, b"")),
        "too long": encode(Frame(OUTPUTS, 3, b"12")),
        "much too long": encode(Frame(OUTPUTS, 3, bytes(range(64)))),
        "no such command": encode(Frame(2, 3, b"\x10")),
        "no such command either": encode(Frame(3, 3, b"\x10")),
        "an identity with payload": encode(Frame(1, 3, b"\x10")),
        "cut off": good[:3] + bytes([FLAG]),
    }
    port = board(tmp_path, interface)
    try:
        for name, data in cases.items():
            found = answers_to(port, data + good)
            assert [frame.kind for frame in found] == [REFUSED, OUTPUTS], name
            assert found[0].payload == b""
            assert found[1] == answer
        assert answers_to(port, good[1:]) == [answer]  # the flag before it does
    finally:
        port.close()


def test_flags_mean_nothing(tmp_path: Path) -> None:
    interface = build(tmp_path, bytes_out(1))
    request = encode(Frame(OUTPUTS, 1, b"\x7e"))
    port = board(tmp_path, interface)
    try:
        assert answers_to(port, bytes([FLAG]) * 20) == []
        assert answers_to(port, request[:-1] + bytes([FLAG]) * 5 + request[1:]) == [
            Frame(OUTPUTS, 1, b"\x7e"),
            Frame(OUTPUTS, 1, b"\x7e"),
        ]
    finally:
        port.close()


def test_requests_that_come_too_fast_are_ignored_whole(tmp_path: Path) -> None:
    """Without pauses, answers of 60 bytes cannot keep up with requests of 6: none is mixed up."""
    core = bytes_out(60)
    interface = build(tmp_path, core)
    requests = b"".join(encode(Frame(OUTPUTS, k, bytes([k * 5]))) for k in range(50))
    port = board(tmp_path, interface)
    try:
        found = answers_to(port, requests)
    finally:
        port.close()
    assert 4 < len(found) < 50
    for frame in found:
        expected = core.expected({"x": np.array([[frame.sequence * 5]])})["y"][0]
        assert frame.kind == OUTPUTS
        assert frame.payload == bytes(expected.tolist())


@pytest.mark.parametrize("line", [UartLine(12), UartLine(8.37), UartLine(104.2)])
def test_waveforms_of_uarts(line: Line) -> None:
    data = bytes(range(256))
    idle = np.full(30, line.idle, np.uint8)
    levels = np.concatenate([idle, line.encode(data), idle, line.encode(data), idle])
    for size in (7, 100, 4096):
        found = b""
        for start in range(0, len(levels), size):
            piece = levels[start : start + size]
            found += line.decode(piece, piece)
        found += line.decode(idle, np.repeat(idle, 40))
        assert found == data * 2


def test_waveforms_of_spi() -> None:
    line = SpiLine(2)
    levels = line.encode(b"\x80\x01")
    assert levels[0] == 0
    assert levels[-1] == CS == line.idle
    rises = np.flatnonzero(np.diff((levels & SCK).astype(int)) == 1) + 1
    assert len(rises) == 16
    assert ((levels[rises] >> 1) & 1).tolist() == [1, *[0] * 14, 1]
    # mode 0: mosi is stable around the rising edge
    assert np.array_equal(levels[rises - 1] >> 1, levels[rises] >> 1)
