"""Circuits that yosys reads: Verilog, and netlists of the cells of a family."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.fpga.proof.memories import without_memories

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LIBRARIES = {
    "ice40": "read_verilog -defer -D NO_ICE40_DEFAULT_ASSIGNMENTS +/ice40/cells_sim.v",
    "ecp5": "read_verilog -defer -D NO_INCLUDES +/ecp5/cells_sim.v",
    "gowin": "read_verilog -defer +/gowin/cells_sim.v",
    "xc7": "read_verilog -defer +/xilinx/cells_sim.v",
    "xcup": "read_verilog -defer +/xilinx/cells_sim.v",
}
PROVABLE = frozenset(_LIBRARIES)
"""Families whose netlists can be read."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two circuits.

    Attributes:
        top: its module, a plain identifier.
        verilog: text; "" for a netlist.
        netlist: what yosys' ``write_json`` wrote, with cells of `family`.
        family: a key of the libraries that yosys ships; "" for Verilog.
    """

    top: str
    verilog: str = ""
    netlist: Mapping[str, Any] | None = None
    family: str = ""


def read_side(folder: Path, role: str, side: Side) -> list[str]:
    """Commands that read a circuit into an empty design; its files are written into `folder`.

    Args:
        role: a plain name for its files.

    Raises:
        UsageError: ACT0531, its top is not a plain identifier; ACT0530, no cell models for a
            netlist's family.
    """
    if not _IDENTIFIER.fullmatch(side.top):
        raise UsageError(_bad_name(side.top))
    if side.netlist is None:
        (folder / f"{role}.v").write_text(side.verilog, "utf-8")
        read = [f"read_verilog {role}.v"]
    else:
        library = _LIBRARIES.get(side.family)
        if library is None:
            raise UsageError(_no_library(side.family))
        # without the cell types, which it holds as empty boxes
        module = without_memories(side.netlist["modules"][side.top], side.family)
        alone = {"creator": "actc", "modules": {side.top: module}}
        (folder / f"{role}.json").write_text(json.dumps(alone), "utf-8")
        read = [library, f"read_json {role}.json"]
    return [*read, f"hierarchy -check -top {side.top}"]


def _bad_name(name: str) -> Diagnostic:
    return Diagnostic(
        "ACT0531",
        f"{name!r} is not a plain Verilog identifier",
        help="name the module with letters, digits and underscores, not beginning with a digit",
    )


def _no_library(family: str) -> Diagnostic:
    return Diagnostic(
        "ACT0530",
        f"there are no cell models for netlists of {family!r}",
        help=f"write one of {', '.join(_LIBRARIES)}",
    )
