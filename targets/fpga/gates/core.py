"""A network cut out of the netlist of a whole board, so that samples go in and out directly.

Through the pins of a board a sample takes tens of thousands of clocks. But its netlist keeps
the names of the nets between the network and its surroundings: synthesis those of the ports,
placement those of the nets. Nets that the network reads become ports, everything that its
outputs do not depend on is left out, and what is left is the very netlist of the board,
evaluated at one sample per clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed

CLOCK = "clk"
CORE = "core"
"""Name of the module that is cut out."""
_TIED = {"GND": "0", "VCC": "1"}
"""Cells that Gowin's synthesis makes of constants, and their level."""
_BUFFERED = ("SB_IO_IN", "SB_IO_OUT", "TRELLIS_IO_IN", "TRELLIS_IO_OUT")
"""What nextpnr appends to the name of a port, which the net of its pad keeps."""

_CLOCK_PIN = re.compile(r"(SB_DFF|FD)\w*\.C|\w+\.(CLK[ABRW]?|CLK[0-3]|[RW]CLKN?|WCK|CLOCK)")
"""Cells and ports by which they are clocked; the C of a LUT4 is data."""
_CLOCK_SOURCES = re.compile(
    r"SB_PLL40\w*|ICESTORM_PLL|EHXPLLL|SB_GB|DCCA|DCSC|rPLL|PLLVR|BUFG|SB_HFOSC|OSCG"
)
"""Cells that make or distribute clocks."""
_PLACED_CONSTANT = "$PACKER_"
"""What nextpnr's names of constant nets begin with."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One bit at the border of the network.

    Attributes:
        constant: "0" or "1" where synthesis found it to be constant.
        names: of its net, any of which may survive placement; empty where nothing reads it.
        kept: names of flip-flops that take it: placement on iCE40 puts the table in front of
            a single one into the same cell, whose net between them then has no name.
    """

    constant: str
    names: tuple[str, ...]
    kept: tuple[str, ...] = ()


@dataclass(frozen=True)
class Border:
    """The border of a network in its board.

    Attributes:
        inputs, outputs: port -> its bits, bit 0 first.
    """

    inputs: Mapping[str, tuple[Pin, ...]]
    outputs: Mapping[str, tuple[Pin, ...]]


def find_border(
    document: Mapping[str, Any],
    top: str,
    instance: str,
    inputs: Iterable[str],
    outputs: Iterable[str],
) -> Border:
    """The border of an instance in a synthesized netlist.

    Args:
        document: what yosys' `write_json` wrote, flat.
        top: its module.
        instance: name of the network in it.
        inputs, outputs: its ports, besides the clock.

    Raises:
        ToolFailed: ACT0571, a port has no net any more.
    """
    vectors = document["modules"][top]["netnames"]
    names: dict[int, list[str]] = {}
    for name, entry in vectors.items():
        for bit, title in zip(entry["bits"], _titles(name, entry), strict=True):
            if isinstance(bit, int):
                names.setdefault(bit, []).append(title)

    constants = _constants(document["modules"][top])
    kept: dict[int | str, list[str]] = {}
    for cell in document["modules"][top]["cells"].values():
        if cell["type"].startswith("SB_DFF"):
            (given,), (held,) = cell["connections"]["D"], cell["connections"]["Q"]
            kept.setdefault(given, []).extend(names.get(held, ()))

    def pin(bit: int | str) -> Pin:
        level = constants.get(bit, bit)
        if isinstance(level, int):
            return Pin("", tuple(names[level]), tuple(kept.get(level, ())))
        return Pin(level if level in "01" else "", ())

    def pins(port: str) -> tuple[Pin, ...]:
        entry = vectors.get(f"{instance}.{port}")
        if entry is None:
            raise ToolFailed(_lost(top, f"{instance}.{port}"))
        return tuple(map(pin, entry["bits"]))

    return Border({port: pins(port) for port in inputs}, {port: pins(port) for port in outputs})


def _constants(module: Mapping[str, Any]) -> dict[int | str, str]:
    """Nets that cells of a family tie to a level."""
    return {
        bit: _TIED[cell["type"]]
        for cell in module["cells"].values()
        if cell["type"] in _TIED
        for bit in _bits(cell, "output")
    }


