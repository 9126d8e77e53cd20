"""hardware.json: what a routed design takes of its device, for people and for the report.

:mod:`actc.report.hardware` describes the keys. There are no times in it: equal inputs and
tools give equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actc.targets.fpga.assembly import Assembly
from actc.targets.fpga.boards import Board
from actc.targets.fpga.flow import Built, CriticalPath
from actc.targets.fpga.flow.report import COUNTED
from actc.targets.fpga.options import FpgaOptions
from actc.targets.fpga.pipeline import report
from actc.targets.fpga.synthesis import Resources

HARDWARE = "hardware.json"

_TITLES = {
    "luts": "logic cells",
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
    return {
        "device": board.device.title,
        "board": board.name,
        "tools": list(built.tools),
        "seed": built.routed.seed,
        "seeds": [{"seed": a.seed, "fmax_mhz": rounded(a.fmax_mhz)} for a in built.routed.attempts
                  if a.failure is None],
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
        "wire": _wire(assembly),
        "resources": _resources(built, board, stages.register_bits),
        "layers": layers(assembly, built.synthesis.layers),
        "critical_path": _path(built.routed.critical_path),
        "bitstream": {
            "file": built.bitstream.path.name,
            "bytes": built.bitstream.bytes,
            "sha256": built.bitstream.sha256,
        },
        "program": list(board.program_command(built.bitstream.path.name)),
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


def _wire(assembly: Assembly) -> str | None:
    """What the wire of the interface takes, where it has a rate of its own."""
    if assembly.interface.baud is None:
        return None
    bits = max(assembly.interface.input_bits, assembly.interface.output_bits)
    # flags, header and check; start and stop bits
    frame = 10 * (-(-bits // 8) + 5)
    return f"about {assembly.interface.baud // frame} samples/s at {assembly.interface.baud} baud"


def _resources(built: Built, board: Board, register_bits: int) -> list[dict[str, Any]]:
    """Rows of what nextpnr counted."""
    rows = []
    for name, kind in COUNTED[board.device.family].items():
        found = built.routed.utilization.get(name)
        if found is not None:
            rows.append(use(_TITLES[kind], found.used, found.available))
    layers = built.synthesis.layers
    registers = sum(part.ffs for path, part in layers.items() if path.startswith("core"))
    return [*rows, use("network's flip-flops", registers, None, register_bits)]


def use(
    name: str, used: int, available: int | None, estimated: int | None = None
) -> dict[str, Any]:
    """A row of resources."""
    return {"name": name, "used": used, "available": available, "estimated": estimated}


def layers(assembly: Assembly, found: Mapping[str, Resources]) -> list[dict[str, Any]]:
    """Rows by instance: the network's layers first, in their order, then its surroundings.

    Cells are told by the nets that they drive; those of nets that cross a border count there.
    """
    nodes = {layer.name: ", ".join(layer.nodes) for layer in assembly.network.layers}
    titles = {part.instance: part.scope for part in assembly.hierarchy.parts}
    rows: dict[str, dict[str, Any]] = {}
    around = _row("interface and clock", "")
    for path, taken in found.items():
        inside, _, instance = path.partition(".")
        if inside != "core":
            around = _added(around, taken)
            continue
        scope = titles.get(instance, "")
        key = scope or "at borders of layers"
        rows[key] = _added(rows.get(key) or _row(key, nodes.get(scope, "")), taken)
    order = [name for name in nodes if name in rows]
    order += [name for name in rows if name not in nodes]
    return [rows[name] for name in order] + [around]


_COUNTS = ("luts", "carries", "muxes", "ffs", "brams", "dsps")


def _row(layer: str, operator: str) -> dict[str, Any]:
    return {"layer": layer, "operator": operator, **dict.fromkeys(_COUNTS, 0), "cells": 0}


def _added(row: dict[str, Any], found: Resources) -> dict[str, Any]:
    more = {name: row[name] + getattr(found, name) for name in _COUNTS}
    return {**row, **more, "cells": row["cells"] + found.logic_cells}


def _path(path: CriticalPath | None) -> list[dict[str, Any]]:
    """The slowest path, ns by layer, in its order."""
    found: list[dict[str, Any]] = []
    for step in () if path is None else path.steps:
        layer = step.layer.removeprefix("core.") or "interface"
        if found and found[-1]["layer"] == layer:
            found[-1]["ns"] = rounded(found[-1]["ns"] + step.delay_ns)
        else:
            found.append({"layer": layer, "ns": rounded(step.delay_ns)})
    return found
