"""Which device would hold a design, and the boards that carry it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actc.targets.fpga.boards.device import Device
from actc.targets.fpga.boards.load import board_names, devices, find_board

KINDS = ("luts", "ffs", "brams", "dsps")
"""Resources that all devices have numbers of."""


def sizes(device: Device) -> dict[str, int]:
    """How much of each of :data:`KINDS` a device has, and of "carries" where they are counted."""
    carries = {"carries": device.carries} if device.carries else {}
    return {kind: int(getattr(device, kind)) for kind in KINDS} | carries


def smallest_device(
    needs: Mapping[str, int] | Callable[[Device], Mapping[str, int]], above: Device
) -> Device | None:
    """The device of fewest look-up tables, of more than `above`, that has enough.

    Args:
        needs: by resource, perhaps of each device its own; others than its sizes do not
            matter.
    """
    for device in sorted(devices().values(), key=lambda found: (found.luts, found.name)):
        needed, has = needs(device) if callable(needs) else needs, sizes(device)
        enough = all(needed[kind] <= has[kind] for kind in has if kind in needed)
        if enough and device.luts > above.luts:
            return device
    return None


def boards_of(device: Device) -> tuple[str, ...]:
    """Names of the boards that carry a device."""
    return tuple(name for name in board_names() if find_board(name).device == device)


def offer(device: Device) -> str:
    """ "ecp5-45k, which has 43848 look-up tables (board ulx3s-45f)"."""
    names = boards_of(device)
    boards = f" (board {' or '.join(names)})" if names else ""
    return f"{device.name}, which has {device.luts} look-up tables{boards}"
