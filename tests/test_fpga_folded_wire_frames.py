"""Serial ports around cores that take words: frames that are broken, too many, or late."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from board_cores import BUILD
from board_ports import Wire
from folded_wire import (
    CORES,
    SLOW,
    EveryByte,
    GroupSums,
    answers_to,
    board,
    build,
    compare,
    frames_of,
    undisturbed,
)
from installed import needs_iverilog

from actc.device import Device
from actc.device.frames import FLAG, IDENTITY, OUTPUTS, REFUSED, Decoder, Frame, encode
from actc.targets.fpga.interfaces import Kind


@needs_iverilog
@pytest.mark.parametrize("kind", [pytest.param("uart", marks=pytest.mark.slow), "spi"])
def test_broken_frames_are_answered_in_their_place(kind: Kind, tmp_path: Path) -> None:
    core = CORES["8 to 8"]
    interface = build(tmp_path, core, kind)
    (good, other), (right, next_) = frames_of(core, 2)
    content = Decoder().feed(good)[0].payload
    wrong_check = bytearray(good)
    wrong_check[-2] ^= 0x40
    cases = {
        "wrong check": bytes(wrong_check),
        "too short": encode(Frame(OUTPUTS, 0, content[:-1])),
        "too long": encode(Frame(OUTPUTS, 0, content + b"1")),
        "much too long": encode(Frame(OUTPUTS, 0, content * 20)),
        "no such command": encode(Frame(2, 0, content)),
        "no such command either": encode(Frame(3, 0, b"")),
        "an identity with payload": encode(Frame(IDENTITY, 0, content)),
        "cut off": good[:9] + bytes([FLAG]),
        "only a header": bytes([FLAG, 0, FLAG]),
    }
    ask = encode(Frame(IDENTITY, 9, b""))
    port = board(tmp_path, interface, 4_000)
    try:
        for name, data in cases.items():
            found = answers_to(port, other + data + good + ask)
            kinds = [frame.kind for frame in found]
            assert kinds == [OUTPUTS, REFUSED, OUTPUTS, IDENTITY], name
            assert (found[0], found[2]) == (next_, right)
            assert (found[1].sequence, found[1].payload) == (0, b"")
            assert found[3].payload[8:0:-1].hex() == BUILD
        # flags, and what is lost in front of one, do no harm
        flags = bytes([FLAG]) * 5
        assert answers_to(port, flags + good[1:] + flags + other[1:]) == [right, next_]
    finally:
        port.close()


@needs_iverilog
def test_requests_without_room_are_dropped_whole(tmp_path: Path) -> None:
    """A core that keeps a sample, and a memory for eight: no other one is mixed with them."""
    core = replace(SLOW, delay=30_000)
    interface = build(tmp_path, core, "spi")
    requests, right = frames_of(core, 10)
    # the core has taken some bytes of the second one: so many headers have room
    short = [bytes([FLAG, 10 + k, FLAG]) for k in range(12)]
    port = board(tmp_path, interface, 36_000)
    try:
        for turn in range(2):  # the second time, the places in the memory have gone round
            found = answers_to(port, b"".join(requests + short))
            assert found[:9] == right[:9], turn
            refused = [frame.sequence for frame in found[9:] if frame.kind == REFUSED]
            assert refused == list(range(9, len(found)))
            assert 10 < len(found) < 20
    finally:
        port.close()


@needs_iverilog
def test_a_request_that_finds_no_room_for_its_end_is_refused(tmp_path: Path) -> None:
    core = replace(SLOW, group=100, delay=24_000)
    interface = build(tmp_path, core, "spi")
    assert interface.in_flight == 5  # and 7 bytes are left
    requests, right = frames_of(core, 7)
    port = board(tmp_path, interface, 30_000)
    try:
        refused = Frame(REFUSED, 6, b"")
        assert answers_to(port, b"".join(requests)) == [*right[:6], refused]
        assert answers_to(port, requests[0]) == right[:1]
    finally:
        port.close()


BURST = """\
// Holds words back for a while, and then gives 16 of them, one every few clocks.
module group_sums (
  input clk, input reset, input in_valid, output in_ready, input [7:0] in_data,
  output out_valid, input out_ready, output [7:0] out_data
);
  reg [15:0] left = 16'd9000;
  reg [3:0] given = 4'd0;
  wire over = left == 16'd0;
  assign {{out_valid, in_ready, out_data}} = {{in_valid & over, out_ready & over, in_data}};
  always @(posedge clk) begin
    if (in_valid & !over) left <= left - 16'd1;
    if (out_valid & out_ready) begin
      given <= given + 4'd1;
      left <= given == 4'd15 ? 16'd9000 : 16'd{pause};
    end
  end
