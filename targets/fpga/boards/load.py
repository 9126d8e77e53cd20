"""Boards and devices are TOML files beside this one; users may write their own."""

from __future__ import annotations

import difflib
import functools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.ir.files import read_regular
from actc.targets.fpga.boards.device import Board, Device
from actc.targets.fpga.boards.fields import Fields

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_HERE = Path(__file__).parent
_FAMILIES = ("ice40", "ecp5", "gowin")


@functools.cache
def devices() -> Mapping[str, Device]:
    """All devices by name, in the order of their names."""
    path = _HERE / "devices.toml"
    found = _read(path)
    return {name: _device(name, Fields(found[name], path, name)) for name in sorted(found)}


def device_names() -> tuple[str, ...]:
    """Names of all devices, sorted."""
    return tuple(devices())


def board_names() -> tuple[str, ...]:
    """Names of all boards that come with actc, sorted; without devices."""
    return tuple(sorted(path.stem for path in (_HERE / "data").glob("*.toml")))


@functools.cache
def find_board(name: str) -> Board:
    """A board, a device as a generic board, or the board that a file describes.

    Args:
        name: name of a board or device, or path of a file that ends with ".toml".

    Raises:
        UsageError: ACT0580, there is none; ACT0589, the file is wrong.
    """
    if name.endswith(".toml"):
        path = Path(name)
        return _board(path.stem, Fields(_read(path), path, ""))
    if name in board_names():
        path = _HERE / "data" / f"{name}.toml"
        return _board(name, Fields(_read(path), path, ""))
    device = devices().get(name)
    if device is None:
        raise UsageError(_unknown(name))
    return Board(
        name=device.name,
        title=device.title,
        device=device,
        package=device.package,
        speed=device.speed,
        clock_mhz=device.clock_mhz,
        pins=device.pins,
        standard="LVCMOS33" if device.pins else "",
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        table: dict[str, Any] = tomllib.loads(read_regular(path).decode("utf-8"))
        return table
    except (OSError, ValueError, RecursionError) as problem:  # numbers too long, brackets too deep
        reason = getattr(problem, "strerror", None) or str(problem)
        raise UsageError(
            Diagnostic(
                "ACT0589",
                f"cannot read the board: {reason}",
                place=Place(str(path)),
                help="docs/boards.md describes these files",
            )
        ) from problem


def _device(name: str, fields: Fields) -> Device:
    device = Device(
        name=name,
        title=fields.text("title"),
        family=fields.text("family", among=_FAMILIES),
        options=fields.texts("options"),
        package=fields.text("package"),
        speed=fields.text("speed", default=""),
        luts=fields.count("luts"),
        ffs=fields.count("ffs"),
        brams=fields.count("brams"),
        dsps=fields.count("dsps"),
        clock_mhz=fields.frequency("clock_mhz"),
        carries=fields.count("carries", default=0),
        synthesis=fields.texts("synthesis", default=()),
        packer=fields.text("packer", default=""),
        pll_device=fields.text("pll_device", default=""),
        pins=fields.pins("pins"),
    )
    fields.finish()
    return device


def _board(name: str, fields: Fields) -> Board:
    device = devices()[fields.text("device", among=device_names())]
    board = Board(
        name=name,
        title=fields.text("title"),
        device=device,
        package=fields.text("package", default=device.package),
        speed=fields.text("speed", default=device.speed),
        clock_mhz=fields.frequency("clock_mhz"),
        pins=fields.pins("pins"),
        standard=fields.word("standard"),
        pll_pad=fields.text("pll", default="core", among=("core", "pad")) == "pad",
        program=fields.texts("program", default=()),
        notes=fields.texts("notes", default=()),
    )
    fields.finish()
    return board


def _unknown(name: str) -> Diagnostic:
    known = sorted({*device_names(), *board_names()})
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return Diagnostic(
        "ACT0580",
        f"there is no board or device {name!r}",
        help=f"{hint}write one of {', '.join(known)}, or the path of a board's .toml file",
    )
