"""What the tools made, beside golden: netlists of the whole board, and the bitstream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actc.errors import MissingTool, ToolFailed
from actc.targets.base import Rung
from actc.targets.fpga.assembly import Assembly
from actc.targets.fpga.bitstream import FAMILIES as DECOMPILED
from actc.targets.fpga.bitstream import (
    TOP,
    compare_configurations,
    compare_tiles,
    decompiled_document,
    ecp5,
    ice40,
    pads,
    register_nets,
)
from actc.targets.fpga.boards.device import Device
from actc.targets.fpga.flow import BITSTREAMS, CONFIGURATIONS
from actc.targets.fpga.gates import GateNetlist, compare
from actc.targets.fpga.gates.core import CORE, Border, cut_core, find_border, placed_border
from actc.targets.fpga.ladder.vectors import Vectors, counted

UNREADABLE = "ACT0571"
"""A bitstream holds a part of the device that is not decompiled, as block memories of ECP5."""

PINS = "the ports of a bare stream are pins, which it does not name"
"""Why the network cannot be cut out of its bitstream."""


def border_of(assembly: Assembly, synthesized: Mapping[str, Any]) -> Border:
    """Where the network ends in the synthesized netlist of its top module."""
    inputs, outputs = assembly.input_ports, assembly.output_ports
    return find_border(synthesized, assembly.top, "core", inputs, outputs)


def netlist_rung(
    name: str,
    assembly: Assembly,
    document: Mapping[str, Any],
    top: str,
    border: Border,
    family: str,
    vectors: Vectors,
) -> Rung:
    """The network's cells in a netlist of the board."""
    netlist = GateNetlist.read(cut_core(document, top, border), CORE, family)
    difference = compare(netlist, assembly.design, vectors.codes, vectors.expected)
    if difference is not None:
        return Rung(name, "differs", str(difference), vectors.count)
    how = f"{sum(netlist.cells.values())} cells evaluated; {counted(vectors)}"
    return Rung(name, "equal", how, vectors.count)


def bitstream_rung(
    assembly: Assembly,
    directory: Path,
    routed: Mapping[str, Any],
    border: Border,
    device: Device,
    vectors: Vectors,
    configuration: Path,
) -> Rung:
    """What the bits mean, found without the netlists: only the places of the ports are."""
    name, family = "bitstream", device.family
    if family not in DECOMPILED:
        return Rung(name, "not run", f"bitstreams of {family} are not decompiled")
    path = directory / f"{assembly.top}{BITSTREAMS[family]}"
    try:
        if assembly.kind == "stream":
            return configuration_rung(name, device, path, configuration, PINS)
        document = decompiled_document(path, device, pads(routed))
    except MissingTool as problem:
        return Rung(name, "not run", problem.diagnostics[0].message)
    except ToolFailed as problem:
        if problem.diagnostics[0].code != UNREADABLE:
            raise
        reason = problem.diagnostics[0].message
        return configuration_rung(name, device, path, configuration, reason)
    placed = placed_border(border, routed, register_nets(routed, family))
    return netlist_rung(name, assembly, document, TOP, placed, family, vectors)


def configuration_rung(
    name: str, device: Device, path: Path, configuration: Path, reason: str
) -> Rung:
    """Bits that cannot be evaluated: of ECP5 and iCE40, beside what placement asked for."""
    if device.family not in CONFIGURATIONS:
        return Rung(name, "not run", reason)
    try:
        asked = configuration.read_text("utf-8")
        if device.family == "ecp5":
            compared = compare_configurations(asked, ecp5.unpack(path))
        else:
            compared = compare_tiles(asked, ice40.unpack(path))
    except ToolFailed as problem:
        if problem.diagnostics[0].code != UNREADABLE:
            raise
        return Rung(name, "not run", f"{reason}; {problem.diagnostics[0].message}")
    if compared.different:
        some, count = ", ".join(compared.different[:3]), len(compared.different)
        return Rung(name, "differs", f"{count} tiles or memories not as routed: {some}")
    how = f"{compared.bits} bits of the fabric and {compared.words} words of block memories"
    return Rung(name, "equal", f"{how} are as routed; not evaluated: {reason}")


def read_netlist(path: Path) -> dict[str, Any]:
    """What yosys or nextpnr wrote as JSON."""
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document
