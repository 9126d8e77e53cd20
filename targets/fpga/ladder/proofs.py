"""What is proved for every input: integer functions, and the netlist as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actc.errors import MissingTool, ToolFailed
from actc.targets.base import Rung
from actc.targets.fpga.assembly import RTL, Assembly
from actc.targets.fpga.gates.core import CORE, Border, cut_core
from actc.targets.fpga.proof import (
    PROVABLE,
    Proof,
    Side,
    UnitProofs,
    prove_pipelines,
    prove_units,
    read_circuits,
)

UNITS = "activation units, proved"
NETLIST = "synthesized netlist, proved"
SECONDS = 60.0
"""That ABC and the solver have for a netlist, each."""
UNIT_SECONDS = 10.0
"""That the solver has for a function that is too large to be evaluated."""
MOST_CELLS = 15_000
"""Cells of a network up to which its netlist is proved."""
SHOWN = 3
"""Functions that a rung names."""


def written_verilog(assembly: Assembly, directory: Path) -> Side:
    """The network's files, as they were written."""
    texts = [(directory / RTL / name).read_text("ascii") for name in assembly.core_files]
    return Side(assembly.core, "".join(texts))


def units_rung(assembly: Assembly, directory: Path) -> Rung:
    """Every integer function of the network, as it is written, and its table."""
    if not assembly.network.units:
        return Rung(UNITS, "not run", "the network has no functions of one integer")
    try:
        (circuit,) = read_circuits([written_verilog(assembly, directory)])
    except (MissingTool, ToolFailed) as problem:
        return Rung(UNITS, "not run", problem.diagnostics[0].message)
    found = prove_units(circuit, assembly.design, assembly.network.units, UNIT_SECONDS)
    return _of_units(
        found, len({assembly.design.graph.scopes[s.end.index] for s in assembly.design.spans})
    )


def _of_units(found: UnitProofs, layers: int) -> Rung:
    places = f"{layers} layer{'s' if layers > 1 else ''}"
    named = f"{found.distinct} distinct of {found.units} functions in {places}"
    if found.refuted:
        return Rung(UNITS, "differs", _some(found.refuted))
    ways = [(found.evaluated, "evaluated on every input"), (found.solved, "proved by SAT")]
    done = ", ".join(f"{count} {way}" for count, way in ways if count)
    if found.undecided:
        left = f"{len(found.undecided)} undecided ({_some(found.undecided)})"
        return Rung(UNITS, "not run", f"{named}: {', '.join(filter(None, (done, left)))}")
    return Rung(UNITS, "equal", f"{named}: {done}")


def _some(items: list[str]) -> str:
    more = f"; {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return "; ".join(items[:SHOWN]) + more


def netlist_proof_rung(
    assembly: Assembly,
    directory: Path,
    document: Mapping[str, Any],
    border: Border,
    family: str,
) -> Rung:
    """The network's cells after synthesis, and its Verilog, for every input."""
    if family not in PROVABLE:
        return Rung(NETLIST, "not run", f"cells of {family} cannot be proved yet")
    core = _core(document, assembly.top, border)
    cells = len(core["cells"])
    if cells > MOST_CELLS:
        return Rung(NETLIST, "not run", f"{cells} cells; up to {MOST_CELLS} are proved")
    gold = written_verilog(assembly, directory)
    gate = Side(CORE, netlist={"modules": {CORE: core}}, family=family)
    try:
        verilog, netlist = read_circuits([gold, gate])
    except (MissingTool, ToolFailed) as problem:
        return Rung(NETLIST, "not run", problem.diagnostics[0].message)
    return _of_netlist(prove_pipelines(verilog, netlist, SECONDS), cells)


def _of_netlist(proof: Proof, cells: int) -> Rung:
    if proof.status == "refuted":
        return Rung(NETLIST, "differs", str(proof.counterexample))
    if proof.status == "undecided":
        return Rung(NETLIST, "not run", f"undecided: {proof.reason}")
    how = "equal to the Verilog for every input (registers as wires, by SAT)"
    return Rung(NETLIST, "equal", f"{cells} cells, {how}")


def _core(document: Mapping[str, Any], top: str, border: Border) -> dict[str, Any]:
    """The module of the network in the board's netlist."""
    module = cut_core(document, top, border)["modules"][CORE]
    return {**module, "cells": {name: _connected(c) for name, c in module["cells"].items()}}


def _connected(cell: Mapping[str, Any]) -> dict[str, Any]:
    """A cell without outputs that are tied to constants, which are open."""
    connections = {
        port: bits
        for port, bits in cell["connections"].items()
        if cell["port_directions"][port] == "input" or all(isinstance(bit, int) for bit in bits)
    }
    return {**cell, "connections": connections}
