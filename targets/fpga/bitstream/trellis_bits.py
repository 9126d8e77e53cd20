"""Configurations of ECP5, bit by bit: what placement asked for, beside what a bitstream holds.

The names of settings do not tell whether two configurations are the same: defaults are left out,
tiles of a group show parts of a setting, and different names may stand for the same bits. Both are
therefore turned into the bits of each tile by the database of Project Trellis.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from actc.errors import ToolFailed
from actc.targets.fpga.bitstream.document import not_understood
from actc.targets.fpga.bitstream.trellis import tile_data

Bit = tuple[str, bool]
"""Its name in the tile ("F1B2") and what it is for the setting."""
Contents = Mapping[str, tuple[str, ...]]
"""Number of a block memory -> its words, hexadecimal."""

_PADS = re.compile(r"(?!CIB)\w*(PIO|PIC|_CIB_|ECLK|EFB|SPICB|DLL|DDR|BANK)\w*")
"""Types of tiles around the fabric: their settings are electrical, and several names of the
database stand for the same pad."""

_NONE = "_NONE_"
"""An enumeration of which no bit is set."""


@dataclass(frozen=True)
class Compared:
    """Two configurations of one device.

    Attributes:
        bits: how many are 1 in the fabric as placement asked for it.
        words: of block memories.
        different: tiles and memories that differ, in order.
    """

    bits: int
    words: int
    different: tuple[str, ...]


@dataclass
class _Settings:
    """Arcs, words and enumerations of one tile or group, as name and value."""

    arcs: list[tuple[str, str]] = field(default_factory=list)
    words: list[tuple[str, str]] = field(default_factory=list)
    enums: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def compare_configurations(routed: str, unpacked: str) -> Compared:
    """Compare the fabric: everything but the pads.

    Args:
        routed: what nextpnr wrote for the packer.
        unpacked: what a bitstream holds, from ``ecpunpack``.

    Raises:
        MissingTool: ACT0503, the database is not installed.
        ToolFailed: ACT0571, one is not a configuration, or has a setting that the database
            does not know.
    """
    types: dict[str, _TileType] = {}
    (asked, asked_memory), (found, found_memory) = _read(routed), _read(unpacked)
    wanted: dict[str, set[str]] = defaultdict(set)
    for tiles, settings in asked:
        for tile in filter(_in_fabric, tiles):
            _type(tile, types).encode(settings, wanted[tile], strict=len(tiles) == 1)
    held: dict[str, set[str]] = defaultdict(set)
    for (tile,), settings in found:
        if not _in_fabric(tile):
            continue
        kind = _type(tile, types)
        kind.defaults(settings, held[tile])
        kind.encode(settings, held[tile], strict=True)
    names = sorted(wanted.keys() | held.keys())
    different = [name for name in names if wanted.get(name, set()) != held.get(name, set())]
    memories = sorted(asked_memory.keys() | found_memory.keys())
    different += [
        f"memory {name}" for name in memories if asked_memory.get(name) != found_memory.get(name)
    ]
    return Compared(
        sum(len(wanted.get(name, ())) for name in names),
        sum(map(len, asked_memory.values())),
        tuple(different),
    )


def _in_fabric(tile: str) -> bool:
    return _PADS.fullmatch(tile.rpartition(":")[2]) is None


def _read(text: str) -> tuple[list[tuple[tuple[str, ...], _Settings]], Contents]:
    """Settings by tile or group of tiles, and the contents of block memories."""
    found: list[tuple[tuple[str, ...], _Settings]] = []
    memories: dict[str, tuple[str, ...]] = {}
    memory = ""
    for line in text.splitlines():
        words = line.split()
        if not words or words[0] in (".device", ".comment", ".sysconfig", ".variant"):
            continue
        if words[0] in (".tile", ".tile_group"):
            found.append((tuple(words[1:]), _Settings()))
            memory = ""
        elif words[0] == ".bram_init" and len(words) == 2:
            memory = words[1]
            memories[memory] = ()
        elif memory:
            memories[memory] += tuple(word.lower() for word in words)
        elif found:
            _add(found[-1][1], words, line)
        else:
            raise ToolFailed(not_understood(f"the configuration has the line {line[:80]!r}"))
    return found, memories


def _add(settings: _Settings, words: Sequence[str], line: str) -> None:
    match words:
        case ["arc:", sink, source]:
            settings.arcs.append((sink, source))
        case ["word:", name, value]:
            settings.words.append((name, value))
        case ["enum:", name, value]:
            settings.enums.append((name, value))
        case ["unknown:", bit]:
            settings.unknown.append(bit)
        case _:
            raise ToolFailed(not_understood(f"the configuration has the line {line[:80]!r}"))


class _TileType:
    """What settings mean in a type of tile."""

    def __init__(self, path: Path) -> None:
        self.arcs: dict[str, dict[str, tuple[Bit, ...]]] = {}
        self.words: dict[str, tuple[str, list[tuple[Bit, ...]]]] = {}
        self.enums: dict[str, tuple[str, dict[str, tuple[Bit, ...]]]] = {}
        for head, lines in _blocks(path.read_text("utf-8") if path.is_file() else ""):
            match head:
                case [".mux", sink]:
                    self.arcs[sink] = {source: _bits(rest) for source, *rest in lines}
                case [".config", name, *default]:
                    self.words[name] = ("".join(default), [_bits(line) for line in lines])
                case [".config_enum", name, *default]:
                    options = {option: _bits(rest) for option, *rest in lines}
                    self.enums[name] = ("".join(default), options)

    def encode(self, settings: _Settings, to: set[str], *, strict: bool) -> None:
        """Set and clear the bits of settings.

        Args:
            strict: each must be known here; else it may belong to another tile of the group.
        """
        for bits in self._settings(settings, strict):
            for bit, value in bits:
                if value:
                    to.add(bit)
                else:
                    to.discard(bit)
        to.update(settings.unknown)

    def _settings(self, settings: _Settings, strict: bool) -> Iterator[tuple[Bit, ...]]:
        for sink, source in settings.arcs:
            yield _known(self.arcs.get(sink, {}).get(source), sink, strict)
        for name, value in settings.words:
            known = self.words.get(name)
            if known is not None and len(known[1]) == len(value):
                yield _word(known[1], value)
            else:
                yield _known(None, name, strict)
        for name, value in settings.enums:
            if value == _NONE:
                continue
            yield _known(self.enums.get(name, ("", {}))[1].get(value), name, strict)

    def defaults(self, settings: _Settings, to: set[str]) -> None:
        """Set the bits of what is not named because it is the default."""
        named = {name for name, _ in (*settings.words, *settings.enums)}
        for name, (default, options) in self.enums.items():
            if name not in named:
                to.update(bit for bit, value in options.get(default, ()) if value)
        for name, (default, places) in self.words.items():
            if name not in named and len(default) == len(places):
                to.update(bit for bit, value in _word(places, default) if value)


def _known(bits: tuple[Bit, ...] | None, name: str, strict: bool) -> tuple[Bit, ...]:
    if bits is None and strict:
        raise ToolFailed(not_understood(f"the database does not know {name[:80]!r}"))
    return bits or ()


def _word(places: Sequence[tuple[Bit, ...]], value: str) -> tuple[Bit, ...]:
    """The bits of a word; its last digit is its first bit."""
    return tuple(
        (bit, is_set == (digit == "1"))
        for place, digit in zip(places, reversed(value), strict=True)
        for bit, is_set in place
    )


def _blocks(text: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Paragraphs of a file of the database: the words of the first line, and of the others."""
    for paragraph in text.split("\n\n"):
        kept = [line for line in paragraph.splitlines() if line.strip() and line[0] != "#"]
        lines = [line.split() for line in kept]
        if lines:
            yield lines[0], lines[1:]


def _bits(words: Iterable[str]) -> tuple[Bit, ...]:
    return tuple(
        (word.removeprefix("!"), not word.startswith("!")) for word in words if word != "-"
    )


def _type(tile: str, types: dict[str, _TileType]) -> _TileType:
    """The type of a tile ("R24C27:PLC2")."""
    kind = tile.rpartition(":")[2]
    if not re.fullmatch(r"\w+", kind):
        raise ToolFailed(not_understood(f"the configuration has a tile {tile[:80]!r}"))
    if kind not in types:
        types[kind] = _TileType(tile_data(kind))
    return types[kind]
