"""Gowin bitstreams, decompiled: fuses -> Verilog of gowin_unpack -> netlist.

``gowin_unpack`` of Project Apicula (Rey and Prins, 2019) writes every switch as an assignment and
every cell that is configured as an instance. Of carry cells it only knows the vendor's settings,
not the look-up table that nextpnr writes there; it is therefore run twice, the second time with
all carry cells read as look-up tables.

Not read from the bits: the electrical settings of pads, and which of four spines a column of the
clock network takes, since the database gives all four the same fuses. The one source that drives
them is taken; with two sources the bitstream is refused.
"""

from __future__ import annotations

import importlib
import importlib.resources
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from actc.errors import ToolFailed
from actc.targets.fpga.bitstream.document import gowin_register, gowin_tile, not_understood
from actc.targets.fpga.bitstream.tracing import Tracer
from actc.targets.fpga.bitstream.unpacking import unpacked

_ALIAS = re.compile(r"^`define (\S+) (\S+)$", re.MULTILINE)
_ASSIGN = re.compile(r"^assign `?(\S+) = `?(\S+);$", re.MULTILINE)
_INSTANCE = re.compile(r"^(\w+) (\w+) \(\n((?:\..*\n)*)\);$", re.MULTILINE)
_CONNECTION = re.compile(r"\.(\w+)\(([^()]*)\)")
_TABLE = re.compile(r"^defparam (R\d+C\d+)_LUT4_(\d)\.INIT = 16'h([0-9a-f]{4});$", re.MULTILINE)
_EMPTY_TABLE = re.compile(r"^assign `?(R\d+C\d+)_F(\d) = VSS;$", re.MULTILINE)
_FLIP_FLOP = re.compile(r"(R\d+C\d+)_DFFE_(\d)")
_SPINE = re.compile(r"(R\d+C\d+_)?SPINE(\d+)")
_TABLE_OUTPUT = re.compile(r"(R\d+C\d+)_F[0-7]")
_ONE, _ZERO = "1'b1", "1'b0"
_LAST_CARRY = 5
"""Place of the last carry cell of a tile."""


@dataclass(frozen=True)
class Unpacked:
    """A bitstream as Verilog.

    Attributes:
        carries: carry cells as such.
        tables: carry cells as look-up tables.
        long_wires: wires that are others by another name, from the database.
    """

    carries: str
    tables: str
    long_wires: Mapping[str, str]


def unpack(bitstream: Path, device: str) -> Unpacked:
    """The configuration that a bitstream holds.

    Args:
        device: as the packer calls it ("GW2A-18C").

    Raises:
        MissingTool: ACT0501, ACT0502, gowin_unpack is not installed.
        ToolFailed: ACT0510..0513, ACT0584, it refused the file or exceeded a limit.
    """
    options = ("-d", device, "-o", "design.v", "design.fs")
    found = [
        unpacked("gowin_unpack", bitstream, "design.fs", [*more, *options], "design.v")
        for more in ((), ("--noalu",))
    ]
    return Unpacked(found[0], found[1], _long_wires(device))


def _long_wires(device: str) -> dict[str, str]:
    """The segments of long wires: columns, and branches of each row, by one name each."""
    database = importlib.import_module("apycula.chipdb")
    path = importlib.resources.files("apycula") / f"{device}.msgpack.xz"
    found = {}
    for (_, column, index), segment in sorted(database.load_chipdb(path).segments.items()):
        half = index // 4
        ends = [(segment[f"{end}_row"], segment[f"{end}_wire"]) for end in ("top", "bottom")]
        names = [_wire(row, column, wire) for row, wire in ends]
        for row in range(segment["min_y"], segment["max_y"] + 1):
            names.append(_wire(row, column, "LT04" if half else "LT01"))
            for place in range(segment["min_x"], segment["max_x"] + 1):
                found[_wire(row, place, f"LB{index}1")] = _wire(row, column, f"LBO{half}")
        found.update((name, names[0]) for name in names[1:])
    return found


def _wire(row: int, column: int, name: str) -> str:
    return f"R{row + 1}C{column + 1}_{name}"


