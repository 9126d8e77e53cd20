"""hardware.json: what a routed design takes of its device, for people and for the report.

:mod:`actc.report.hardware` describes the keys. There are no times in it: equal inputs and
tools give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actc.device.interface import Interface
from actc.targets.fpga.assembly import CORE, Assembly
from actc.targets.fpga.boards import Board
from actc.targets.fpga.estimate import Estimate, estimate_design
from actc.targets.fpga.flow import Attempt, Built
from actc.targets.fpga.flow.report import uses_by_kind
from actc.targets.fpga.interfaces import Kind
from actc.targets.fpga.on_board import stream_notes
from actc.targets.fpga.options import FpgaOptions
from actc.targets.fpga.pipeline import report
from actc.targets.fpga.synthesis import Resources

HARDWARE = "hardware.json"

TITLES = {
    "luts": "logic cells",
    "carries": "carry cells",
    "ffs": "flip-flops",
    "brams": "block memories",
    "dsps": "hard multipliers",
    "pins": "pins",
}


def describe(assembly: Assembly, built: Built, options: FpgaOptions) -> dict[str, Any]:
    """The contents of hardware.json for a design that was built."""
    stages = report(assembly.design, assembly.timing)
    reached = built.routed.fmax_mhz
    board = built.routed.board
    estimate = estimate_design(assembly.design, board.device.family)
    return {
        "device": board.device.title,
        "board": board.name,
        "tools": list(built.tools),
        "seed": built.routed.seed,
        "seeds": seeds_of(built),
        "clock": {
            "asked": assembly.clock_mhz,
            "estimated": rounded(stages.clock_mhz),
            "reached": rounded(reached),
        },
        "latency": {
            "clocks": assembly.interface.latency,
            "ns": rounded(1e3 * assembly.interface.latency / reached),
        },
        "samples_per_second": rounded(1e6 * reached),
        "interface": assembly.kind,
        "wire": wire_of(assembly.interface, assembly.kind, assembly.clock_mhz),
        "resources": _resources(built, board, estimate),
        "layers": layers(assembly, built.synthesis.layers, estimate),
        "critical_path": critical_path_of(built),
        "bitstream": bitstream_of(built),
        "program": list(board.program_command(built.bitstream.path.name)),
        "notes": [*board.notes, *stream_notes(board, assembly)],
    }  # fmt: skip


def write_hardware(directory: Path, document: Mapping[str, Any]) -> None:
    """Write hardware.json."""
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    (directory / HARDWARE).write_text(text, encoding="utf-8")


def read_hardware(directory: Path) -> dict[str, Any]:
    """Read hardware.json of a directory that was built."""
    document: dict[str, Any] = json.loads((directory / HARDWARE).read_text(encoding="utf-8"))
    return document


def rounded(value: float) -> float:
    """As many digits as a figure of these files has."""
    return round(value, 3)


def _attempt(attempt: Attempt) -> dict[str, Any]:
    """One placement: its clock, or why there is none."""
    if attempt.failure is not None:
        return {"seed": attempt.seed, "failure": attempt.failure.diagnostics[0].message}
    return {"seed": attempt.seed, "fmax_mhz": rounded(attempt.fmax_mhz)}


def seeds_of(built: Built) -> list[dict[str, Any]]:
    """Each placement that was tried."""
    return [_attempt(attempt) for attempt in built.routed.attempts]


def bitstream_of(built: Built) -> dict[str, Any]:
    """The file and what identifies it."""
    return {
        "file": built.bitstream.path.name,
        "bytes": built.bitstream.bytes,
        "sha256": built.bitstream.sha256,
    }


def wire_of(interface: Interface, kind: Kind, clock_mhz: float) -> str | None:
    """What the wire of the interface takes, where there is one."""
    bits = max(interface.input_bits, interface.output_bits)
    # flags, header and check
    frame = -(-bits // 8) + 5
    if interface.baud is not None:
        rate = interface.baud // (10 * frame)  # start and stop bits
        return f"about {rate} samples/s at {interface.baud} baud"
    if kind == "spi":
        fastest = clock_mhz / 4
        return f"up to {int(1e6 * fastest / (8 * frame))} samples/s at {fastest:g} MHz of sck"
    return None


def _resources(built: Built, board: Board, estimate: Estimate) -> list[dict[str, Any]]:
    """Rows of what nextpnr counted, and of what the network alone takes."""
    rows = []
    total = estimate.total
    for kind, found in uses_by_kind(built.routed.utilization, board.device.family).items():
        # nothing but the network's tables takes any
        estimated = total.brams if kind == "brams" else None
        rows.append(use(TITLES[kind], found.used, found.available, estimated))
    inside = [found for path, found in built.synthesis.layers.items() if is_inside(path)]
    cells, ffs = (sum(getattr(found, name) for found in inside) for name in ("sites", "ffs"))
    rows.append(use("network's logic cells", cells, None, round(total.logic_cells)))
    return [*rows, use("network's flip-flops", ffs, None, total.ffs)]


def use(
    name: str, used: int | None, available: int | None, estimated: int | None = None
) -> dict[str, Any]:
    """A row of resources; `used` is None where nothing counted it."""
    return {"name": name, "used": used, "available": available, "estimated": estimated}


def is_inside(path: str) -> bool:
    """Whether an instance belongs to the network."""
    return path == CORE or path.startswith(f"{CORE}.")


def layers(
    assembly: Assembly, found: Mapping[str, Resources], estimate: Estimate
) -> list[dict[str, Any]]:
    """Rows by instance: the network's layers first, in their order, then its surroundings.

    Cells are told by the nets that they drive. Registers behind the inputs belong to no layer.
    """
    nodes = {layer.name: ", ".join(layer.nodes) for layer in assembly.network.layers}
    titles = {part.instance: part.scope for part in assembly.hierarchy.parts}
    rows: dict[str, dict[str, Any]] = {}
    around = row("interface and clock", "", None)
    for path, taken in found.items():
        if not is_inside(path):
            around = added(around, taken)
            continue
        scope = titles.get(path.partition(".")[2], "")
        guess = estimate.layers.get(scope)
        cells = None if guess is None else round(guess.logic_cells)
        own = rows.get(scope) or row(scope or _INPUTS, nodes.get(scope, ""), cells)
        rows[scope] = added(own, taken)
    order = [name for name in nodes if name in rows]
    order += [name for name in rows if name not in nodes]
    return [rows[name] for name in order] + [around]


_COUNTS = ("luts", "carries", "muxes", "ffs", "brams", "dsps")
_INPUTS = "inputs"


def row(layer: str, operator: str, estimated: int | None) -> dict[str, Any]:
    """A row without cells.

    Args:
        estimated: logic cells.
    """
    counts = dict.fromkeys(_COUNTS, 0)
    return {"layer": layer, "operator": operator, **counts, "cells": 0, "estimated": estimated}


def added(given: Mapping[str, Any], found: Resources) -> dict[str, Any]:
    """A row with what was found more."""
    more = {name: given[name] + getattr(found, name) for name in _COUNTS}
    return {**given, **more, "cells": given["cells"] + found.sites}


def critical_path_of(built: Built) -> list[dict[str, Any]]:
    """The slowest path, ns by layer, in its order."""
    path = built.routed.critical_path
    found: list[dict[str, Any]] = []
    for step in () if path is None else path.steps:
        layer = step.layer.removeprefix("core.") or "interface"
        if found and found[-1]["layer"] == layer:
            found[-1]["ns"] = rounded(found[-1]["ns"] + step.delay_ns)
        else:
            found.append({"layer": layer, "ns": rounded(step.delay_ns)})
    return found