def placed_border(border: Border, routed: Mapping[str, Any], nets: Mapping[int, str]) -> Border:
    """The same border, with the names that its nets have in a decompiled bitstream.

    Args:
        border: of :func:`find_border`.
        routed: the routed netlist, flat, with the module "top".
        nets: bit of the routed netlist -> name, from
            :func:`~actc.targets.fpga.bitstream.register_nets`.

    Raises:
        ToolFailed: ACT0571, an output is no register.
    """
    known = _known(routed["modules"]["top"])

    def placed(pin: Pin, needed: bool) -> Pin:
        bits = [known[name] for name in pin.names if name in known]
        names = tuple(nets[bit] for bit in bits if isinstance(bit, int) and bit in nets)
        if pin.names and needed and not names:
            raise ToolFailed(_lost("top", pin.names[0]))
        return Pin(pin.constant, names)

    return Border(
        {port: tuple(placed(pin, False) for pin in pins) for port, pins in border.inputs.items()},
        {port: tuple(placed(pin, True) for pin in pins) for port, pins in border.outputs.items()},
    )


def _known(module: Mapping[str, Any]) -> dict[str, int | str]:
    """The bit of each name; of a pin's port, what lies behind its buffer."""
    found = {
        title: bit
        for name, entry in module["netnames"].items()
        for bit, title in zip(entry["bits"], _titles(name, entry), strict=True)
    }
    for title, bit in list(found.items()):
        port, _, buffer = title.rpartition("$")
        if buffer in _BUFFERED:
            found[port] = bit
    return found


def cut_core(document: Mapping[str, Any], top: str, border: Border) -> dict[str, Any]:
    """The network alone, as a module :data:`CORE` with the ports of its Verilog.

    Args:
        document: a synthesized or routed netlist of the board, flat.
        top: its module.
        border: of :func:`find_border`.

    Raises:
        ToolFailed: ACT0571, a net of the border is not there any more; ACT0572, logic drives
            a clock, or there are two.
    """
    module = document["modules"][top]
    known = _known(module)
    fresh = _Fresh(module)
    module = _unpacked(module, border, known, fresh)
    clock = fresh.net()
    clocks = _clocks(module, top)
    replaced: dict[int | str, int] = dict.fromkeys(clocks, clock)
    ports: dict[str, Any] = {CLOCK: {"direction": "input", "bits": [clock]}}
    for port, pins in border.inputs.items():
        bits = []
        for pin in pins:
            old = next((known[name] for name in pin.names if name in known), None)
            new = fresh.net()
            bits.append(new)
            if isinstance(old, int):
                # one net for two bits of the input: synthesis saw that they are always equal
                bits[-1] = replaced.setdefault(old, new)
        ports[port] = {"direction": "input", "bits": bits}
    for port, pins in border.outputs.items():
        ports[port] = {"direction": "output", "bits": [_found(pin, known, top) for pin in pins]}
    cells = _cone(module["cells"], ports, replaced)
    inside = {bit for name in cells for bit in _bits(module["cells"][name], "input")}
    if len(inside.intersection(clocks) - _still(module)) > 1:
        raise ToolFailed(_gated(top))
    return {"modules": {CORE: {"ports": ports, "cells": cells, "netnames": {}}}}


def _unpacked(
    module: Mapping[str, Any], border: Border, known: dict[str, int | str], fresh: _Fresh
) -> Mapping[str, Any]:
    """The module with the tables alone of cells whose flip-flop hides a net of the border.

    Args:
        known: learns the nets of these tables.
    """
    drivers = {bit: cell for cell in module["cells"].values() for bit in _bits(cell, "output")}
    cells = dict(module["cells"])
    for pin in (pin for pins in border.outputs.values() for pin in pins):
        if not pin.names or any(name in known for name in pin.names):
            continue
        for name in pin.kept:
            cell = drivers.get(known.get(name, ""))
            if cell is None or cell["type"] != "ICESTORM_LC":
                continue
            known[pin.names[0]] = fresh.net()
            connections = {**cell["connections"], "O": [known[pin.names[0]]]}
            for port in ("LO", "COUT", "CLK", "CEN", "SR"):
                connections.pop(port, None)
            off = "0" * len(str(cell["parameters"]["DFF_ENABLE"]))
            parameters = {**cell["parameters"], "DFF_ENABLE": off}
            cells[f"{pin.names[0]}$table"] = {
                **cell, "parameters": parameters, "connections": connections,
            }  # fmt: skip
            break
    return {**module, "cells": cells}


