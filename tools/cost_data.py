"""Measure units with yosys and fit the cost model: python tools/cost_data.py.

Units of catalogue functions, in every form, are synthesized for each family. The
measurements and the coefficients that are fitted to them, which `actc.cost` ships, are kept;
`--report` measures nothing and prints how well the estimates agree with the measurements of
functions that the fit never saw; both write that table into docs/cost.md.

Measurements are kept in .cache/cost, one JSON line each, by a digest of the unit's graph and
the family: a run that was ended goes on where it stopped. docs/data holds those of the plan,
with the counts of their units. After changing what is counted, `--recount` counts anew and
fits, without synthesis. Delete the measurements after changing the version of yosys.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cost_plan import TRAINING, Unit, plan
from cost_report import SMALL, counts_of, report, stored
from scipy.optimize import nnls

from actc.cost.features import AREA_FEATURES, DEPTH_FEATURES, GROUPS, Features
from actc.cost.model import COEFFICIENTS, TARGETS, unit_features
from actc.errors import ToolFailed
from actc.targets.fpga.families import FAMILIES
from actc.targets.fpga.hdl import write_verilog
from actc.targets.fpga.synthesis import Source, synthesize_all

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "actc" / "cost"
KEPT = ROOT / "docs" / "data" / "cost_measurements.jsonl"
CACHE = ROOT / ".cache" / "cost" / "measurements.jsonl"
PAGE = ROOT / "docs" / "cost.md"
MARKS = ("<!-- report: begin -->", "<!-- report: end -->")

ROUNDS, FLOOR, RIDGE = 12, 0.05, 0.05
"""Of the fit: rounds of reweighting, the least error that a weight knows, the ridge."""
BATCH_ENTRIES = 6000
"""Table entries that one run of yosys is given, as a measure of its time."""


def read_cache(paths: Iterable[Path]) -> dict[tuple[str, str], dict[str, Any]]:
    """Measurements by digest and family."""
    found = {}
    for path in paths:
        if path.exists():
            for line in path.read_text("utf-8").splitlines():
                row = json.loads(line)
                found[row["digest"], row["family"]] = row
    return found


def measure(units: Sequence[Unit], families: Sequence[str], known: dict[Any, Any]) -> int:
    """Synthesize what is not known yet; the number of units that failed."""
    failures = 0
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    for family in families:
        todo: dict[str, Unit] = {}
        for unit in units:
            if (unit.digest, family) not in known and _fits(unit, family):
                todo[unit.digest] = unit
        for dsp in (False, True):
            jobs = [(digest, unit) for digest, unit in todo.items() if unit.dsp == dsp]
            for batch in _batches(jobs):
                failures += _measure_batch(batch, family, dsp, known)
    return failures


def _fits(unit: Unit, family: str) -> bool:
    """Whether a family has what the unit takes: one iCE40 device has hard multipliers only."""
    return not (unit.dsp and family == "ice40")


def _batches(jobs: list[tuple[str, Unit]]) -> Iterator[list[tuple[str, Unit]]]:
    batch: list[tuple[str, Unit]] = []
    entries = 0
    for digest, unit in jobs:
        size = unit.form.input.count
        if batch and entries + size > BATCH_ENTRIES:
            yield batch
            batch, entries = [], 0
        batch.append((digest, unit))
        entries += size
    if batch:
        yield batch


def _measure_batch(
    batch: list[tuple[str, Unit]], family: str, dsp: bool, known: dict[Any, Any]
) -> int:
    start = time.monotonic()
    sources = [
        Source(write_verilog(unit.module(f"u{digest}")), f"u{digest}") for digest, unit in batch
    ]
    try:
        results = synthesize_all(sources, family, dsp=dsp)
    except ToolFailed as problem:
        if len(batch) > 1:
            return sum(_measure_batch([job], family, dsp, known) for job in batch)
        _say(f"{family}: {batch[0][1].function}, {batch[0][1].title}: {problem}", error=True)
        return 1
    with CACHE.open("a", encoding="utf-8") as cache_file:
        for (digest, unit), result in zip(batch, results, strict=True):
            row = {
                "digest": digest,
                "family": family,
                "function": unit.function,
                "unit": unit.title,
                "tool": result.tool,
                "luts": result.luts,
                "carries": result.carries,
                "muxes": result.muxes,
                "dsps": result.dsps,
                "depth": result.depth,
                "logic_cells": result.logic_cells,
                "total": result.total,
            }
            known[digest, family] = row
            cache_file.write(json.dumps(row) + "\n")
    seconds = time.monotonic() - start
    _say(f"{family}: {len(batch)} units in {seconds:.1f} s")
    return 0


def recounted(units: Iterable[Unit], known: Mapping[Any, Any]) -> dict[Any, dict[str, Any]]:
    """The measurements of units, under their names and with their counts of today."""
    found: dict[Any, dict[str, Any]] = {}
    for unit in units:
        for name, family in FAMILIES.items():
            key = unit.digest, name
            if key in known and key not in found:
                counts = unit_features(unit.form, family, unit.options, dsp=unit.dsp)
                names = {"function": unit.function, "unit": unit.title}
                found[key] = {**known[key], **names, **stored(counts)}
    return found


def fit(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Coefficients by group, cost and feature, from the functions for training."""
    # hard multipliers swallow adders around them, which says nothing about adders
    known = [
        (counts_of(row), row) for row in rows if row["function"] in TRAINING and not row["products"]
    ]
    return {
        group: {
            target: _coefficients(
                DEPTH_FEATURES if target == "depth" else AREA_FEATURES[group],
                target,
                [pair for pair in known if pair[0].group == group],
            )
            for target in TARGETS
        }
        for group in GROUPS
    }


