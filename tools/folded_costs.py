"""Measure folded stages with yosys and fit their costs: python tools/folded_costs.py.

Stages of many kinds, each in some of its foldings, are synthesized for each family.
`actc.targets.fpga.folded.costs` ships the coefficients that are fitted to what three of four
measurements say, each to the instances that it stands for; how well they estimate the others is
printed, and by `--report` alone.

Measurements are kept in docs/data, one JSON line each; a run that was ended goes on where it
stopped. After changing what is counted, `--fit` fits again without synthesis; after changing the
hardware or the version of yosys, delete the measurements.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from folded_plan import Unit, plan
from scipy.optimize import nnls

from actc.errors import ToolFailed
from actc.targets.fpga.boards import devices
from actc.targets.fpga.families import FAMILIES
from actc.targets.fpga.flow import Synthesis, synthesize_design
from actc.targets.fpga.folded.assembly import function_costs
from actc.targets.fpga.folded.costs.area import weighed
from actc.targets.fpga.folded.costs.bits import stage_bits
from actc.targets.fpga.folded.costs.features import (
    COMPONENTS,
    Counts,
    FunctionCost,
    converter_counts,
    fifo_counts,
    stage_counts,
)
from actc.targets.fpga.folded.folding import input_word
from actc.targets.fpga.folded.hardware.core import FoldedDesign, folded_design
from actc.targets.fpga.folded.hardware.lags import queue_elements
from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.program import FoldedProgram
from actc.targets.fpga.pipeline.timing import TIMINGS

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs" / "data" / "folded_measurements.jsonl"
SHIPPED = ROOT / "targets" / "fpga" / "folded" / "costs" / "coefficients.json"

SPEEDS = {
    "ecp5": ("ecp5-25k", "ecp5-6", 80.0),
    "ice40": ("ice40-up5k", "ice40-up", 18.0),
    "gowin": ("gowin-gw2a18", "gowin-gw2a18", 40.0),
}
"""By family: the device, the timing and the clock that stages are measured at."""
NEAREST = "ecp5"
"""The family whose coefficients others take that are not measured; it comes first."""
ROUNDS, FLOOR, RIDGE = 12, 0.05, 0.1
"""Of the fit: rounds of reweighting, the least error that a weight knows, the pull to 1."""
SMALL = 60.0
"""Below this many, errors are counted in cells, not in shares."""
TEST = 4
"""Of so many measurements, the last is not fitted to."""
RESOURCES = ("cells", "ffs")
"""What is fitted, in the order of a row's parts."""


def digest(unit: Unit, family: str) -> str:
    """Of what is measured."""
    stage = unit.program.stages[0]
    folding = str(unit.folding)
    for usual in (", engine=0", ", codebook=False"):  # of stages alone; these say nothing
        folding = folding.replace(usual, "")
    text = f"{family} {unit.name} {folding} {unit.entry} {stage.input} {stage.output}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_measurements() -> dict[str, dict[str, Any]]:
    """By digest."""
    if not KEPT.exists():
        return {}
    rows = [json.loads(line) for line in KEPT.read_text("utf-8").splitlines()]
    return {row["digest"]: row for row in rows}


def measure(units: Sequence[Unit], family: str, known: dict[str, dict[str, Any]]) -> int:
    """Synthesize what is not known yet; the number of units that failed."""
    _, timing, clock = SPEEDS[family]
    options = HardwareOptions(family, TIMINGS[timing], clock)
    failures = 0
    for unit in units:
        key = digest(unit, family)
        if key in known or not _is_built(unit, family):
            continue
        design = folded_design(unit.program, [unit.folding], f"u{key}", options, unit.entry)
        try:
            found = _synthesized(design, family, hard=unit.folding.multiplier == "dsp")
        except ToolFailed as problem:
            failures += 1
            say(f"{family}: {unit.name}: {problem}")
            continue
        row = {
            "digest": key, "family": family, "unit": unit.name, "folding": asdict(unit.folding),
            "entry": unit.entry, "brams": found.total.brams, "dsps": found.total.dsps,
            "parts": parts_of(found), "tool": found.tool,
        }  # fmt: skip
        known[key] = row
        with KEPT.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, separators=(",", ":")) + "\n")
        estimated = weighed(counts_of(unit, family), FAMILIES[family])
        say(f"{family}: {unit.name} {unit.folding}: {found.total.sites} cells, "
            f"{found.total.ffs} flip-flops, {found.total.brams} BRAM, {found.total.dsps} DSP; "
            f"estimated {estimated}")  # fmt: skip
    return failures


def _synthesized(design: FoldedDesign, family: str, *, hard: bool) -> Synthesis:
    """What the flow of `actc compile` makes of a design, without pads."""
    device = devices()[SPEEDS[family][0]]
    with tempfile.TemporaryDirectory(prefix="actc-costs-") as folder:
        return synthesize_design(
            design.files, design.name, device, Path(folder), dsp=hard, pads=False
        )


def parts_of(found: Synthesis) -> dict[str, list[int]]:
    """Logic cells and flip-flops by instance in the stage; "" is what lies around the stage."""
    parts: dict[str, list[int]] = {}
    for path, taken in found.layers.items():
        inner = path.partition(".")[2]
        cells, ffs = parts.get(inner, (0, 0))
        parts[inner] = [cells + taken.sites, ffs + taken.ffs]
    return parts


def component_of(instance: str) -> tuple[str, ...]:
    """The instances that one is counted with."""
    return next((names for names in COMPONENTS if instance in names), ())


def _is_built(unit: Unit, family: str) -> bool:
    """Whether the folding is one of the family: hard multipliers take wide products only."""
    hard = stage_bits(unit.program.stages[0]).is_hard(FAMILIES[family])
    return hard or unit.folding.multiplier == "logic"