endmodule
"""


@needs_iverilog
@pytest.mark.parametrize("pause", range(6))
def test_answers_that_become_complete_in_any_clock(pause: int, tmp_path: Path) -> None:
    """Also in that in which the answer before is begun."""
    core = GroupSums(8, 8, 1, 1)
    interface = build(tmp_path, core, "spi")
    (tmp_path / "group_sums.v").write_text(BURST.format(pause=pause))
    requests, right = frames_of(core, 16)
    port = board(tmp_path, interface, 12_000)
    try:
        assert answers_to(port, b"".join(requests)) == right
        assert answers_to(port, b"".join(reversed(requests[:5]))) == right[4::-1]
    finally:
        port.close()


@needs_iverilog
def test_more_answers_to_come_than_are_kept(tmp_path: Path) -> None:
    """Behind a sample that takes long, what needs no core waits in its order."""
    core = replace(CORES["8 to 8"], delay=9_000)
    interface = build(tmp_path, core, "spi")
    (first, second), right = frames_of(core, 2)
    asked = [encode(Frame(IDENTITY, 20 + k, b"")) for k in range(12)]
    port = board(tmp_path, interface, 12_000)
    try:
        found = answers_to(port, b"".join([first, *asked, second]))
    finally:
        port.close()
    assert [frame.sequence for frame in found] == [0, *range(20, 32), 1]
    assert {frame.kind for frame in found[1:-1]} == {IDENTITY}
    assert [found[0], found[-1]] == right


@needs_iverilog
@pytest.mark.parametrize("kind", ["uart", "spi"])
def test_a_host_that_begins_anew(kind: Kind, tmp_path: Path) -> None:
    """What it asked before, and the half of a request, is over when the board says who it is."""
    core = SLOW
    interface = build(tmp_path, core, kind)
    requests, _ = frames_of(core, 8)
    port = board(tmp_path, interface)
    port.write(b"".join(requests) + requests[0][:30])
    with Device(interface, port) as device:
        device.identify()
        compare(core, device, 10, seed=3)
        assert device.traffic.silences == 0


@needs_iverilog
@pytest.mark.parametrize("action", ["drop", "change", "double"])
@pytest.mark.parametrize("way", ["there", pytest.param("back", marks=pytest.mark.slow)])
def test_broken_bytes(way: str, action: str, tmp_path: Path) -> None:
    core = CORES["3 to 12"]
    interface = build(tmp_path, core)
    generator = np.random.default_rng(2)

    def change(data: bytes) -> bytes:
        found = bytearray()
        for byte in data:
            hit = generator.integers(40) == 0
            if not (hit and action == "drop"):
                changed = hit and action == "change"
                found.append(byte ^ (1 << int(generator.integers(8))) if changed else byte)
            if hit and action == "double":
                found.append(byte)
        return bytes(found)

    wire = Wire(board(tmp_path, interface), **{way: change})
    with Device(interface, wire) as device:
        compare(core, device, 40)
        assert device.traffic.requests > device.traffic.answers == 40


@needs_iverilog
def test_a_controller_of_spi_waits_for_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the calls of spidev, with thousands of clocks between request and answer."""
    core = replace(CORES["12 to 64"], delay=12_000)
    interface = build(tmp_path, core, "spi")
    line = EveryByte(4)
    port = board(tmp_path, interface, line=line)

    class Spidev:
        """Stands for the module and its class."""

        mode = max_speed_hz = 0

        def open(self, bus: int, chip: int) -> None:
            pass

        def xfer2(self, data: list[int]) -> list[int]:
            port.send_levels(line.encode(bytes(data)))
            found = b""
            while len(found) < len(data):
                found += port.step()
            return list(found)

        def close(self) -> None:
            port.close()

    monkeypatch.setitem(sys.modules, "spidev", SimpleNamespace(SpiDev=Spidev))
    with Device.open(tmp_path, "spidev:0.0") as device:
        compare(core, device, 6)
        assert undisturbed(device)