def _still(module: Mapping[str, Any]) -> set[int | str]:
    """Outputs of clock buffers that placement feeds with a constant.

    The write clock of a memory that is never written is one.
    """
    constants = {
        bit
        for name, entry in module["netnames"].items()
        if name.startswith(_PLACED_CONSTANT)
        for bit in entry["bits"]
    }
    return {
        bit
        for cell in module["cells"].values()
        if _CLOCK_SOURCES.fullmatch(cell["type"]) and constants.intersection(_bits(cell, "input"))
        for bit in _bits(cell, "output")
    }


def _clocks(module: Mapping[str, Any], top: str) -> list[int | str]:
    """Nets that clock cells: outputs of clock sources, or of nothing in the netlist.

    A net that data pins read too is none: unused write ports have both tied to one net.

    Raises:
        ToolFailed: ACT0572, logic drives one.
    """
    logic = [c for c in module["cells"].values() if not _CLOCK_SOURCES.fullmatch(c["type"])]
    clocks: dict[int | str, None] = {}
    data: set[int | str] = set()
    for cell in logic:
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                nets: dict[int | str, None] = {bit: None for bit in bits if isinstance(bit, int)}
                if _CLOCK_PIN.fullmatch(f"{cell['type']}.{port}"):
                    clocks |= nets
                else:
                    data |= nets.keys()
    found = [net for net in clocks if net not in data]
    if any(not set(found).isdisjoint(_bits(cell, "output")) for cell in logic):
        raise ToolFailed(_gated(top))
    return found


def _found(pin: Pin, known: Mapping[str, int | str], top: str) -> int | str:
    """The net of an output."""
    if not pin.names:
        return pin.constant or "x"
    for name in pin.names:
        if name in known:
            return known[name]
    raise ToolFailed(_lost(top, pin.names[0]))


def _cone(
    cells: Mapping[str, Any], ports: Mapping[str, Any], replaced: Mapping[int | str, int]
) -> dict[str, Any]:
    """The cells that the outputs depend on, with their inputs on the nets of the ports."""
    drivers = {bit: name for name, cell in cells.items() for bit in _bits(cell, "output")}
    pending = [
        bit for port in ports.values() if port["direction"] == "output" for bit in port["bits"]
    ]
    found: dict[str, Any] = {}
    while pending:
        bit = pending.pop()
        name = drivers.get(bit)
        if name is None or name in found or bit in replaced:
            continue
        cell = cells[name]
        directions = cell["port_directions"]
        found[name] = {
            **cell,
            "connections": {
                port: [replaced.get(b, b) if directions[port] != "output" else b for b in bits]
                for port, bits in cell["connections"].items()
            },
        }
        pending += _bits(cell, "input")
    return {name: found[name] for name in cells if name in found}


def _bits(cell: Mapping[str, Any], direction: str) -> list[int | str]:
    """Nets at the inputs or outputs of a cell."""
    directions = cell["port_directions"]
    return [
        bit
        for port, bits in cell["connections"].items()
        if directions[port] == direction
        for bit in bits
        if isinstance(bit, int)
    ]


def _titles(name: str, entry: Mapping[str, Any]) -> list[str]:
    """Names of the bits of a vector, as placement writes them."""
    count = len(entry["bits"])
    if count == 1:
        return [name]
    offset = int(entry.get("offset", 0))
    places = range(offset, offset + count)
    order = reversed(places) if entry.get("upto") else places
    return [f"{name}[{place}]" for place in order]


class _Fresh:
    """Nets that a module does not have."""

    def __init__(self, module: Mapping[str, Any]) -> None:
        bits = [
            bit
            for cell in module["cells"].values()
            for bits in cell["connections"].values()
            for bit in bits
            if isinstance(bit, int)
        ]
        bits += [bit for entry in module["netnames"].values() for bit in entry["bits"]
                 if isinstance(bit, int)]  # fmt: skip
        self._next = max(bits, default=0)

    def net(self) -> int:
        self._next += 1
        return self._next


def _gated(top: str) -> Diagnostic:
    return Diagnostic(
        "ACT0572",
        f"the network in the netlist of {top} has two clocks, or one that logic drives",
        help="netlists are evaluated with one clock that comes from a port or an oscillator",
    )


def _lost(top: str, net: str) -> Diagnostic:
    return Diagnostic(
        "ACT0571",
        f"the netlist of {top} cannot be evaluated: the net {net} is not in it",
        help="this is an error of the tool that wrote it, or a mode that has no model",
    )
