"""The client and the board's port, joined by a simulated wire, with and without noise."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board_cores import PLL, Core, build, bytes_out, odd, sums, wide

from actc.device import Device, Interface, read_interface, write_interface
from actc.device import simulated as simulation_module
from actc.device.frames import FLAG, OUTPUTS, REFUSED, Decoder, Frame, encode
from actc.device.ports import Port, SerialPort
from actc.device.simulated import SimulatedPort
from actc.device.waveform import CS, SCK, Levels, Line, SpiLine, UartLine
from actc.errors import ActcError, ToolFailed, UsageError
from actc.targets.fpga.interfaces import KINDS, Kind

pytestmark = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="Icarus Verilog is not installed (apt: iverilog)"
)
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


CORES = [
    pytest.param(sums(), id="combinational"),
    pytest.param(sums(7), id="7 clocks"),
    pytest.param(odd(), id="odd widths"),
    pytest.param(wide(), id="wide", marks=pytest.mark.slow),
    pytest.param(bytes_out(40, 30), id="long answers", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("kind", ["uart", "spi"])
def test_outputs(kind: Kind, core: Core, tmp_path: Path) -> None:
    build(tmp_path, core, kind)
    with Device.open(tmp_path, "sim") as device:
        compare(core, device, 5)
        compare(core, device, 3, seed=1)
        assert device.traffic.requests == device.traffic.answers == 1 + 5 + 3
        assert device.traffic.broken == device.traffic.refused == 0
        assert device.traffic.silences == 0


def test_a_design_with_a_pll(tmp_path: Path) -> None:
    build(tmp_path, sums(2), "uart", clock=PLL)
    with Device.open(tmp_path, "sim") as device:
        compare(sums(2), device, 4)


def test_no_samples(tmp_path: Path) -> None:
    build(tmp_path, sums())
    with Device.open(tmp_path, "sim") as device:
        assert device.run({"x": np.zeros((0, 3), int)})["y"].shape == (0, 1)


@pytest.mark.slow
def test_requests_fill_the_wire(tmp_path: Path) -> None:
    """The time per sample is that of the longer of both frames, without pauses."""
    interface = build(tmp_path, wide())
    with Device.open(tmp_path, "sim") as device:
        assert isinstance(device.port, SimulatedPort)
        before = device.port.clocks
        core, count = wide(), 12
        feeds = core.samples(count)
        device.run(feeds)
        clocks = device.port.clocks - before
    plain = 1 + 1 + interface.input_bits // 8 + 2 + 1
    escapes = sum(int(np.isin(row, [0x7D, 0x7E]).sum()) for row in feeds["x"])
    sent = 12 * 10 * (count * plain + escapes)
    assert sent < clocks < sent * 1.05 + 12 * 10 * 60


# --- the clock of the other end


@pytest.mark.parametrize("error", [-0.02, 0.02])
@pytest.mark.parametrize(
    "baud",
    [
        1_500_000,
        *(pytest.param(rate, marks=pytest.mark.slow) for rate in (500_000, 750_000, 1_000_000)),
    ],
)
def test_another_baud_rate(error: float, baud: int, tmp_path: Path) -> None:
    core = bytes_out(9)
    interface = build(tmp_path, core, baud=baud)
    line = UartLine(12e6 / baud * (1 + error))
    device = Device(interface, board(tmp_path, interface, line=line))
    with device:
        device.identify()
        compare(core, device, 8)
        assert device.traffic.broken == device.traffic.refused == device.traffic.silences == 0


def test_a_wrong_baud_rate_is_told(tmp_path: Path) -> None:
    interface = build(tmp_path, sums())
    device = Device(interface, board(tmp_path, interface, line=UartLine(12 * 2.6)))
    with device, pytest.raises(ToolFailed) as caught:
        device.identify()
    assert caught.value.diagnostics[0].code in ("ACT0592", "ACT0594")


@pytest.mark.parametrize("half", [2, 3, 7])
def test_rates_of_spi(half: int, tmp_path: Path) -> None:
    """Up to a quarter of the clock."""
    core = bytes_out(5, 30)
    interface = build(tmp_path, core, "spi")
    with Device(interface, board(tmp_path, interface, line=SpiLine(half))) as device:
        device.identify()
        compare(core, device, 12)
        assert device.traffic.silences == device.traffic.broken == 0


# --- noise on the wire


def flipped(levels: Levels, places: Iterable[int], length: int) -> Levels:
    changed = levels.copy()
    for place in places:
        changed[place : place + length] ^= 1
    return changed


def glitches(length: int, every: int, seed: int = 5) -> Callable[[Levels], Levels]:
    generator = np.random.default_rng(seed)

    def noise(levels: Levels) -> Levels:
        count = generator.poisson(len(levels) / every)
        places = np.sort(generator.integers(0, len(levels), count))
        apart = places[np.diff(places, prepend=-1000) > 3 * length]
        return flipped(levels, apart.tolist(), length)

    return noise


def test_short_glitches_are_filtered(tmp_path: Path) -> None:
    core = odd()
    interface = build(tmp_path, core)
    with Device(interface, board(tmp_path, interface, noise=glitches(1, 40))) as device:
        device.identify()
        compare(core, device, 20)
        assert device.traffic.refused == device.traffic.broken == device.traffic.silences == 0


def test_long_glitches_are_found_and_repaired(tmp_path: Path) -> None:
    core = odd()
    interface = build(tmp_path, core)
    port = board(
        tmp_path, interface, noise=glitches(9, 8_000), noise_back=glitches(9, 8_000, seed=2)
    )
    with Device(interface, port) as device:
        for seed in range(3):
            compare(core, device, 20, seed)
        traffic = device.traffic
        assert traffic.requests > traffic.answers == 60
        assert traffic.refused > 0
        assert traffic.broken > 0


def test_noise_while_nothing_is_sent(tmp_path: Path) -> None:
    core = sums()
    interface = build(tmp_path, core)
    port = board(tmp_path, interface)
    generator = np.random.default_rng(0)
    with Device(interface, port) as device:
        for seed in range(3):
            noise = (generator.random(3000) < 0.5).astype(np.uint8)
            port.send_levels(np.repeat(noise, 3))
            compare(core, device, 3, seed)


def broken_bytes(action: str, every: int, seed: int = 1) -> Callable[[bytes], bytes]:
    """Drops, changes, doubles or inserts about one byte in `every`."""
    generator = np.random.default_rng(seed)

    def change(data: bytes) -> bytes:
        found = bytearray()
        for byte in data:
            hit = generator.integers(every) == 0
            if not (hit and action == "drop"):
                changed = hit and action == "change"
                found.append(byte ^ (1 << int(generator.integers(8))) if changed else byte)
            if hit and action == "double":
                found.append(byte)
            if hit and action == "insert":
                found += generator.bytes(3)
        return bytes(found)

    return change


@pytest.mark.slow
@pytest.mark.parametrize("action", ["drop", "change", "double", "insert"])
@pytest.mark.parametrize("way", ["there", "back"])
@pytest.mark.parametrize("kind", ["uart", "spi"])
def test_broken_bytes(kind: Kind, way: str, action: str, tmp_path: Path) -> None:
    core = odd()
    interface = build(tmp_path, core, kind)
    wire = Wire(board(tmp_path, interface), **{way: broken_bytes(action, 40)})
    with Device(interface, wire) as device:
        for seed in range(3):
            compare(core, device, 12, seed)
        assert device.traffic.requests > 36


@pytest.mark.slow
def test_lost_clocks_of_spi(tmp_path: Path) -> None:
    """A lost edge shifts all bits behind it until the board is selected anew."""
    core = odd()
    interface = build(tmp_path, core, "spi")
    generator = np.random.default_rng(4)

    def noise(levels: Levels) -> Levels:
        changed = levels.copy()
        if generator.random() < 0.4:
            place = int(generator.integers(len(changed) - 4))
            changed[place : place + 4] &= ~np.uint8(SCK)
        return changed

    with Device(interface, board(tmp_path, interface, noise=noise)) as device:
        for seed in range(12):
            compare(core, device, 2, seed)
        assert device.traffic.requests > 24


# --- the protocol as the board sees it


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


# --- what goes wrong is told


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


@pytest.mark.parametrize(
    ("port", "code"),
    [(Silent, "ACT0592"), (Chatter, "ACT0594"), (Refusing, "ACT0594"), (OtherSizes, "ACT0594")],
)
def test_nothing_right_answers(port: type[Silent], code: str, tmp_path: Path) -> None:
    device = Device(build(tmp_path, sums()), port())
    for ask in (device.identify, lambda: device.run(sums().samples(40))):
        with pytest.raises(ToolFailed) as caught:
            ask()
        assert [d.code for d in caught.value.diagnostics] == [code]
        assert caught.value.diagnostics[0].help


def test_another_build_is_refused(tmp_path: Path) -> None:
    build(tmp_path / "board", sums())
    interface = build(tmp_path / "other", sums(), build_id="fedcba9876543210")
    device = Device(interface, board(tmp_path / "board", interface))
    with device, pytest.raises(UsageError, match="fedcba9876543210") as caught:
        device.identify()
    assert caught.value.diagnostics[0].code == "ACT0593"
    assert "the design 0123456789abcdef with 12 bits in and 6 out" in str(caught.value)


def test_other_sizes_are_refused(tmp_path: Path) -> None:
    made = build(tmp_path / "board", odd())
    interface = build(tmp_path / "other", sums())
    device = Device(interface, board(tmp_path / "board", made))
    with device, pytest.raises(UsageError, match="26 bits in and 27 out"):
        device.identify()


def test_a_board_that_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interface = build(tmp_path, sums())
    port = board(tmp_path, interface)
    with Device(interface, port) as device:
        device.identify()
        port.kill()
        with pytest.raises(ToolFailed) as caught:
            device.run(sums().samples(2))
    assert caught.value.diagnostics[0].code == "ACT0597"


def test_a_board_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation_module, "ANSWER_SECONDS", 0.5)
    core = sums()
    loop = (
        "  initial begin : hang\n    integer i;\n    i = 0;\n    while (i >= 0) i = i ^ 1;\n  end\n"
    )
    interface = build(tmp_path, core)
    (tmp_path / "sums.v").write_text(core.verilog.replace("endmodule", f"{loop}endmodule"))
    start = time.monotonic()
    with pytest.raises(ToolFailed) as caught:
        Device.open(tmp_path, "sim")
    assert caught.value.diagnostics[0].code == "ACT0597"
    assert time.monotonic() - start < 60
    assert interface.name == "sums"


def test_undefined_levels(tmp_path: Path) -> None:
    build(tmp_path, sums())
    top = tmp_path / "sums_uart.v"
    top.write_text(top.read_text().replace(".tx(uart_tx)", ".tx()"))
    with pytest.raises(ToolFailed) as caught:
        Device.open(tmp_path, "sim")
    assert caught.value.diagnostics[0].code == "ACT0597"


def test_a_design_that_does_not_compile(tmp_path: Path) -> None:
    build(tmp_path, sums())
    (tmp_path / "sums.v").write_text("module sums (")
    with pytest.raises(ToolFailed) as caught:
        Device.open(tmp_path, "sim")
    assert caught.value.diagnostics[0].code == "ACT0510"


def test_a_stream_has_no_pins_for_a_host(tmp_path: Path) -> None:
    build(tmp_path, sums(), "stream")
    for port, code in (("sim", "ACT0590"), ("/dev/ttyUSB0", "ACT0591")):
        with pytest.raises(UsageError) as caught:
            Device.open(tmp_path, port)
        assert caught.value.diagnostics[0].code == code


def test_an_interface_without_simulation(tmp_path: Path) -> None:
    from dataclasses import replace

    write_interface(tmp_path, replace(build(tmp_path, sums()), simulation=None))
    with pytest.raises(UsageError) as caught:
        Device.open(tmp_path, "sim")
    assert caught.value.diagnostics[0].code == "ACT0590"


# --- serial ports


def test_no_such_port(tmp_path: Path) -> None:
    build(tmp_path, sums())
    for name in ("/dev/no-such-port", "nonsense://x", str(tmp_path)):
        with pytest.raises(UsageError) as caught:
            Device.open(tmp_path, name)
        assert [d.code for d in caught.value.diagnostics] == ["ACT0591"]
        assert "--port sim" in caught.value.diagnostics[0].help


def test_a_port_that_echoes(tmp_path: Path) -> None:
    """rx and tx joined: requests come back, which are no answers."""
    build(tmp_path, sums())
    with pytest.raises(ActcError) as caught:
        Device.open(tmp_path, "loop://")
    assert caught.value.diagnostics[0].code == "ACT0594"


def test_a_serial_port_moves_bytes() -> None:
    port = SerialPort("loop://", 115200, 0.05)
    assert port.read() == b""
    port.write(b"\x00\x7e\xff")
    assert port.read() == b"\x00\x7e\xff"
    port.close()
    with pytest.raises(UsageError) as caught:
        port.write(b"x")
    assert caught.value.diagnostics[0].code == "ACT0591"


def test_without_pyserial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial", None)
    build(tmp_path, sums())
    with pytest.raises(ActcError) as caught:
        Device.open(tmp_path, "/dev/ttyUSB0")
    assert caught.value.diagnostics[0].code == "ACT0503"
    assert "actc[device]" in caught.value.diagnostics[0].help


def test_a_pseudo_terminal_as_serial_port(tmp_path: Path) -> None:
    """The simulated board behind a real serial port of the operating system."""
    import os
    import threading
    import tty

    core = odd()
    interface = build(tmp_path, core)
    controller, worker = os.openpty()
    tty.setraw(worker)
    port = board(tmp_path, interface)
    stop = threading.Event()

    def relay() -> None:
        import select

        while not stop.is_set():
            if select.select([controller], [], [], 0.01)[0]:
                port.write(os.read(controller, 256))
            if data := port.step():
                os.write(controller, data)

    thread = threading.Thread(target=relay)
    thread.start()
    try:
        with Device.open(tmp_path, os.ttyname(worker)) as device:
            assert isinstance(device.port, SerialPort)
            compare(core, device, 10)
    finally:
        stop.set()
        thread.join()
        port.close()
        os.close(controller)
        os.close(worker)


# --- feeds


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, "no values for the input 'a'"),
        ({"a": np.zeros((2, 5), int)}, "no values for the input 'b'"),
        (
            {"a": np.zeros((2, 5), int), "b": np.zeros((2, 1), int), "c": np.zeros(2)},
            "no input 'c'",
        ),
        ({"a": np.zeros((2, 4), int), "b": np.zeros((2, 1), int)}, r"'a' has the shape \[2, 4\]"),
        ({"a": np.int64(3), "b": np.zeros((2, 1), int)}, r"'a' has the shape \[\]"),
        ({"a": np.zeros((3, 5), int), "b": np.zeros((2, 1), int)}, r"samples, \[2, 3\]"),
        ({"a": np.zeros((2, 5)), "b": np.zeros((2, 1), int)}, "'a' has the type float64"),
        ({"a": np.full((2, 5), 8), "b": np.zeros((2, 1), int)}, r"integers outside 0\.\.7"),
        ({"a": np.full((2, 5), -1), "b": np.zeros((2, 1), int)}, r"integers outside 0\.\.7"),
    ],
)
def test_wrong_feeds(feeds: dict[str, Any], message: str, tmp_path: Path) -> None:
    device = Device(build(tmp_path, odd()), Silent())
    with pytest.raises(UsageError, match=message) as caught:
        device.run(feeds)
    assert {d.code for d in caught.value.diagnostics} == {"ACT0595"}


# --- the client alone


def test_the_client_needs_nothing_of_the_compiler() -> None:
    code = "import actc.device, sys; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    heavy = {"onnx", "onnx_ir", "onnxruntime", "torch", "scipy", "serial", "typer"}
    assert loaded & heavy == set()
    parts = {name for name in loaded if name.startswith("actc.")}
    known = ("actc.device", "actc.diagnostics", "actc.errors", "actc.toolchain")
    assert {name for name in parts if not name.startswith(known)} == set()


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


def test_directories_are_read_again(tmp_path: Path) -> None:
    for kind in KINDS:
        made = build(tmp_path, odd(), kind)
        assert read_interface(tmp_path) == made
