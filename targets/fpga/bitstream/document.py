"""Netlists that are found in bitstreams, in the form of yosys' JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TOP = "top"
"""Name of the module."""


class Document:
    """A flat module that grows cell by cell, between named nets."""

    def __init__(self) -> None:
        self._nets: dict[str, int | str] = {"0": "0", "1": "1"}
        self._cells: dict[str, Any] = {}
        self._ports: dict[str, Any] = {}

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
        self._cells[name] = {"type": type, "parameters": dict(parameters), "connections": bits}

    def port(self, name: str, direction: str, nets: Sequence[str]) -> None:
        """Add a port of the module, bit 0 first."""
        self._ports[name] = {"direction": direction, "bits": [self.net(net) for net in nets]}

    def finish(self) -> dict[str, Any]:
        """The module as a document."""
        return {"modules": {TOP: {"ports": self._ports, "cells": self._cells}}}


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
        for port in ("B", "PACKAGE_PIN"):
            if cell["type"] in ("TRELLIS_IO", "SB_IO", "SB_GB_IO"):
                for bit in cell["connections"].get(port, []):
                    sites[bit] = cell["attributes"]["NEXTPNR_BEL"]
    return {
        name: (port["direction"], [sites.get(bit, "") for bit in port["bits"]])
        for name, port in module["ports"].items()
    }
