"""hardware.json of a folded network: as that of an unrolled one, with its foldings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actc.targets.fpga.assembly import CORE
from actc.targets.fpga.flow import Built
from actc.targets.fpga.flow.report import uses_by_kind
from actc.targets.fpga.folded.assembly import FoldedAssembly
from actc.targets.fpga.folded.costs.area import RESOURCES
from actc.targets.fpga.folded.folding import engine_members
from actc.targets.fpga.hardware import (
    TITLES,
    added,
    bitstream_of,
    critical_path_of,
    is_inside,
    rounded,
    row,
    seeds_of,
    use,
    wire_of,
)
from actc.targets.fpga.synthesis import Resources

ENGINE = "engine"
"""What layers share that take turns."""


def describe_folded(assembly: FoldedAssembly, built: Built) -> dict[str, Any]:
    """The contents of hardware.json for a folded design that was built."""
    reached, choice = built.routed.fmax_mhz, assembly.choice
    board = built.routed.board
    return {
        "device": board.device.title,
        "board": board.name,
        "architecture": "folded",
        "tools": list(built.tools),
        "seed": built.routed.seed,
        "seeds": seeds_of(built),
        "clock": {
            "asked": assembly.clock_mhz,
            "estimated": None,
            "reached": rounded(reached),
        },
        "latency": {
            "clocks": round(choice.latency),
            "ns": rounded(1e3 * choice.latency / assembly.clock_mhz),
        },
        "interval_clocks": choice.interval,
        "samples_per_second": rounded(assembly.samples_per_second),
        "interface": assembly.kind,
        "wire": wire_of(assembly.interface, assembly.kind, assembly.clock_mhz),
        "resources": _resources(assembly, built),
        "foldings": foldings(assembly),
        **_engines(assembly),
        "layers": _layers(assembly, built.synthesis.layers),
        "critical_path": critical_path_of(built),
        "bitstream": bitstream_of(built),
        "program": list(board.program_command(built.bitstream.path.name)),
        "notes": list(board.notes),
    }


def foldings(assembly: FoldedAssembly) -> list[dict[str, Any]]:
    """How each stage is folded, and what it was estimated to take."""
    choice, program = assembly.choice, assembly.network.program
    return [
        {
            "layer": stage.name,
            "outputs_at_a_time": folding.pe,
            "inputs_at_a_time": folding.simd,
            "results_at_a_time": folding.lanes,
            "multipliers": folding.multiplier + (f", {ENGINE}" if folding.engine else ""),
            "weights": folding.weights,
            "window": folding.buffer,
            "clocks": clocks,
            "estimated": dict(zip(RESOURCES, area, strict=True)),
        }
        for stage, folding, clocks, area in zip(
            program.stages, choice.foldings, choice.works, choice.areas, strict=True
        )
    ]


def _engines(assembly: FoldedAssembly) -> dict[str, Any]:
    """What layers share, where they do: their names, its clocks and its estimate."""
    choice, stages = assembly.choice, assembly.network.program.stages
    for members in engine_members(choice.foldings).values():
        own = {
            "layers": [stages[place].name for place in members],
            "clocks": choice.turns,
            "estimated": dict(zip(RESOURCES, choice.engine, strict=True)),
        }
        return {"engine": own}  # a choice has one at most
    return {}


def _resources(assembly: FoldedAssembly, built: Built) -> list[dict[str, Any]]:
    """What nextpnr counted, and what the network alone takes beside its estimate."""
    board, area = built.routed.board, assembly.choice.area
    rows = [
        use(TITLES[kind], found.used, found.available)
        for kind, found in uses_by_kind(built.routed.utilization, board.device.family).items()
    ]
    inside = [found for path, found in built.synthesis.layers.items() if is_inside(path)]
    counts = {
        "logic cells": (sum(found.sites for found in inside), area.luts),
        "flip-flops": (sum(found.ffs for found in inside), area.ffs),
        "block memories": (sum(found.brams for found in inside), area.brams),
        "hard multipliers": (sum(found.dsps for found in inside), area.dsps),
    }
    rows += [use(f"network's {name}", used, None, guess) for name, (used, guess) in counts.items()]
    return rows


def _layers(assembly: FoldedAssembly, found: Mapping[str, Resources]) -> list[dict[str, Any]]:
    """Rows by stage, in their order; then what lies between them, and around the network."""
    stages, design = assembly.network.program.stages, assembly.design
    by_instance = dict(zip(design.instances, range(len(stages)), strict=True))
    rows = [
        row(stage.name, ", ".join(stage.nodes), area.luts)
        for stage, area in zip(stages, assembly.choice.areas, strict=True)
    ]
    between = row("between layers", "", assembly.choice.between.luts)
    around = row("interface and clock", "", None)
    names = [stages[m].name for own in engine_members(design.foldings).values() for m in own]
    shared = row(ENGINE, ", ".join(names), assembly.choice.engine.luts)
    for path, taken in found.items():
        if not is_inside(path):
            around = added(around, taken)
            continue
        inner = path.removeprefix(CORE).lstrip(".").partition(".")[0]
        place = by_instance.get(inner)
        if inner in design.engines.values():
            shared = added(shared, taken)
        elif place is None:
            between = added(between, taken)
        else:
            rows[place] = added(rows[place], taken)
    return [*rows, *([shared] if design.engines else []), between, around]
