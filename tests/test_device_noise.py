"""The client and the board's port over a wire that breaks levels and bytes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from board_cores import build, odd, sums
from board_ports import Wire, board, compare

from actc.device import Device
from actc.device.waveform import SCK, Levels
from actc.targets.fpga.interfaces import Kind

pytestmark = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="Icarus Verilog is not installed (apt: iverilog)"
)


def flipped(levels: Levels, places: Iterable[int], length: int) -> Levels:
    changed: Levels = levels.copy()
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
        changed: Levels = levels.copy()
        if generator.random() < 0.4:
            place = int(generator.integers(len(changed) - 4))
            changed[place : place + 4] &= ~np.uint8(SCK)
        return changed

    with Device(interface, board(tmp_path, interface, noise=noise)) as device:
        for seed in range(12):
            compare(core, device, 2, seed)
        assert device.traffic.requests > 24