def _coefficients(
    names: Sequence[str], target: str, rows: Sequence[tuple[Features, dict[str, Any]]]
) -> dict[str, float]:
    """Least absolute relative errors by reweighted non-negative least squares, without zeros."""
    counts = np.array(
        [[(r.depth if target == "depth" else r.area)[name] for name in names] for r, _ in rows]
    )
    measured = np.array([row[target] for _, row in rows], float)
    weights = 1 / np.maximum(measured, SMALL)
    for _ in range(ROUNDS):
        scaled = counts * weights[:, None]
        # a little ridge: counts that few units have must not explain these alone
        ridge = np.diag(RIDGE * np.linalg.norm(scaled, axis=0))
        goal = np.append(measured * weights, np.zeros(len(names)))
        found, _ = nnls(np.vstack([scaled, ridge]), goal)
        errors = np.abs(counts @ found - measured) / np.maximum(measured, SMALL)
        weights = 1 / np.maximum(measured, SMALL) / np.sqrt(np.maximum(errors, FLOOR))
    return {n: round(float(c), 4) for n, c in zip(names, found, strict=True) if c > 5e-5}


def _say(text: str, *, error: bool = False) -> None:
    stream = sys.stderr if error else sys.stdout
    stream.write(f"{text}\n")
    stream.flush()


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--report", action="store_true", help="synthesize nothing")
    parser.add_argument("--recount", action="store_true", help="synthesize nothing, but fit")
    parser.add_argument("--families", default=",".join(FAMILIES), help="of which to measure units")
    arguments = parser.parse_args()
    known = read_cache([KEPT, CACHE])
    failures = 0
    if not arguments.report:
        units = list(plan())
        if not arguments.recount:
            failures = measure(units, arguments.families.split(","), known)
        write_data(recounted(units, known), units)
    document = json.loads((DATA / COEFFICIENTS).read_text("utf-8"))
    text = report(list(read_cache([KEPT]).values()), document)
    _say(text)
    page = PAGE.read_text("utf-8")
    before, after = page.split(MARKS[0])[0], page.split(MARKS[1])[1]
    PAGE.write_text(f"{before}{MARKS[0]}\n{text}{MARKS[1]}{after}", "utf-8")
    return 1 if failures else 0


def write_data(known: dict[Any, Any], units: Iterable[Unit]) -> None:
    """Keep the measurements of `units`, and write the coefficients that the package ships."""
    order = ("family", "function", "unit", "digest")
    rows = sorted(known.values(), key=lambda row: [row[name] for name in order])
    lines = [json.dumps(row, separators=(",", ":")) for row in rows]
    (KEPT).write_text("\n".join(lines) + "\n", "utf-8")
    families = {
        name: fit([row for row in rows if row["family"] == name])
        for name in FAMILIES
        if any(row["family"] == name for row in rows)
    }
    planned = {unit.digest: unit for unit in units}.values()
    document = {
        "tool": rows[0]["tool"],
        "measurements": len(rows),
        "planned": {name: sum(_fits(unit, name) for unit in planned) for name in families},
        "families": families,
    }
    (DATA / COEFFICIENTS).write_text(json.dumps(document, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
