"""Measure units with yosys and fit the cost model: python tools/cost_data.py.

Units of catalogue functions, in every form, are synthesized for each family. The
measurements and the coefficients that are fitted to them are what `actc.cost` ships;
`--report` measures nothing and prints how well the estimates agree with the measurements of
functions that the fit never saw; both write that table into docs/cost.md.

Measurements are kept in .cache/cost, one JSON line each with the counts of the unit, by a
digest of the unit's graph and the family: a run that was ended goes on where it stopped, and
units that fits no longer give still say what their counts cost. Delete them, and those in
actc/cost/data, after changing the counts or the version of yosys.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from actc.approx.candidates import Variant, candidates, variants
from actc.approx.catalogue import find
from actc.approx.fixed_point import FixedPoint
from actc.approx.gates import FixedForm, Gates, NoForm, Objective, make_gates
from actc.cost.features import AREA_FEATURES, DEPTH_FEATURES, FEATURES, GROUPS, Features
from actc.cost.model import COEFFICIENTS, TARGETS, predict, unit_features
from actc.errors import ToolFailed
from actc.targets.fpga.families import FAMILIES
from actc.targets.fpga.hdl import Module, write_verilog
from actc.targets.fpga.synthesis import Source, synthesize_all
from actc.targets.fpga.units import UnitOptions, unit_module

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "actc" / "cost" / "data"
CACHE = ROOT / ".cache" / "cost" / "measurements.jsonl"
PAGE = ROOT / "docs" / "cost.md"
MARKS = ("<!-- report: begin -->", "<!-- report: end -->")

TRAINING = (
    "GELU",
    "Tanh",
    "SiLU",
    "Exp",
    "ELU",
    "HardSwish",
    "Snake",
    "Gaussian",
    "Mish",
    "MexicanHat",
    "Sqrt",
    "Arctan",
    "Softplus",
    "Square",
    "SPDER",
    "BSplineKAN",
    "PAU",
    "Symlog",
    "Elephant",
    "CATS",
)
HELD_OUT = (
    "Sigmoid",
    "Serf",
    "Morlet",
    "RationalKAN",
    "HardSigmoid",
    "GrowingCosine",
    "Softclip",
    "BentIdentity",
    "FourierBasis",
    "Cosine",
    "Logish",
    "HermiteBasis",
)
"""Functions of all shapes; those held out are never fitted."""
FORMS = ("table", "compressed", "bipartite", "thresholds", "pwl", "tree")
"""Forms that are measured."""
MEASUREMENTS = "measurements.jsonl"
FEWEST_TO_CHOOSE = 6
"""Forms of a function that make a choice between them worth judging."""
ROUNDS, FLOOR, RIDGE = 12, 0.05, 0.05
"""Of the fit: rounds of reweighting, the least error that a weight knows, the ridge."""
SMALL = 4
"""Costs below count as this much when errors are taken relative to them."""
BATCH_ENTRIES = 6000
"""Table entries that one run of yosys is given, as a measure of its time."""


@dataclass(frozen=True)
class Unit:
    """A form of a function, to be synthesized.

    Attributes:
        function: name in the catalogue.
        form: what to build.
        title: form and parameters, for people.
        options: how to build it.
        dsp: whether products may take hard multipliers.
    """

    function: str
    form: FixedForm
    title: str
    options: UnitOptions
    dsp: bool

    @property
    def held_out(self) -> bool:
        """Whether the fit must not see it."""
        return self.function in HELD_OUT

    def module(self, name: str = "unit") -> Module:
        """What is synthesized."""
        return unit_module(self.form, name, self.options)

    @cached_property
    def digest(self) -> str:
        """By which its measurements are found again: of its graph, whatever its Verilog."""
        module = self.module()
        wires = module.wires()
        place = {wire.index: number for number, wire in enumerate(wires)}
        lines = [
            f"{wire.operator!r} {[place[operand.index] for operand in wire.operands]}"
            for wire in wires
        ]
        lines += [f"{place[out.wire.index]} {out.width}" for out in module.outputs]
        text = "\n".join([*lines, str(self.dsp)])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def formats(function: str, bits: int, output_bits: int) -> tuple[FixedPoint, FixedPoint]:
    """Inputs in [-8, 8), or [0, 16) where the function needs it; outputs that hold its values."""
    entry = find(function)
    source = FixedPoint(entry.domain[0] < 0, bits, bits - 4)
    values = np.clip(entry.function()(source.values()), -64, 64)
    signed = bool(values.min() < 0)
    whole = max(int(np.ceil(np.log2(max(-values.min(), values.max()) * 1.0001))), -4)
    return source, FixedPoint(signed, output_bits, output_bits - signed - whole)


@cache
def gates_of(function: str, bits: int, output_bits: int, objective: Objective) -> Gates:
    """Gates of a function in its :func:`formats`."""
    source, output = formats(function, bits, output_bits)
    return make_gates(find(function).function(), source, output, objective)


def plan() -> Iterator[Unit]:
    """The units to measure: every form at 8 bits, fewer of them at other widths."""
    for number, function in enumerate((*TRAINING, *HELD_OUT)):
        held_out = function in HELD_OUT
        yield from _units(function, 8, 8)
        yield from _units(function, 8, 4, only=("table", "thresholds"))
        if held_out:
            yield from _units(function, 10, 10, some=(number, 1 + number % 2))
            yield from _units(function, 12, 12, some=(number, 1 if number % 6 == 0 else 6))
        else:
            yield from _units(function, 6, 6, some=(number, 3))
            yield from _units(function, 10, 10, some=(number, 3))
            yield from _units(function, 12, 12, some=(number, 5))
        yield from _multipliers(function, 8 + 2 * (number % 3))


def _units(
    function: str,
    bits: int,
    output_bits: int,
    *,
    only: Sequence[str] = (),
    some: tuple[int, int] = (0, 1),
) -> Iterator[Unit]:
    """Units of the forms called `only`, or of every n-th form: `some` = (offset, n)."""
    wanted = [v for v in variants() if v.form in (only or FORMS)]
    wanted = [v for place, v in enumerate(wanted) if (place + some[0]) % some[1] == 0]
    objective: Objective = "correctly_rounded" if only else "faithful"
    for title, form in _forms(function, bits, output_bits, objective, tuple(wanted)):
        yield Unit(function, form, f"{title}, {bits} to {output_bits} bits", UnitOptions(), False)


def _multipliers(function: str, bits: int) -> Iterator[Unit]:
    """A multiplier in look-up tables and a hard one."""
    options = UnitOptions(multiplier="multiply")
    for form in ("pwl", "tree"):
        for title, found in _forms(function, bits, bits, "faithful", (Variant(form),)):
            yield Unit(function, found, f"{title} (*), {bits} bits", options, False)
            if form == "tree":
                yield Unit(function, found, f"{title} (DSP), {bits} bits", options, True)


@cache
def _forms(
    function: str, bits: int, output_bits: int, objective: Objective, wanted: tuple[Variant, ...]
) -> list[tuple[str, FixedForm]]:
    found = candidates(gates_of(function, bits, output_bits, objective), wanted)
    return [
        (str(candidate.variant), candidate.found.form)
        for candidate in found
        if not isinstance(candidate.found, NoForm)
    ]


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
            # hard multipliers of iCE40 are in one of its devices only
            if (unit.digest, family) not in known and not (unit.dsp and family == "ice40"):
                todo[unit.digest] = unit
        for dsp in (False, True):
            jobs = [(digest, unit) for digest, unit in todo.items() if unit.dsp == dsp]
            for batch in _batches(jobs):
                failures += _measure_batch(batch, family, dsp, known)
    return failures


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
            counts = unit_features(unit.form, FAMILIES[family], unit.options, dsp=dsp)
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
                **stored(counts),
            }
            known[digest, family] = row
            cache_file.write(json.dumps(row) + "\n")
    seconds = time.monotonic() - start
    _say(f"{family}: {len(batch)} units in {seconds:.1f} s")
    return 0


def stored(counts: Features) -> dict[str, Any]:
    """Counts as kept with a measurement."""
    return {
        "area": [int(counts.area[name]) for name in FEATURES],
        "path": [round(counts.depth[name], 2) for name in DEPTH_FEATURES],
        "products": counts.products,
    }


def counts_of(row: dict[str, Any]) -> Features:
    """The counts that a measurement keeps."""
    return Features(
        dict(zip(FEATURES, row["area"], strict=True)),
        dict(zip(DEPTH_FEATURES, row["path"], strict=True)),
        tuple((a, b) for a, b in row["products"]),
        memories=(),
        registers=0,
    )


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


@dataclass(frozen=True)
class Outcome:
    """An estimate of a unit beside its measurement.

    Attributes:
        function: of the catalogue.
        form, widths: the title of the unit.
        estimated, measured: totals.
        levels: estimated less measured depth.
    """

    function: str
    form: str
    widths: str
    estimated: int
    measured: int
    levels: int

    @property
    def error(self) -> float:
        """Relative error of the estimate."""
        return abs(self.estimated - self.measured) / max(self.measured, SMALL)


def outcomes(rows: Sequence[dict[str, Any]], weights: dict[str, Any]) -> list[Outcome]:
    """Estimates and measurements of the functions that were held out, in one family."""
    found = []
    for row in rows:
        if row["function"] in HELD_OUT:
            cost = predict(counts_of(row), FAMILIES[row["family"]], weights)
            form, widths = row["unit"].rsplit(", ", 1)
            levels = cost.depth - row["depth"]
            found.append(Outcome(row["function"], form, widths, cost.total, row["total"], levels))
    return found


def regrets(found: Iterable[Outcome]) -> list[float]:
    """How much more the form of least estimate costs than the cheapest, per function."""
    groups: dict[tuple[str, str], dict[str, Outcome]] = defaultdict(dict)
    for one in found:
        if one.widths in ("8 to 8 bits", "10 to 10 bits", "12 to 12 bits"):
            groups[one.function, one.widths][one.form] = one
    result = []
    for group in groups.values():
        if len(group) >= FEWEST_TO_CHOOSE:
            chosen = min(group.values(), key=lambda one: one.estimated).measured
            cheapest = min(one.measured for one in group.values())
            result.append(chosen / max(cheapest, 1) - 1)
    return result


def report(rows: Sequence[dict[str, Any]], weights: dict[str, Any]) -> str:
    """The tables of docs/cost.md."""
    found = {
        name: outcomes([row for row in rows if row["family"] == name], weights[name])
        for name in weights
    }
    forms = sorted({one.form for all_ in found.values() for one in all_})
    lines = ["| form | " + " | ".join(found) + " |", "|---|" + "---|" * len(found)]
    for form in [*forms, ""]:
        cells = [
            _spread([one.error for one in all_ if form in ("", one.form)])
            for all_ in found.values()
        ]
        lines.append(f"| {form or '**all**'} | " + " | ".join(cells) + " |")
    away = [[abs(one.levels) for one in all_] for all_ in found.values()]
    lines.append("| depth, levels away | " + " | ".join(map(_levels, away)) + " |")
    regret = [_spread(regrets(all_)) for all_ in found.values()]
    lines.append("| regret of the choice | " + " | ".join(regret) + " |")
    return "\n".join(lines) + "\n"


def _levels(away: Sequence[int]) -> str:
    if not away:
        return "-"
    return f"{np.median(away):.0f} / {np.quantile(away, 0.9):.0f} ({len(away)})"


def _spread(errors: Sequence[float]) -> str:
    if not errors:
        return "-"
    middle, high = (f"{100 * np.quantile(errors, quantile):.0f} %" for quantile in (0.5, 0.9))
    return f"{middle} / {high} ({len(errors)})"


def _say(text: str, *, error: bool = False) -> None:
    stream = sys.stderr if error else sys.stdout
    stream.write(f"{text}\n")
    stream.flush()


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--report", action="store_true", help="synthesize nothing")
    parser.add_argument("--families", default=",".join(FAMILIES), help="of which to measure units")
    arguments = parser.parse_args()
    known = read_cache([DATA / MEASUREMENTS, CACHE])
    failures = 0
    if not arguments.report:
        failures = measure(list(plan()), arguments.families.split(","), known)
        write_data(known)
    weights = json.loads((DATA.parent / COEFFICIENTS).read_text("utf-8"))["families"]
    text = report(list(read_cache([DATA / MEASUREMENTS]).values()), weights)
    _say(text)
    page = PAGE.read_text("utf-8")
    before, after = page.split(MARKS[0])[0], page.split(MARKS[1])[1]
    PAGE.write_text(f"{before}{MARKS[0]}\n{text}{MARKS[1]}{after}", "utf-8")
    return 1 if failures else 0


def write_data(known: dict[Any, Any]) -> None:
    """Write what the package ships: the measurements and the coefficients."""
    order = ("family", "function", "unit", "digest")
    rows = sorted(known.values(), key=lambda row: [row[name] for name in order])
    lines = [json.dumps(row, separators=(",", ":")) for row in rows]
    (DATA / MEASUREMENTS).write_text("\n".join(lines) + "\n", "utf-8")
    families = {
        name: fit([row for row in rows if row["family"] == name])
        for name in FAMILIES
        if any(row["family"] == name for row in rows)
    }
    document = {"tool": rows[0]["tool"], "measurements": len(rows), "families": families}
    (DATA.parent / COEFFICIENTS).write_text(json.dumps(document, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
