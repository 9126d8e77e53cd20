"""Serial ports around cores that take and give samples word by word: files, tools, frames."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from board_cores import BUILD, PLL, odd
from board_cores import build as unrolled
from board_ports import Wire
from installed import needs_iverilog, needs_verilator, needs_yosys

from actc.device import (
    Device,
    Interface,
    Simulation,
    bits,
    interface_of,
    interface_text,
    measure_throughput,
    read_interface,
    write_interface,
)
from actc.device.frames import FLAG, IDENTITY, OUTPUTS, REFUSED, Decoder, Frame, encode
from actc.device.simulated import SimulatedPort, usual_patience
from actc.device.waveform import Levels, SpiLine
from actc.errors import UsageError
from actc.targets.fpga.interfaces import (
    KINDS,
    STREAM_RESERVED,
    ClockModule,
    Kind,
    StreamCore,
    in_flight,
    interface_files,
    interface_top,
    memory_bytes,
)
from actc.targets.fpga.synthesis import synthesize
from actc.toolchain import run

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class GroupSums:
    """Sums of groups of words, modulo the width of the outputs.

    Attributes:
        in_bits, out_bits: of a word.
        group: words of a group; there is an output for each.
        groups: of a sample.
        delay: clocks from the last input to the first output.
        holds: whether the next sample is taken before the outputs have left.
    """

    in_bits: int
    out_bits: int
    group: int
    groups: int
    delay: int = 20

    name = "group_sums"

    @property
    def info(self) -> StreamCore:
        words = self.group * self.groups
        return StreamCore(self.name, self.in_bits, words, self.out_bits, self.groups)

    @property
    def verilog(self) -> str:
        return f"""\
