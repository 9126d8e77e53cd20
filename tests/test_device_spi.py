"""SPI controllers of the host, as spidev shows them, with the simulated board behind."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from board_cores import build, odd, wide
from board_ports import PATIENCE, compare
from installed import needs_iverilog

from actc.device import Device, Interface
from actc.device.frames import FLAG, Flags
from actc.device.simulated import SimulatedPort
from actc.device.waveform import Levels, SpiLine
from actc.errors import ActcError, MissingTool, ToolFailed, UsageError


class EveryByte(SpiLine):
    """The wire without the leave to forget flags: a controller gets a byte for each it sends."""

    def decode(self, sent: Levels, levels: Levels) -> bytes:
        return self.every_byte(sent, levels)


class Spidev:
    """Stands for the module spidev; a board answers unless `dead`."""

    def __init__(self, directory: Path, interface: Interface, dead: bool = False) -> None:
        self.line = EveryByte()
        self.board = SimulatedPort(directory, interface, PATIENCE, line=self.line)
        self.dead, self.gone, self.opened = dead, False, (-1, -1)
        self.mode, self.max_speed_hz = -1, 0

    def SpiDev(self) -> Spidev:
        return self

    def open(self, bus: int, chip: int) -> None:
        if bus > 0:
            raise FileNotFoundError(2, "No such file or directory")
        self.opened = (bus, chip)

    def xfer2(self, data: list[int]) -> list[int]:
        if self.gone:
            raise OSError(108, "Cannot send after transport endpoint shutdown")
        assert len(data) <= 4096
        if self.dead:
            return [0xFF] * len(data) if self.mode else [0] * len(data)
        self.board.send_levels(self.line.encode(bytes(data)))
        found = b""
        while len(found) < len(data):
            found += self.board.step()
        assert len(found) == len(data)
        return list(found)

    def close(self) -> None:
        self.board.close()


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(directory: Path, interface: Interface, **options: Any) -> Spidev:
        found = Spidev(directory, interface, **options)
        monkeypatch.setitem(sys.modules, "spidev", found)
        return found

    return put


@needs_iverilog
def test_a_controller_asks_the_board(tmp_path: Path, plug: Any) -> None:
    spidev = plug(tmp_path, build(tmp_path, odd(), "spi"))
    with Device.open(tmp_path, "spidev:0.1") as device:
        assert (spidev.opened, spidev.mode) == ((0, 1), 0)
        assert 0 < spidev.max_speed_hz <= 12e6 / 4
        compare(odd(), device, 7)
        assert device.traffic.broken == device.traffic.refused == device.traffic.silences == 0


@needs_iverilog
@pytest.mark.slow
def test_requests_longer_than_a_transfer(tmp_path: Path, plug: Any) -> None:
    plug(tmp_path, build(tmp_path, wide(), "spi"))
    with Device.open(tmp_path, "spidev:0.0") as device:
        compare(wide(), device, 40)


@needs_iverilog
def test_what_goes_wrong_is_told(tmp_path: Path, plug: Any) -> None:
    interface = build(tmp_path, odd(), "spi")
    spidev = plug(tmp_path, interface)
    for name, words in {
        "spidev:7.0": "no such file",
        "spidev:zero": "not spidev:BUS.CHIP",
        "spidev:0.0; rm": "not spidev:BUS.CHIP",
    }.items():
        with pytest.raises(UsageError, match=f"(?i){words}") as caught:
            Device.open(tmp_path, name)
        assert caught.value.diagnostics[0].code == "ACT0591"
    with Device.open(tmp_path, "spidev:0.0") as device:
        spidev.gone = True
        with pytest.raises(UsageError, match="shutdown") as caught:
            device.run(odd().samples(2))
        assert caught.value.diagnostics[0].code == "ACT0591"


@needs_iverilog
def test_nothing_behind_the_controller(tmp_path: Path, plug: Any) -> None:
    """Open wires give the same bit for ever: bytes, but no frames."""
    plug(tmp_path, build(tmp_path, odd(), "spi"), dead=True)
    with pytest.raises(ToolFailed) as caught:
        Device.open(tmp_path, "spidev:0.0")
    assert caught.value.diagnostics[0].code == "ACT0594"


def test_without_spidev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spidev", None)
    build(tmp_path, odd(), "spi")
    with pytest.raises(MissingTool) as caught:
        Device.open(tmp_path, "spidev:0.0")
    assert caught.value.diagnostics[0].code == "ACT0503"
    build(tmp_path, odd(), "uart")
    with pytest.raises(ActcError) as other:
        Device.open(tmp_path, "spidev:0.0")
    assert other.value.diagnostics[0].code == "ACT0591"


def test_flags_that_follow_flags_are_left_out() -> None:
    f = FLAG
    for cut in range(9):
        data = bytes([f, f, 1, f, f, f, 2, 3, f])
        flags = Flags()
        assert flags.without(data[:cut]) + flags.without(data[cut:]) == bytes([1, f, 2, 3, f])
