"""What reads what in a netlist of ECP5 cells, as yosys' write_json writes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Bit = int | str
"""A net, or "0", "1", "x"."""
Module = dict[str, Any]
PINS = "ABCD"
"""Of a look-up table, the lowest bit of its address first."""


@dataclass(frozen=True, slots=True)
class Pin:
    """An input of a cell: of one bit, as all but those of memories and multipliers are."""

    cell: str
    port: str


class Readers:
    """Net -> the pins that read it.

    Ports of the module and nets whose names are kept are read by something that is not to be
    changed; so is what a pin of several bits reads.
    """

    def __init__(self, module: Module) -> None:
        self._pins: dict[Bit, list[Pin]] = defaultdict(list)
        self._fixed: set[Bit] = set()
        for port in module["ports"].values():
            self._fixed.update(port["bits"])
        for net in module.get("netnames", {}).values():
            if "keep" in net.get("attributes", {}):
                self._fixed.update(net["bits"])
        for name, cell in module["cells"].items():
            self.learn(name, cell)

    def learn(self, name: str, cell: dict[str, Any]) -> None:
        """Enter what a cell reads."""
        for port, bits in _inputs(cell):
            if len(bits) == 1:
                self._pins[bits[0]].append(Pin(name, port))
            else:
                self._fixed.update(bits)

    def forget(self, name: str, cell: dict[str, Any]) -> None:
        """Take out what a cell reads, before it changes or goes."""
        for port, bits in _inputs(cell):
            if len(bits) == 1:
                self._pins[bits[0]].remove(Pin(name, port))

    def of(self, net: Bit) -> list[Pin] | None:
        """The pins that read a net; None if something else does as well."""
        return None if net in self._fixed else list(self._pins[net])


def _inputs(cell: dict[str, Any]) -> Iterator[tuple[str, list[Bit]]]:
    for port, bits in cell["connections"].items():
        if cell["port_directions"].get(port) != "output":
            yield port, bits


def inputs(cell: dict[str, Any]) -> list[Bit]:
    """What the pins of a LUT4 read."""
    return [cell["connections"][pin][0] for pin in PINS]


def number(cell: dict[str, Any], parameter: str) -> int:
    """A parameter of 16 bits; those that are not defined are 0, as for nextpnr."""
    return int(cell["parameters"][parameter].replace("x", "0"), 2)


def set_number(cell: dict[str, Any], parameter: str, value: int) -> None:
    """Write a parameter of 16 bits."""
    cell["parameters"][parameter] = f"{value:016b}"
