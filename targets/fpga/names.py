"""The FPGA targets by name: one class for each device and board."""

from __future__ import annotations

from actc.targets.fpga.boards import board_names, device_names
from actc.targets.fpga.target import FpgaTarget


def _class(name: str) -> type[FpgaTarget]:
    return type(f"Fpga_{name.replace('-', '_')}", (FpgaTarget,), {"name": name})


TARGETS: dict[str, type[FpgaTarget]] = {
    name: _class(name) for name in sorted({*device_names(), *board_names()})
}
"""Target by name."""


def __getattr__(name: str) -> type[FpgaTarget]:
    """The class of a target, its name with underscores, for the table of all targets."""
    found = {key.replace("-", "_"): target for key, target in TARGETS.items()}.get(name)
    if found is None:
        raise AttributeError(name)
    return found
