"""ECP5 bitstreams, decompiled: bits -> configuration -> netlist.

From every output pad the wires are followed backwards, through the switches that are set and
the connections that are fixed, to look-up tables, flip-flops and input pads, whose settings
are read from the bits. Nothing of placement and routing is believed but where the pads of the
ports are.

Not read from the bits: the electrical settings of pads, and the branches of the clock network
between the centre of the device and a tile, which are taken to be those of the same number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actc.errors import ToolFailed
from actc.targets.fpga.bitstream.document import not_understood
from actc.targets.fpga.bitstream.tracing import Tracer
from actc.targets.fpga.bitstream.trellis import (
    Configuration,
    Database,
    TileConfig,
    Wire,
    place,
    read_configuration,
)
from actc.targets.fpga.bitstream.unpacking import unpacked

_SLICE_TILE = "PLC2"
_ONE, _ZERO = "1", "0"
_PIN = re.compile(
    r"[FQ]\d_SLICE|F[5X][ABCD]_SLICE|FCO[ABC]?_SLICE|JPADDI[A-D]_PIO|JP\d+_MULT18|"
    r"JDO[AB]\d+_EBR\w*|JCLKO\w+_PLL|JLOCK_PLL|OSC_OSC"
)
"""Outputs of cells."""


def unpack(bitstream: Path) -> str:
    """The configuration that a bitstream holds.

    Raises:
        MissingTool: ACT0501, ACT0502, ecpunpack is not installed.
        ToolFailed: ACT0510..0513, ACT0584, it refused the file or exceeded a limit.
    """
    arguments = ["design.bit", "design.config"]
    return unpacked("ecpunpack", bitstream, "design.bit", arguments, "design.config")


def netlist_of(text: str, pads: Mapping[str, tuple[str, list[str]]]) -> dict[str, Any]:
    """A netlist from what :func:`unpack` gave.

    Args:
        pads: port -> direction and the placed site ("X72/Y14/PIOD") of each bit, as
            :func:`~actc.targets.fpga.bitstream.document.pads` finds them.

    Returns:
        a document with the module "top" for ``GateNetlist.read`` with family "ecp5".

    Raises:
        MissingTool: ACT0503, the database of the device is not installed.
        ToolFailed: ACT0571, the outputs need a part of the device that has no model.
    """
    return _Decompiler(read_configuration(text)).run(pads)


class _Decompiler(Tracer[Wire]):
    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self.database = Database(configuration.device)
        self.tiles = configuration.tiles
        self.drivers: dict[Wire, Wire] = {}
        for (row, column, _), tile in configuration.tiles.items():
            for sink, source in tile.arcs.items():
                self.drivers[place(row, column, sink)] = place(row, column, source)
        self._settle_slice_outputs()

    def _settle_slice_outputs(self) -> None:
        """In carry chains the bit of a slice's output switch means something else."""
        for (row, column, kind), tile in self.tiles.items():
            if kind != _SLICE_TILE:
                continue
            for number in range(8):
                if _mode(tile, "ABCD"[number // 2]) == "CCU2":
                    self.drivers.pop((row, column, f"F{number}"), None)

    def is_pin(self, wire: Wire) -> bool:
        return _PIN.fullmatch(wire[2]) is not None

    def name(self, wire: Wire) -> str:
        return _name(wire)

    def input_pad(self, site: str) -> Wire:
        row, column, pio = _pad(site)
        return row, column, f"JPADDI{pio}_PIO"

    def output_pad(self, site: str) -> Wire:
        row, column, pio = _pad(site)
        return row, column, f"PADDO{pio}_PIO"

    def dangling(self, path: list[Wire]) -> None:
        """A switch that is set leads to something that has no model."""
        if any(wire in self.drivers for wire in path):
            raise ToolFailed(not_understood(f"nothing that has a model drives {_name(path[-1])}"))

    def before(self, wire: Wire) -> Wire | None:
        row, column, name = wire
        match = re.fullmatch(r"G_HPBX(\d\d)00", name)
        if match:  # branches, spines and taps keep the number of the quarter's clock
            return -1, -1, f"G_{self.database.quadrant(row, column)}PCLK{int(match[1])}"
        match = re.fullmatch(r"G_CLKO_([A-Z]DCC\d+)", name)
        if match:  # a clock buffer
            return -1, -1, f"G_CLKI_{match[1]}"
        return self.drivers.get(wire) or self.database.implied(wire)

    def build(self, pin: Wire) -> None:
        """Add the cell that has the pin."""
        row, column, name = pin
        match = re.fullmatch(r"J(CLKO\w+|LOCK)_PLL", name)
        if match:
            source = self.net((row, column, "CLKI_PLL"), _ZERO)
            pins = {"CLKI": source, match[1]: _name(pin)}
            self.document.cell(_name(pin), "EHXPLLL", {}, pins)
            return
        tile = self.tiles.get((row, column, _SLICE_TILE), TileConfig())
        for pattern, build in (
            (r"F(?P<n>\d)_SLICE", self._table),
            (r"F5(?P<s>[ABCD])_SLICE", self._table),
            (r"FX(?P<s>[ABCD])_SLICE", self._table),
            (r"FCO(?P<s>[ABC]?)_SLICE", self._table),
            (r"Q(?P<n>\d)_SLICE", self._flip_flop),
        ):
            match = re.fullmatch(pattern, name)
            if match:
                found = match.groupdict()
                number = int(found["n"]) if "n" in found else 2 * "ABCD".index(found["s"] or "D")
                if name.startswith(("FX", "FCO")):
                    number += 1
                build(row, column, number, tile)
                return
        raise ToolFailed(not_understood(f"the outputs need {_name(pin)}"))

    def _table(self, row: int, column: int, number: int, tile: TileConfig) -> None:
        """A table with its carry and the multiplexer behind it, once."""
        letter, half = "ABCD"[number // 2], number % 2
        cell = f"R{row}C{column}_SLICE{letter}_K{half}"
        if cell in self.built:
            return
        self.built.add(cell)
        mode = _mode(tile, letter)
        if mode == "DPRAM":
            raise ToolFailed(not_understood(f"{cell} is a memory"))

        def at(name: str) -> Wire:
            return row, column, name

        pins: dict[str, str] = {}
        for port in "ABCD":
            fixed = tile.enums.get(f"SLICE{letter}.{port}{half}MUX")
            pins[port] = (
                fixed if fixed in (_ZERO, _ONE) else self.net(at(f"{port}{number}_SLICE"), _ONE)
            )
        pins["F"] = _name(at(f"F{number}_SLICE"))
        parameters = {
            "INITVAL": tile.words.get(f"SLICE{letter}.K{half}.INIT", "1" * 16),
            "MODE": mode,
        }
        if mode == "CCU2":
            pins |= self._carry(row, column, number)
            inject = tile.enums.get(f"SLICE{letter}.CCU2.INJECT1_{half}", "YES")
            parameters["CCU2_INJECT1"] = inject
            if half:  # its first half has the carry that it takes
                self._table(row, column, number - 1, tile)
        else:
            pins |= self._multiplexer(row, column, number, tile)
        self.document.cell(cell, "TRELLIS_COMB", parameters, pins)

    def _carry(self, row: int, column: int, number: int) -> dict[str, str]:
        letter = "ABCD"[number // 2]
        between = f"R{row}C{column}_SLICE{letter}_carry"
        if number % 2:
            end = "FCO_SLICE" if letter == "D" else f"FCO{letter}_SLICE"
            return {"FCI": between, "FCO": _name((row, column, end))}
        start = (row, column, "FCI_SLICE" if letter == "A" else f"FCI{letter}_SLICE")
        source = self.source(start)
        # slices are chained always; one that is no adder has no carry to give
        chained = source is not None and self._is_adder(source)
        begin = {"FCI": self.net(start, _ZERO)} if chained else {}
        return {**begin, "FCO": between}

    def _is_adder(self, carry: Wire) -> bool:
        row, column, name = carry
        match = re.fullmatch(r"FCO([ABC]?)_SLICE", name)
        tile = self.tiles.get((row, column, _SLICE_TILE))
        return match is not None and tile is not None and _mode(tile, match[1] or "D") == "CCU2"

    def _multiplexer(self, row: int, column: int, number: int, tile: TileConfig) -> dict[str, str]:
        """OFX of a table, if something reads it."""
        letter, half = "ABCD"[number // 2], number % 2
        output = (row, column, f"{'FX' if half else 'F5'}{letter}_SLICE")
        if _name(output) not in self.built:
            # another pin asked for the table first: that one may be asked for later
            if not self._is_switched(row, column, number):
                return {}
            self.built.add(_name(output))
        found = {"OFX": _name(output), "M": self.net((row, column, f"M{number}_SLICE"), _ONE)}
        if tile.enums.get(f"SLICE{letter}.M{half}MUX") == "1":
            found["M"] = _ONE
        if half:
            for port in ("FXA", "FXB"):
                found[port] = self.net((row, column, f"{port}{letter}_SLICE"), _ONE)
        else:
            found["F1"] = self.net((row, column, f"F{number + 1}_SLICE"), _ONE)
        return found

    def _is_switched(self, row: int, column: int, number: int) -> bool:
        """Whether the output switch of a table takes the multiplexer."""
        source = self.drivers.get((row, column, f"F{number}"))
        return source is not None and source[2] != f"F{number}_SLICE"

    def _flip_flop(self, row: int, column: int, number: int, tile: TileConfig) -> None:
        letter, half, place_ = "ABCD"[number // 2], number % 2, number // 2
        register = f"SLICE{letter}.REG{half}"
        if tile.enums.get(f"{register}.LSRMODE", "LSR") != "LSR":
            raise ToolFailed(not_understood(f"a preloading flip-flop in row {row}"))
        direct = tile.enums.get(f"{register}.SD", "1") == "0"
        data = f"{'M' if direct else 'DI'}{number}_SLICE"
        clocks = self._control(row, column, "CLK", place_)
        resets = self._control(row, column, "LSR", place_)
        parameters = {
            "SD": "1",
            "REGSET": tile.enums.get(f"{register}.REGSET", "SET"),
            "CEMUX": tile.enums.get(f"SLICE{letter}.CEMUX", "CE"),
            "CLKMUX": tile.enums.get(f"{clocks}.CLKMUX", "CLK"),
            "LSRMUX": tile.enums.get(f"{resets}.LSRMUX", "LSR") if resets else "LSR",
            "SRMODE": tile.enums.get(f"{resets}.SRMODE", "LSR_OVER_CE"),
        }
        pins = {
            "DI": self.net((row, column, data), _ONE),
            "CLK": self.net((row, column, f"CLK{place_}_SLICE"), _ZERO),
            "CE": self.net((row, column, f"CE{place_}_SLICE"), _ONE),
            "LSR": self.net((row, column, f"LSR{place_}_SLICE"), _ZERO),
            "Q": _name((row, column, f"Q{number}_SLICE")),
        }
        cell = f"R{row}C{column}_SLICE{letter}_FF{half}"
        self.document.cell(cell, "TRELLIS_FF", parameters, pins)

    def _control(self, row: int, column: int, kind: str, place_: int) -> str:
        """Which of the tile's two clocks or resets a slice takes; "" for none."""
        source = self.drivers.get((row, column, f"MUX{kind}{place_}"))
        return "" if source is None else source[2]


def _mode(tile: TileConfig, letter: str) -> str:
    return tile.enums.get(f"SLICE{letter}.MODE", "LOGIC")


def _name(wire: Wire) -> str:
    return f"R{wire[0]}C{wire[1]}_{wire[2]}"


def _pad(site: str) -> tuple[int, int, str]:
    match = re.fullmatch(r"X(\d+)/Y(\d+)/PIO([A-D])", site)
    if match is None:
        raise ToolFailed(not_understood(f"a port is at {site!r}"))
    return int(match[2]), int(match[1]), match[3]