// Takes words in irregular clocks, thinks, and gives its sums in irregular clocks.
module group_sums (
  input clk, input reset,
  input in_valid, output in_ready, input [{self.in_bits - 1}:0] in_data,
  output out_valid, input out_ready, output [{self.out_bits - 1}:0] out_data
);
  reg [{self.out_bits - 1}:0] sums [0:{self.groups - 1}];
  reg [31:0] group = 0, member = 0, wait_for = 0;
  reg giving = 1'b0, show = 1'b0;
  reg [6:0] chance = 7'd1;
  assign in_ready = ~giving & chance[0];
  assign out_valid = giving & show;
  assign out_data = sums[group{self._index}];
  wire [{max(self.in_bits, self.out_bits) - 1}:0] wide = {self._wide};
  always @(posedge clk) begin
    chance <= {{chance[5:0], chance[6] ^ chance[5]}};
    if (in_valid & in_ready) begin
      sums[group{self._index}] <= (member == 0 ? {self.out_bits}'d0 : sums[group{self._index}])
        + wide[{self.out_bits - 1}:0];
      member <= member + 1;
      if (member == {self.group - 1}) begin
        member <= 0;
        group <= group + 1;
        if (group == {self.groups - 1}) begin
          group <= 0;
          giving <= 1'b1;
          wait_for <= {self.delay};
        end
      end
    end
    if (giving & ~show) begin
      if (wait_for != 0) wait_for <= wait_for - 1;
      else show <= 1'b1;
    end
    if (out_valid & out_ready) begin
      show <= chance[3];
      group <= group + 1;
      if (group == {self.groups - 1}) begin
        group <= 0;
        giving <= 1'b0;
        show <= 1'b0;
      end
    end
    if (reset) begin
      group <= 0;
      member <= 0;
      giving <= 1'b0;
      show <= 1'b0;
    end
  end
  /* verilator lint_off UNUSED */
  wire unused = &{{1'b0, wide, group}};
  /* verilator lint_on UNUSED */
endmodule
"""

    @property
    def _index(self) -> str:
        bits = max(1, (self.groups - 1).bit_length())
        return f"[{bits - 1}:0]"

    @property
    def _wide(self) -> str:
        more = self.out_bits - self.in_bits
        return f"{{{more}'d0, in_data}}" if more > 0 else "in_data"

    def samples(self, count: int, seed: int = 0) -> Array:
        """[samples, words]; bytes that frames must escape are frequent."""
        generator = np.random.default_rng(seed)
        shape = (count, self.group * self.groups)
        values = generator.integers(0, 1 << min(self.in_bits, 62), shape)
        special = generator.choice([0x7E, 0x7D, 0x5E, 0x5D, 0x7D7E], shape)
        special &= (1 << min(self.in_bits, 62)) - 1
        return np.where(generator.random(shape) < 0.4, special, values)

    def expected(self, x: Array) -> Array:
        sums = x.reshape(len(x), self.groups, self.group).astype(object).sum(axis=2)
        return np.asarray(sums % (1 << self.out_bits))


CORES = {
    "bits": GroupSums(1, 3, 13, 3),
    "8 to 8": GroupSums(8, 8, 10, 4),
    "8 to 1": GroupSums(8, 1, 49, 1),
    "3 to 12": GroupSums(3, 12, 5, 7),
    "12 to 64": GroupSums(12, 64, 3, 2),
    "64 to 3": GroupSums(64, 3, 2, 9),
    "one word": GroupSums(3, 1, 1, 1, 0),
    "20 to 33": GroupSums(20, 33, 2, 5),
}


def files(kind: Kind, core: GroupSums, clock: ClockModule | None = None) -> dict[str, str]:
    made = interface_files(
        kind, core.info, clock_hz=12e6, baud=1_000_000, build_id=BUILD, clock=clock
    )
    return {**made, f"{core.name}.v": core.verilog}


def write(directory: Path, texts: dict[str, str]) -> list[str]:
    for name, text in texts.items():
        (directory / name).write_text(text, "ascii")
    return list(texts)


# --- what tools say


@needs_verilator
@pytest.mark.parametrize("core", CORES.values(), ids=CORES.keys())
@pytest.mark.parametrize("kind", KINDS)
def test_verilator_has_nothing_to_say(kind: Kind, core: GroupSums, tmp_path: Path) -> None:
    names = write(tmp_path, files(kind, core))
    top = interface_top(kind, core.info)
    command = ["verilator", "--lint-only", "-Wall", "--top-module", top, *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0


@needs_iverilog
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["bits", "12 to 64", "one word"])
def test_icarus_reads_it_as_verilog_2005(kind: Kind, name: str, tmp_path: Path) -> None:
    names = write(tmp_path, files(kind, CORES[name]))
    command = ["iverilog", "-g2005", "-Wall", "-Wno-timescale", "-o", "out.vvp", *names]
    assert run(command, timeout=60, cwd=tmp_path).output == ""


# --- over the wire


def build(directory: Path, core: GroupSums, kind: Kind = "uart", **options: Any) -> Interface:
    """Write what a compilation for a board writes, but for the bitstream."""
    directory.mkdir(parents=True, exist_ok=True)
    names = write(directory, files(kind, core, options.get("clock")))
    info = core.info
    wide = narrow(info.in_bits), narrow(info.out_bits)
    shared = {"signed": False, "dtype": "int64"}
    x = {
        "bus": "x",
        "input": "x",
        "kind": "codes",
        "shape": [info.input_bits // wide[0]],
        "width": wide[0],
        "low": 0,
        "high": (1 << wide[0]) - 1,
    }
    y = {
        "bus": "y",
        "output": "y",
        "kind": "integers",
        "shape": [info.output_bits // wide[1]],
        "width": wide[1],
    }
    description = {
        "inputs": [{**shared, **x, **options.get("x", {})}],
        "outputs": [{**shared, **y, **options.get("y", {})}],
    }
    interface = interface_of(
        description,
        name=core.name,
        kind=kind,
        build=BUILD,
        latency=core.delay + 8 * info.in_words + 300,
        output_buses=["y"],
        clock_hz=12e6,
        baud=1_000_000 if kind == "uart" else None,
        simulation=Simulation(interface_top(kind, info), tuple(names)),
        in_flight=in_flight(info),
    )
    write_interface(directory, interface)
    return interface


def board(
    directory: Path, interface: Interface, patience: int = 0, **options: Any
) -> SimulatedPort:
    patience = patience or usual_patience(interface)
    return SimulatedPort(directory, interface, patience, simulator="icarus", **options)


def narrow(bits: int) -> int:
    """Bits of an element: of a word, or of a part of a long one."""
    return bits if bits <= 32 else bits // 2 if bits % 2 == 0 else bits // 3


def elements(words: Array, bits: int) -> Array:
    """What words of some bits hold, as elements that an interface can have."""
    width = narrow(bits)
    places = np.arange(0, bits, width).astype(object)
    parts = (words.astype(object)[:, :, None] >> places) & ((1 << width) - 1)
    return np.asarray(parts.reshape(len(words), -1).astype(np.int64))


def compare(core: GroupSums, device: Device, count: int, seed: int = 0) -> None:
    x = core.samples(count, seed)
    found = device.run({"x": elements(x, core.in_bits)})["y"]
    assert np.array_equal(found, elements(core.expected(x), core.out_bits))


def undisturbed(device: Device) -> bool:
    """Whether nothing was asked twice."""
    traffic = device.traffic
    return traffic.requests == traffic.answers and not (
        traffic.broken or traffic.refused or traffic.silences
    )


@needs_iverilog
@pytest.mark.parametrize("name", CORES)
@pytest.mark.parametrize("kind", ["uart", "spi"])
def test_outputs(kind: Kind, name: str, tmp_path: Path) -> None:
    core = CORES[name]
    interface = build(tmp_path, core, kind)
    with Device(interface, board(tmp_path, interface)) as device:
        device.identify()
        compare(core, device, 9)
        compare(core, device, 3, seed=1)
        assert device.traffic.answers == 1 + 9 + 3
        assert undisturbed(device)


@needs_iverilog
@pytest.mark.parametrize("kind", [pytest.param("uart", marks=pytest.mark.slow), "spi"])
def test_a_core_that_takes_long(kind: Kind, tmp_path: Path) -> None:
    """As many requests as the board has room for wait, and none is lost."""
    core = replace(SLOW, delay=8_500)
    interface = build(tmp_path, core, kind)
    assert interface.in_flight == 8
    with Device(interface, board(tmp_path, interface)) as device:
        device.identify()
        compare(core, device, 14)
        assert undisturbed(device)


@needs_iverilog
def test_a_design_with_a_pll(tmp_path: Path) -> None:
    core = CORES["3 to 12"]
    names = write(tmp_path, files("uart", core, PLL))
    interface = build(tmp_path, core)
    simulation = Simulation("group_sums_uart", tuple(names), PLL.module)
    write(tmp_path, files("uart", core, PLL))
    interface = replace(interface, simulation=simulation)
    with Device(interface, board(tmp_path, interface)) as device:
        device.identify()
        compare(core, device, 5)


SLOW = GroupSums(8, 8, 63, 1, delay=3_000)
"""With its header, a request is an eighth of the memory."""


def frames_of(core: GroupSums, count: int, first: int = 0) -> tuple[list[bytes], list[Frame]]:
    """Requests with sequence numbers from `first` on, and their right answers."""
    x = core.samples(count, seed=7)
    made = bits.pack([(x, core.in_bits)])
    wanted = bits.pack([(core.expected(x).astype(np.int64), core.out_bits)])
    numbers = [(first + k) % 64 for k in range(count)]
    requests = [encode(Frame(OUTPUTS, k, p)) for k, p in zip(numbers, made, strict=True)]
    return requests, [Frame(OUTPUTS, k, p) for k, p in zip(numbers, wanted, strict=True)]


def answers_to(port: SimulatedPort, data: bytes) -> list[Frame]:
    """All frames that come until the board is silent."""
    decoder, found = Decoder(), []
    port.write(data)
    while data := port.read():
        found += decoder.feed(data)
    assert decoder.broken == 0
    return found


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


class EveryByte(SpiLine):
    """A controller gets a byte for each it sends."""

    def decode(self, sent: Levels, levels: Levels) -> bytes:
        return self.every_byte(sent, levels)


# --- throughput


@needs_iverilog
@pytest.mark.parametrize("kind", ["uart", "spi"])
def test_the_wire_never_pauses(kind: Kind, tmp_path: Path) -> None:
    """A core that is faster than the wire costs nothing: its time passes beside the wire's."""
    core = GroupSums(8, 8, 90, 1, delay=3_000)
    build(tmp_path, core, kind)
    x = core.samples(9)
    found = measure_throughput(tmp_path, {"x": x}, simulator="icarus")
    assert np.array_equal(found.outputs["y"], core.expected(x).astype(np.int64))
    escapes = int(np.isin(x, [0x7D, 0x7E]).sum()) / len(x)
    frame = 1 + 1 + 90 + escapes + 2 + 1
    byte = 120 if kind == "uart" else 64
    wire = 12e6 / (byte * frame)
    assert 0.95 * wire < found.samples_per_second < 1.03 * wire
    assert found.latency_seconds * 12e6 > byte * 90 + 3_000
    assert found.traffic.requests == found.traffic.answers == 1 + 1 + 9


@needs_iverilog
def test_a_slow_core_decides(tmp_path: Path) -> None:
    core = GroupSums(8, 8, 20, 1, delay=12_000)
    build(tmp_path, core)
    found = measure_throughput(tmp_path, {"x": core.samples(9)}, simulator="icarus")
    assert 12e6 / 12_200 < found.samples_per_second < 12e6 / 11_900


@needs_verilator
@needs_iverilog
@pytest.mark.slow
def test_both_simulators_give_the_same(tmp_path: Path) -> None:
    core = CORES["20 to 33"]
    build(tmp_path, core)
    feeds = {"x": elements(core.samples(5), core.in_bits)}
    found = [measure_throughput(tmp_path, feeds, simulator=s) for s in ("icarus", "verilator")]
    assert found[0].clocks == found[1].clocks
    assert np.array_equal(found[0].outputs["y"], found[1].outputs["y"])
    assert np.array_equal(found[0].outputs["y"], elements(core.expected(core.samples(5)), 33))


def test_throughput_needs_two_samples(tmp_path: Path) -> None:
    build(tmp_path, CORES["bits"])
    with pytest.raises(ValueError, match="two samples"):
        measure_throughput(tmp_path, {"x": np.zeros((1, 39), int)})


# --- interface.json


@needs_iverilog
def test_axes_are_permuted_on_the_wire(tmp_path: Path) -> None:
    """The model has channels, rows, columns; the wire rows, columns, channels."""
    core = GroupSums(4, 7, 2, 12)  # sums of the two channels of 3 x 4 positions
    x_format = {"shape": [2, 3, 4], "axes": [1, 2, 0]}
    y_format = {"shape": [4, 3], "axes": [1, 0]}  # columns, rows in the model
    build(tmp_path, core, x=x_format, y=y_format)
    interface = read_interface(tmp_path)
    x = core.samples(5).reshape(5, 2, 3, 4)
    with Device(interface, board(tmp_path, interface)) as device:
        found = device.run({"x": x})["y"]
    assert np.array_equal(found, x.sum(axis=1).transpose(0, 2, 1))


def test_the_new_members_are_read_again_and_checked(tmp_path: Path) -> None:
    made = build(tmp_path, CORES["bits"], x={"shape": [13, 3], "axes": [1, 0]})
    path = tmp_path / "interface.json"
    document = json.loads(path.read_text())
    assert read_interface(tmp_path) == made
    assert (document["in_flight"], document["inputs"][0]["axes"]) == (16, [1, 0])
    assert "axes" not in document["outputs"][0]
    wrong: list[tuple[str, object]] = [
        *(("in_flight", value) for value in (0, -1, 33, 1 << 70, "2", 2.0, True, [2])),
        *(("axes", value) for value in ([0], [0, 0], [1, 2], [0, 1, 2], "01", [0.0, 1.0], {})),
    ]
    for key, value in wrong:
        changed = copy.deepcopy(document)
        (changed if key == "in_flight" else changed["inputs"][0])[key] = value
        path.write_text(json.dumps(changed))
        with pytest.raises(UsageError) as caught:
            read_interface(tmp_path)
        assert [d.code for d in caught.value.diagnostics] == ["ACT0590"], (key, value)


def test_boards_that_keep_one_request_have_the_old_file(tmp_path: Path) -> None:
    text = interface_text(unrolled(tmp_path, odd()))
    assert "in_flight" not in text
    assert "axes" not in text


# --- what is written


def test_requests_under_way() -> None:
    for core in CORES.values():
        size = -(-core.info.input_bits // 8) + 1
        for samples in (1, 2, 5):
            room, answers = memory_bytes(core.info, samples)
            count = in_flight(core.info, samples)
            assert samples <= count <= 16
            assert count * size <= room
            assert count == 16 or (count + 1) * size > room
            assert answers >= -(-core.info.output_bits // 8)
    mnist = StreamCore("mnist", 8, 784, 16, 10)
    assert (in_flight(mnist), memory_bytes(mnist)) == (2, (2048, 32))
    assert (in_flight(mnist, 3), memory_bytes(mnist, 3)) == (5, (4096, 32))
    for samples in (0, 17):
        with pytest.raises(ValueError, match="room for 1 to 16"):
            in_flight(mnist, samples)


def test_a_stream_has_registers_around_the_core() -> None:
    info = CORES["bits"].info
    top = interface_top("stream", info)
    assert list(interface_files("stream", info)) == [f"{top}.v", "actc_frame_slice.v"]
    with pytest.raises(ValueError, match="clock from outside"):
        interface_files("stream", info, clock=PLL)


@pytest.mark.parametrize("kind", ["uart", "spi"])
def test_equal_cores_give_equal_files(kind: Kind) -> None:
    made = files(kind, CORES["20 to 33"])
    assert made == files(kind, CORES["20 to 33"])
    assert next(iter(made)) == f"group_sums_{kind}.v"
    assert all(text.isascii() and "\t" not in text for text in made.values())


def test_the_modules_that_are_reserved_are_those_that_are_written() -> None:
    made = {name for kind in KINDS for name in files(kind, CORES["bits"])}
    own = {f"group_sums{kind}.v" for kind in ("", "_uart", "_spi", "_stream")}
    assert made - own == {f"{name}.v" for name in STREAM_RESERVED}
    for name in STREAM_RESERVED:
        info = replace(CORES["bits"].info, name=name)
        with pytest.raises(ValueError, match="parts of the interface"):
            interface_files("spi", info, build_id=BUILD)


def test_cores_must_make_sense() -> None:
    with pytest.raises(UsageError) as caught:
        StreamCore("1x", 1, 1, 1, 1)
    assert caught.value.diagnostics[0].code == "ACT0531"
    for wrong in (
        (0, 1, 1, 1),
        (1, 0, 1, 1),
        (1, 1, 0, 1),
        (1, 1, 1, -1),
        (1 << 12, 1 << 12, 1, 1),
    ):
        with pytest.raises(ValueError, match="c has"):
            StreamCore("c", *wrong)


@needs_yosys
@pytest.mark.slow
@pytest.mark.parametrize(("family", "brams", "luts"), [("ice40", 6, 720), ("ecp5", 2, 580)])
def test_requests_and_answers_are_in_block_memories(family: str, brams: int, luts: int) -> None:
    """2,048 and 1,024 bytes, of 512 or 2,048 each; and few cells besides."""
    core = """\
module wire_only (
  input clk, input reset, input in_valid, output in_ready, input [7:0] in_data,
  output out_valid, input out_ready, output [7:0] out_data
);
  assign {out_valid, in_ready, out_data} = {in_valid, out_ready, in_data};
endmodule
"""
    info = StreamCore("wire_only", 8, 784, 8, 784)
    made = interface_files("uart", info, clock_hz=12e6, baud=1_000_000, build_id=BUILD)
    found = synthesize("\n".join([*made.values(), core]), "wire_only_uart", family)
    assert found.brams == brams
    assert found.luts <= luts
    assert found.ffs <= 480
