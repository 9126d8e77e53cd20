"""What goes wrong between the host and a board is told: ports, other boards, simulation."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import pytest
from board_cores import build, odd, sums
from board_ports import Chatter, OtherSizes, Refusing, Silent, board, compare

from actc.device import Device, write_interface
from actc.device import client as client_module
from actc.device import simulated as simulation_module
from actc.device.ports import SerialPort
from actc.errors import ActcError, ToolFailed, UsageError

pytestmark = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="Icarus Verilog is not installed (apt: iverilog)"
)


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


def test_a_serial_port_that_is_unplugged() -> None:
    import os

    controller, worker = os.openpty()
    port = SerialPort(os.ttyname(worker), 115200, 5.0)
    os.close(worker)
    os.close(controller)
    for use in (port.read, lambda: port.write(b"x")):
        with pytest.raises(UsageError) as caught:
            use()
        assert caught.value.diagnostics[0].code == "ACT0591"
        assert os.strerror(5) in str(caught.value) or "device" in str(caught.value)
    port.close()


def test_without_pyserial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial", None)
    build(tmp_path, sums())
    with pytest.raises(ActcError) as caught:
        Device.open(tmp_path, "/dev/ttyUSB0")
    assert caught.value.diagnostics[0].code == "ACT0503"
    assert "actc[device]" in caught.value.diagnostics[0].help


def test_a_pseudo_terminal_as_serial_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulated board behind a real serial port of the operating system."""
    import os
    import threading
    import tty

    # A busy machine simulates the board slower than a real one answers.
    monkeypatch.setattr(client_module, "_QUIET_SECONDS", 60.0)
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
