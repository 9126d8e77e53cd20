"""Serial ports around cores that take and give samples word by word: outputs, throughput."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from board_cores import PLL
from folded_wire import (
    CORES,
    SLOW,
    GroupSums,
    board,
    build,
    compare,
    elements,
    files,
    undisturbed,
    write,
)
from installed import needs_iverilog, needs_verilator

from actc.device import Device, Simulation, measure_throughput
from actc.targets.fpga.interfaces import Kind


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
