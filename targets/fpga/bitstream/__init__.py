"""Bitstreams decompiled: what the bits compute, without believing the tools that made them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actc.targets.fpga.bitstream import ecp5, gowin, ice40
from actc.targets.fpga.bitstream.document import TOP, pads, register_nets
from actc.targets.fpga.bitstream.icestorm import compare_tiles
from actc.targets.fpga.bitstream.trellis_bits import Compared, compare_configurations
from actc.targets.fpga.boards.device import Device
from actc.targets.fpga.gates import GateNetlist

__all__ = [
    "FAMILIES",
    "TOP",
    "Compared",
    "compare_configurations",
    "compare_tiles",
    "decompile",
    "decompiled_document",
    "ecp5",
    "ice40",
    "pads",
    "register_nets",
]

FAMILIES = ("ice40", "ecp5", "gowin")
"""Families whose bitstreams can be decompiled."""


def decompile(
    bitstream: Path, device: Device, ports: Mapping[str, tuple[str, list[str]]]
) -> GateNetlist:
    """The netlist that a bitstream holds.

    Args:
        bitstream: the file for the device (".bin", ".bit", ".fs").
        device: what it is for, of one of the :data:`FAMILIES`.
        ports: where placement put the ports, from :func:`pads`.

    Raises:
        MissingTool: ACT0501, ACT0503, the tools that unpack it are not installed.
        ToolFailed: ACT0510..0513, they failed; ACT0570..0572, ACT0533, the netlist cannot be
            evaluated.
        ValueError: no such family.
    """
    return GateNetlist.read(decompiled_document(bitstream, device, ports), TOP, device.family)


def decompiled_document(
    bitstream: Path, device: Device, ports: Mapping[str, tuple[str, list[str]]]
) -> dict[str, Any]:
    """The same as a document in the form of yosys' JSON, with the module "top".

    Args, raises: as :func:`decompile`, but nothing is evaluated yet.
    """
    match device.family:
        case "ice40":
            return ice40.netlist_of(ice40.decompile(bitstream), ports)
        case "ecp5":
            return ecp5.netlist_of(ecp5.unpack(bitstream), ports)
        case "gowin":
            return gowin.netlist_of(gowin.unpack(bitstream, device.packer), ports)
        case family:
            raise ValueError(f"bitstreams of {family} cannot be decompiled, only {FAMILIES}")
