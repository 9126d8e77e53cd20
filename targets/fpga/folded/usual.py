"""What folded networks are built for where nothing is asked for."""

from __future__ import annotations

from actc.targets.fpga.boards.device import Device

_CLOCKS = {"ice40": 50.0, "ecp5": 80.0, "gowin": 40.0}
_ULTRA_PLUS = 24.0


def usual_clock(device: Device) -> float:
    """MHz of a network on a device."""
    return _ULTRA_PLUS if "up5k" in device.name else _CLOCKS[device.family]
