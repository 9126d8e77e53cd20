"""Netlists that are found in bitstreams, in the form of yosys' JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from actc.diagnostics import Diagnostic

TOP = "top"
"""Name of the module."""

_OUTPUT = re.compile(
    r"O|Q|Z|CO|COUT|SUM|F|OFX|FCO|RDATA|DO[AB]\d+|P\d+|GLOBAL_BUFFER_OUTPUT|CLKO\w*|PLLOUT\w*"
)
"""Ports of the cells that are found in bitstreams by which they drive nets."""

_PAD_PORTS = {
    "TRELLIS_IO": "B",
    "SB_IO": "PACKAGE_PIN",
    "SB_GB_IO": "PACKAGE_PIN",
    "IBUF": "I",
    "OBUF": "O",
}
"""The port of a placed pad that is outside."""


class Document:
    """A flat module that grows cell by cell, between named nets."""

    def __init__(self) -> None:
        self._nets: dict[str, int | str] = {"0": "0", "1": "1"}
        self._cells: dict[str, Any] = {}
        self._ports: dict[str, Any] = {}
        self._titles: dict[str, int | str] = {}

    def net(self, name: str) -> int | str:
        """The bit of a net; "0" and "1" are the constants."""
        return self._nets.setdefault(name, len(self._nets))

    def cell(
        self,
        name: str,
        type: str,
        parameters: Mapping[str, str],
        connections: Mapping[str, str | Sequence[str]],
    ) -> None:
        """Add a cell; connections name one net or several, bit 0 first."""
        bits = {
            port: [self.net(net) for net in ((nets,) if isinstance(nets, str) else nets)]
            for port, nets in connections.items()
        }
        directions = {port: "output" if _OUTPUT.fullmatch(port) else "input" for port in bits}
        self._cells[name] = {
            "type": type,
            "parameters": dict(parameters),
            "port_directions": directions,
            "connections": bits,
        }

    def title(self, name: str, net: str) -> None:
        """Give a net another name."""
        self._titles[name] = self.net(net)

    def port(self, name: str, direction: str, nets: Sequence[str]) -> None:
        """Add a port of the module, bit 0 first."""
        self._ports[name] = {"direction": direction, "bits": [self.net(net) for net in nets]}

    def finish(self) -> dict[str, Any]:
        """The module as a document."""
        nets = {name: {"bits": [bit]} for name, bit in {**self._nets, **self._titles}.items()}
        return {"modules": {TOP: {"ports": self._ports, "cells": self._cells, "netnames": nets}}}


def pads(routed: Mapping[str, Any], top: str = TOP) -> dict[str, tuple[str, list[str]]]:
    """Where placement put the ports of a design: what outside wires are connected to.

    Args:
        routed: what nextpnr's ``--write`` wrote.

    Returns:
        port -> direction and the site ("X72/Y14/PIOD") of each bit, bit 0 first.
    """
    module = routed["modules"][top]
    sites: dict[int, str] = {}
    for cell in module["cells"].values():
        for bit in cell["connections"].get(_PAD_PORTS.get(cell["type"], ""), []):
            sites[bit] = cell["attributes"]["NEXTPNR_BEL"]
    return {
        name: (port["direction"], [sites.get(bit, "") for bit in port["bits"]])
        for name, port in module["ports"].items()
    }


def register_nets(routed: Mapping[str, Any], family: str, top: str = TOP) -> dict[int, str]:
    """Names that nets behind flip-flops have in a decompiled netlist.

    Args:
        routed: what nextpnr's ``--write`` wrote.
        family: "ice40", "ecp5" or "gowin".

    Returns:
        bit of the routed netlist -> name in what ``netlist_of`` gives.
    """
    pattern, port, write = _PLACES[family]
    found = {}
    for cell in routed["modules"][top]["cells"].values():
        match = re.fullmatch(pattern, cell["attributes"].get("NEXTPNR_BEL", ""))
        for bit in cell["connections"].get(port, []) if match else []:
            assert match is not None
            found[bit] = write(match)
    return found


def _ecp5_register(match: re.Match[str]) -> str:
    column, row, letter, half = match.groups()
    return f"R{row}C{column}_Q{2 * 'ABCD'.index(letter) + int(half)}_SLICE"


def ice40_register(column: str, row: str, number: str) -> str:
    """The name of what logic cell `number` of a tile drives."""
    return f"X{column}/Y{row}/lc{number}"


def _ice40_register(match: re.Match[str]) -> str:
    return ice40_register(match[1], match[2], match[3])


def gowin_tile(column: str, row: str) -> str:
    """The name of a tile, which counts from 1, by its place in nextpnr, which counts from 0."""
    return f"R{int(row) + 1}C{int(column) + 1}"


def gowin_register(tile: str, number: str) -> str:
    """The name of what a flip-flop of a tile drives."""
    return f"{tile}_Q{number}"


def _gowin_register(match: re.Match[str]) -> str:
    return gowin_register(gowin_tile(match[1], match[2]), match[3])


_PLACES: dict[str, tuple[str, str, Callable[[re.Match[str]], str]]] = {
    "ice40": (r"X(\d+)/Y(\d+)/lc(\d)", "O", _ice40_register),
    "ecp5": (r"X(\d+)/Y(\d+)/SLICE([A-D])\.FF([01])", "Q", _ecp5_register),
    "gowin": (r"X(\d+)Y(\d+)/DFF(\d)", "Q", _gowin_register),
}
"""By family: places of flip-flops, the port that they drive by, and the name of that net."""


def not_understood(what: str) -> Diagnostic:
    """Part of a bitstream has no model."""
    return Diagnostic(
        "ACT0571",
        f"the bitstream cannot be evaluated: {what}",
        help="this part of the device has no model; the bitstream itself may be right",
    )
