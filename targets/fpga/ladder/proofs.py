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
    prove_equal,
    prove_stages,
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
MOST_UNROLLED = 2_000
"""Cells up to which an input is looked for that shows a difference of one stage."""
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
    core = _named_core(document, assembly.top, border)
    cells = len(core["cells"])
    if cells > MOST_CELLS:
        return Rung(NETLIST, "not run", f"{cells} cells; up to {MOST_CELLS} are proved")
    gold = written_verilog(assembly, directory)
    gate = Side(CORE, netlist={"modules": {CORE: core}}, family=family)
    try:
        verilog, netlist = read_circuits([gold, gate])
    except (MissingTool, ToolFailed) as problem:
        return Rung(NETLIST, "not run", problem.diagnostics[0].message)
    proof = prove_stages(verilog, netlist, SECONDS)
    if proof.status == "refuted" and cells <= MOST_UNROLLED:
        proof = _confirmed(proof, gold, gate, assembly.design.latency or 0)
    elif proof.status == "refuted":
        reason = f"{proof.reason} differs in some state, and no input was looked for"
        proof = Proof("undecided", proof.seconds, None, reason)
    return _of_netlist(proof, cells)


def _confirmed(proof: Proof, gold: Side, gate: Side, latency: int) -> Proof:
    """A stage that differs in some state, if an input leads there."""
    whole = prove_equal(gold, gate, latency=latency, seconds=SECONDS)
    if whole.status != "undecided":
        return whole
    reason = f"{proof.reason} differs in a state that no input was found for: {whole.reason}"
    return Proof("undecided", proof.seconds + whole.seconds, None, reason)


def _of_netlist(proof: Proof, cells: int) -> Rung:
    if proof.status == "refuted":
        return Rung(NETLIST, "differs", str(proof.counterexample))
    if proof.status == "undecided":
        return Rung(NETLIST, "not run", f"undecided: {proof.reason}")
    how = "equal to the Verilog for every input (registers by name, logic between them by SAT)"
    return Rung(NETLIST, "equal", f"{cells} cells, {how}")


def _named_core(document: Mapping[str, Any], top: str, border: Border) -> dict[str, Any]:
    """The module of the network in the board's netlist, with the names that its Verilog has."""
    module = cut_core(document, top, border)["modules"][CORE]
    cells = {name: _connected(cell) for name, cell in module["cells"].items()}
    own = {bit for cell in cells.values() for bits in cell["connections"].values() for bit in bits}
    kept, start = own | {"0", "1"}, f"{CORE}."
    names = {}
    for name, entry in document["modules"][top]["netnames"].items():
        if name.startswith(start) and kept.intersection(entry["bits"]):
            # of some wires only a few bits are left
            bits = [bit if bit in kept else "x" for bit in entry["bits"]]
            names[name.removeprefix(start)] = {**entry, "bits": bits}
    return {**module, "cells": cells, "netnames": names}


def _connected(cell: Mapping[str, Any]) -> dict[str, Any]:
    """A cell without outputs that are tied to constants, which are open."""
    connections = {
        port: bits
        for port, bits in cell["connections"].items()
        if cell["port_directions"][port] == "input" or all(isinstance(bit, int) for bit in bits)
    }
    return {**cell, "connections": connections}
