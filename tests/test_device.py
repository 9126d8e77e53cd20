"""The client and the board's port, joined by a simulated wire."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from board_cores import PLL, Core, build, bytes_out, odd, sums, wide
from board_ports import Silent, board, compare

from actc.device import Device, read_interface
from actc.device.simulated import SimulatedPort
from actc.device.waveform import SpiLine, UartLine
from actc.errors import ToolFailed, UsageError
from actc.targets.fpga.interfaces import KINDS, Kind

pytestmark = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="Icarus Verilog is not installed (apt: iverilog)"
)


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


def test_the_client_needs_nothing_of_the_compiler() -> None:
    code = "import actc.device, sys; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    heavy = {"onnx", "onnx_ir", "onnxruntime", "torch", "scipy", "serial", "typer"}
    assert loaded & heavy == set()
    parts = {name for name in loaded if name.startswith("actc.")}
    tools = ("actc.toolchain", "actc.awaiting", "actc.guarding")
    known = ("actc.device", "actc.diagnostics", "actc.errors", *tools)
    assert {name for name in parts if not name.startswith(known)} == set()


def test_directories_are_read_again(tmp_path: Path) -> None:
    for kind in KINDS:
        made = build(tmp_path, odd(), kind)
        assert read_interface(tmp_path) == made