def counts_of(unit: Unit, family: str) -> Counts:
    """What is counted of a unit, and of the converters and queues in front of it."""
    (stage,) = unit.program.stages
    function = _function(unit.program, stage.name, family)
    kind = FAMILIES[family]
    counts = stage_counts(stage, unit.folding, kind, function, stage_bits(stage))
    width, word = stage.input.range.width, input_word(stage, unit.folding)
    for kept in queue_elements(unit.program, 0):
        for more in (
            converter_counts(unit.entry, word, width),
            fifo_counts(kept, unit.entry, width, kind),
        ):
            counts.brams += more.brams
            for name in more.cells:
                counts.add(name, more.cells[name], more.ffs[name])
    return counts


_FUNCTIONS: dict[tuple[str, str], FunctionCost] = {}


def _function(program: FoldedProgram, name: str, family: str) -> FunctionCost:
    """What a function unit takes; looked for once for all foldings of a stage."""
    if (name, family) not in _FUNCTIONS:
        _FUNCTIONS[name, family] = function_costs(program, family).get(name, FunctionCost())
    return _FUNCTIONS[name, family]


Pair: TypeAlias = tuple[Counts, Mapping[str, Any]]


def fit(pairs: Sequence[Pair]) -> dict[str, dict[str, float]]:
    """Coefficients of logic cells and flip-flops."""
    return {
        resource: {
            name: value
            for component in COMPONENTS
            for name, value in _coefficients(pairs, component, place).items()
        }
        for place, resource in enumerate(RESOURCES)
    }


def _coefficients(
    pairs: Sequence[Pair], component: tuple[str, ...], place: int
) -> dict[str, float]:
    """Least absolute relative errors by reweighted non-negative least squares."""
    names = COMPONENTS[component]
    table = np.array(
        [[getattr(c, RESOURCES[place]).get(name, 0.0) for name in names] for c, _ in pairs]
    )
    known = table.any(axis=1)
    counts, measured = table[known], measured_of(pairs, component, place)[known]
    if not measured.any():  # of no measurement, or not told apart
        return dict.fromkeys(names, 1.0)
    least = np.maximum(measured, SMALL)
    weights = 1 / least
    for _ in range(ROUNDS):
        scaled = counts * weights[:, None]
        # counts that few stages have must not explain these alone
        pull = RIDGE * np.linalg.norm(scaled, axis=0) + 1e-6
        found, _ = nnls(np.vstack([scaled, np.diag(pull)]), np.append(measured * weights, pull))
        weights = 1 / least / np.sqrt(np.maximum(np.abs(counts @ found - measured) / least, FLOOR))
    return {name: round(float(value), 4) for name, value in zip(names, found, strict=True)}


def measured_of(pairs: Sequence[Pair], component: tuple[str, ...], place: int) -> np.ndarray:
    """What the instances of a component took in each measurement."""
    return np.array(
        [
            sum(
                taken[place]
                for instance, taken in row["parts"].items()
                if component_of(instance) == component
            )
            for _, row in pairs
        ],
        float,
    )


def report(family: str, pairs: Sequence[Pair], title: str) -> None:
    """How far estimates are off, in percent of what was measured."""
    errors: dict[str, list[float]] = {"cells": [], "ffs": []}
    exact = [0, 0]
    coefficients = json.loads(SHIPPED.read_text("utf-8"))["families"][family]
    for counts, row in pairs:
        area = weighed(counts, FAMILIES[family], coefficients)
        for place, value in enumerate((area.luts, area.ffs)):
            measured = sum(taken[place] for taken in row["parts"].values())
            errors[RESOURCES[place]].append(100 * abs(value - measured) / max(measured, 1))
        exact[0] += area.brams == row["brams"]
        exact[1] += area.dsps == row["dsps"]
    middle = {name: np.percentile(values, [50, 90]) for name, values in errors.items()}
    texts = [f"{name} {m:.1f} / {p:.1f} %" for name, (m, p) in middle.items()]
    say(f"{family}, {len(pairs)} {title}: median / 90th percentile of errors: {', '.join(texts)}; "
        f"block memories exact in {exact[0]}, multipliers in {exact[1]}")  # fmt: skip


def say(text: str) -> None:
    """A line of progress."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--report", action="store_true", help="synthesize and fit nothing")
    parser.add_argument("--fit", action="store_true", help="synthesize nothing, but fit")
    parser.add_argument("--families", default=",".join(SPEEDS), help="of which to measure stages")
    arguments = parser.parse_args()
    known, units, failures = read_measurements(), plan(), 0
    if not (arguments.report or arguments.fit):
        for family in arguments.families.split(","):
            failures += measure(units, family, known)
    pairs = {
        family: [
            (counts_of(unit, family), known[digest(unit, family)])
            for unit in units
            if digest(unit, family) in known and _is_built(unit, family)
        ]
        for family in SPEEDS
    }
    training = {
        family: [pair for place, pair in enumerate(found) if place % TEST != TEST - 1]
        for family, found in pairs.items()
    }
    if not arguments.report:
        document = json.loads(SHIPPED.read_text("utf-8"))
        document["measurements"] = sum(map(len, pairs.values()))
        document["tool"] = next(iter(known.values()))["tool"]
        for family, found in training.items():
            if found:
                document["families"][family] = fit(found)
            else:  # not measured: those whose logic cells are nearest
                document["families"][family] = document["families"][NEAREST]
        SHIPPED.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    for family, found in pairs.items():
        if found:
            report(family, training[family], "stages that were fitted to")
            report(family, found[TEST - 1 :: TEST], "others")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
