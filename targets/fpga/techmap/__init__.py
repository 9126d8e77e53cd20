"""Own mappings of sums to cells, for yosys; see docs/adders.md.

commands = with_sums("synth_ecp5 -nodsp -top core", "ecp5")   # lines of a yosys script
files = techmap_files("ecp5")                                 # to lie beside the script
improve(netlist, "ecp5")                                      # before place and route
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actc.targets.fpga.families import SYNTHESIZED, find_family
from actc.targets.fpga.techmap.absorb import absorb_tables
from actc.targets.fpga.techmap.ecp5_cells import number
from actc.targets.fpga.techmap.inverters import take_inverters

_FILES = {"ecp5": ("ecp5_sums.v", "sums.v")}
_FIRST_STAGE = {
    "ecp5": "coarse",
    "gowin": "coarse",
    "ice40": "flatten",
    "xc7": "prepare",
    "xcup": "prepare",
}
"""The stage of the synth_* command behind the one that reads the family's cells."""

_PREPARE = (
    "proc",
    "flatten",
    "opt_expr",
    "opt_clean",
    "wreduce",
    "opt_expr -fine",
    "opt_clean",
)
"""What brings sums to their true width, as synth_* would do later."""


def techmap_files(family: str) -> dict[str, str]:
    """Name -> text of the files that :func:`with_sums` refers to.

    Raises:
        UsageError: ACT0530, no such family.
    """
    folder = Path(__file__).parent
    return {name: (folder / name).read_text("utf-8") for name in _names(family)}


def with_sums(command: str, family: str) -> list[str]:
    """A synth_* command in two parts, between which sums become carry chains.

    Args:
        command: with its options and its top module, without -run.
        family: whose command it is.

    Returns:
        lines of a yosys script; the files of :func:`techmap_files` lie where it runs.

    Raises:
        UsageError: ACT0530, no such family.
    """
    names = _names(family)
    stage = _FIRST_STAGE[family]
    maps = " ".join(f"-map {name}" for name in names)
    return [
        f"{command} -run begin:{stage}",
        *_PREPARE,
        f"techmap {maps}",
        f"{command} -run {stage}:",
    ]


def _names(family: str) -> tuple[str, ...]:
    find_family(family, SYNTHESIZED)
    return _FILES.get(family, ("sums.v",))


def improve(document: dict[str, Any], family: str) -> None:
    """Do in a netlist of yosys' write_json what yosys and nextpnr leave undone.

    On ECP5 inverters and small look-up tables go into the cells that read them, and carries
    that nothing depends on are disconnected. Nothing on other families.
    """
    if family != "ecp5":
        return
    for module in document["modules"].values():
        take_inverters(module)
        absorb_tables(module)
    free_carries(document)


def free_carries(document: dict[str, Any]) -> None:
    """Disconnect carries of ECP5 that nothing depends on, in a netlist of yosys' write_json.

    nextpnr puts a CCU2C in front of a chain whose CIN has a net, be it a constant, and one
    behind a chain whose COUT has one, be it read by nothing. A carry in does not matter
    where the first place's look-up table is constantly 0: COUT then follows LUT2 alone.
    """
    for module in document["modules"].values():
        cells = [cell for cell in module["cells"].values() if cell["type"] == "CCU2C"]
        read = {
            bit
            for cell in module["cells"].values()
            for port, bits in cell["connections"].items()
            if cell["port_directions"].get(port) != "output"
            for bit in bits
        } | {bit for port in module["ports"].values() for bit in port["bits"]}
        for cell in cells:
            connections = cell["connections"]
            if not read.intersection(connections.get("COUT", [])):
                connections["COUT"] = ["x"]
            if not read.intersection(connections.get("S0", [])) and _makes_carry(cell):
                connections["CIN"] = ["x"]


def _makes_carry(cell: dict[str, Any]) -> bool:
    """Whether the first place gives a carry that does not depend on the carry in."""
    table = number(cell, "INIT0")
    used = cell["connections"]
    high = used["C0"] == ["1"] and used["D0"] == ["1"]
    return high and table >> 12 == 0 and cell["parameters"]["INJECT1_0"].strip() == "NO"
