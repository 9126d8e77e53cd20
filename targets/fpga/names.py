"""The FPGA targets by name: one class for each device and board."""

from __future__ import annotations

from pathlib import Path

from actc.targets.fpga.boards import board_names, device_names, find_board
from actc.targets.fpga.hdl.names import identifier
from actc.targets.fpga.target import FpgaTarget


def _class(name: str, path: str = "") -> type[FpgaTarget]:
    named = {"name": name, "board_file": path}
    return type(f"Fpga_{identifier(name)}", (FpgaTarget,), named)


TARGETS: dict[str, type[FpgaTarget]] = {
    name: _class(name) for name in sorted({*device_names(), *board_names()})
}
"""Target by name."""


def board_target(path: str) -> type[FpgaTarget]:
    """The class of a board that a file of the user's describes, named as the file.

    Raises:
        UsageError: ACT0589, there is no such file, or it is wrong.
    """
    find_board(path)
    return _class(Path(path).name, path)


def __getattr__(name: str) -> type[FpgaTarget]:
    """The class of a target, its name with underscores, for the table of all targets."""
    found = {key.replace("-", "_"): target for key, target in TARGETS.items()}.get(name)
    if found is None:
        raise AttributeError(name)
    return found