def netlist_of(text: Unpacked, pads: Mapping[str, tuple[str, list[str]]]) -> dict[str, Any]:
    """A netlist from what :func:`unpack` gave.

    Args:
        pads: port -> direction and the placed site ("X49Y0/IOBA") of each bit, as
            :func:`~actc.targets.fpga.bitstream.document.pads` finds them.

    Returns:
        a document with the module "top" for ``GateNetlist.read`` with family "gowin".

    Raises:
        ToolFailed: ACT0571, the outputs need a part of the device that has no model.
    """
    return _Decompiler(text).run(pads)


class _Decompiler(Tracer[str]):
    def __init__(self, text: Unpacked) -> None:
        super().__init__()
        self.built.update("01")
        self.aliases = {**text.long_wires, **dict(_ALIAS.findall(text.carries))}
        switches = _ASSIGN.findall(text.carries)
        self.drivers = {self.canonical(sink): self.canonical(source) for sink, source in switches}
        self.spines = self._spines(switches)
        self.pins: dict[str, Callable[[], None]] = {}
        self.logic_tiles: set[str] = set()
        self.pad_wires: dict[str, str] = {}
        self.tables = _tables(text.tables)
        for kind, name, connections in _INSTANCE.findall(text.carries):
            self._place(kind, name, dict(_CONNECTION.findall(connections)))
        plain = _tables(text.carries)
        for tile, number in self.tables:
            if (tile, number) in plain:
                self._pin(f"{tile}_F{number}", partial(self._table, tile, number))
            else:
                self._place_carry(tile, number)
        for source in sorted(set().union(*self.spines.values())):
            # a PLL or a pad
            self.pins.setdefault(source, lambda: None)

    def canonical(self, wire: str) -> str:
        """The one name of a wire that several tiles see."""
        wire = {"VCC": _ONE, "VSS": _ZERO}.get(wire, wire)
        seen = {wire}
        while wire in self.aliases and self.aliases[wire] not in seen:
            wire = self.aliases[wire]
            seen.add(wire)
        return wire

    def _spines(self, switches: list[tuple[str, str]]) -> dict[int, set[str]]:
        """Sources of the clock network, by groups of four spines that share their fuses."""
        found: dict[int, set[str]] = {}
        for sink, source in switches:
            match = _SPINE.fullmatch(sink)
            if match:
                found.setdefault(int(match[2]) // 4, set()).add(self.canonical(source))
        return found

    def _pin(self, wire: str, build: Callable[[], None]) -> None:
        self.pins[self.canonical(wire)] = build

    def _place(self, kind: str, name: str, connections: dict[str, str]) -> None:
        """Note by which wires a cell drives others."""
        register = _FLIP_FLOP.fullmatch(name)
        if kind == "IBUF":
            self.pad_wires[name] = connections["O"]
            self._pin(connections["O"], partial(self._refuse, name))
        elif kind == "OBUF":
            self.pad_wires[name] = connections["I"]
        elif kind == "MUX2":
            self._pin(connections["O"], partial(self._instance, kind, name, connections))
        elif register and kind.startswith("DFF"):
            self.logic_tiles.add(register[1])
            self._pin(connections["Q"], partial(self._instance, kind, name, connections))
        elif kind not in ("LUT4", "ALU", "rPLL", "PLLVR"):
            for wires in connections.values():
                for wire in re.findall(r"\w+", wires):
                    if re.search(r"_[FQ]\d$", wire):
                        self._pin(wire, partial(self._refuse, name))

    def _place_carry(self, tile: str, number: int) -> None:
        carry = _next_carry(tile, number)
        build = partial(self._carry, tile, number, carry)
        self._pin(f"{tile}_F{number}", build)
        self._pin(carry, build)

    def is_pin(self, wire: str) -> bool:
        return wire in self.pins or wire in (_ONE, _ZERO)

    def name(self, wire: str) -> str:
        return wire[-1] if wire in (_ONE, _ZERO) else wire

    def input_pad(self, site: str) -> str:
        return self._pad(site, "IBUF")

    def output_pad(self, site: str) -> str:
        return self._pad(site, "OBUF")

    def _pad(self, site: str, kind: str) -> str:
        """The wire between a pad and the fabric."""
        match = re.fullmatch(r"X(\d+)Y(\d+)/IOB([A-Z])", site)
        tile = gowin_tile(match[1], match[2]) if match else ""
        wire = self.pad_wires.get(f"{tile}_{kind}_{match[3]}") if match else None
        if wire is None:
            raise ToolFailed(not_understood(f"there is no {kind} at {site!r}"))
        return self.canonical(wire)

    def ring(self, wire: str) -> None:
        """Switches that nothing has set form rings; they drive nothing."""

    def before(self, wire: str) -> str | None:
        match = _SPINE.fullmatch(wire)
        if match:
            sources = self.spines.get(int(match[2]) // 4, set())
            if len(sources) != 1:
                raise ToolFailed(not_understood(f"{len(sources)} clocks drive {wire}"))
            return next(iter(sources))
        found = self.drivers.get(wire)
        if found is None:
            match = _TABLE_OUTPUT.fullmatch(wire)
            # a look-up table without a fuse is 1
            return _ONE if match and match[1] in self.logic_tiles else None
        return found

    def build(self, pin: str) -> None:
        self.pins[pin]()

    def _refuse(self, name: str) -> None:
        raise ToolFailed(not_understood(f"the outputs need {name}"))

    def _input(self, wire: str) -> str:
        """The net of an input; its own where nothing drives it."""
        return self.net(self.canonical(wire), wire)

    def _instance(self, kind: str, name: str, connections: dict[str, str]) -> None:
        """Add a cell as it is written."""
        nets = {
            port: self.canonical(wire) if port in ("O", "Q") else self._input(wire)
            for port, wire in connections.items()
        }
        self.document.cell(name, kind, {}, nets)
        match = _FLIP_FLOP.fullmatch(name)
        if match:
            self.document.title(gowin_register(match[1], match[2]), nets["Q"])

    def _table(self, tile: str, number: int) -> None:
        init = self.tables[tile, number]
        nets = {f"I{i}": self._input(f"{tile}_{'ABCD'[i]}{number}") for i in _used(init, 4)}
        nets["F"] = self.canonical(f"{tile}_F{number}")
        self.document.cell(f"{tile}_LUT{number}", "LUT4", {"INIT": f"{init:016b}"}, nets)

    def _carry(self, tile: str, number: int, carry: str) -> None:
        """A table in a carry chain, once for its sum and its carry."""
        name = f"{tile}_ALU{number}"
        if name in self.built:
            return
        total = self.canonical(f"{tile}_F{number}")
        self.built.update((name, total, carry))
        init = self.tables[tile, number]
        used = sorted({*_used(init, 4), *_used(init, 2)})
        nets = {f"I{i}": self._input(f"{tile}_{'ABCD'[i]}{number}") for i in used}
        chain = f"{tile}_CIN{number}"
        nets |= {"CIN": self.net(chain, "0"), "SUM": total, "COUT": carry}
        parameters = {"ALU_MODE": "2", "RAW_ALU_LUT": f"{init:016b}"}
        self.document.cell(name, "ALU", parameters, nets)


def _tables(text: str) -> dict[tuple[str, int], int]:
    """Tile and place -> contents of the look-up tables that are written."""
    return {
        **{(tile, int(number)): 0 for tile, number in _EMPTY_TABLE.findall(text)},
        **{(tile, int(number)): int(init, 16) for tile, number, init in _TABLE.findall(text)},
    }


def _next_carry(tile: str, number: int) -> str:
    """The wire that takes the carry of a place in a tile to the next."""
    if number < _LAST_CARRY:
        return f"{tile}_CIN{number + 1}"
    row, _, column = tile.partition("C")
    return f"{row}C{int(column) + 1}_CIN0"


def _used(init: int, width: int) -> list[int]:
    """The inputs that a look-up table depends on."""
    return [
        place
        for place in range(width)
        if any((init >> index ^ init >> (index ^ 1 << place)) & 1 for index in range(1 << width))
    ]
