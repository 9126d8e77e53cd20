"""Every catalogue function as a verified hardware unit: python tools/units.py.

For each function and each width of its input: choose formats, fit all forms, estimate
their costs, synthesize the cheapest ones for iCE40, keep the one with the fewest logic
cells, simulate its Verilog at every input, and synthesize it for xc7 as well. Results are
kept in docs/data/units.jsonl, one line for each unit. A unit is done again only if the
Verilog of its form or the synthesizer has changed. `python tools/units_page.py` makes
docs/units.md of them.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from actc.approx.candidates import Variant, candidates, pieces, variants
from actc.approx.catalogue import CATALOGUE, CatalogueEntry, find
from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.function import ScalarFunction
from actc.approx.gates import FixedFit, Gates, Objective, make_gates
from actc.cost import estimate
from actc.emission import write_files
from actc.emitters.text import identifier
from actc.targets.fpga.simulation import simulate_units
from actc.targets.fpga.synthesis import TIMEOUT, Resources, Source, synthesize_all
from actc.targets.fpga.units import unit_verilog

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "data" / "units.jsonl"

OBJECTIVE: Objective = "faithful"
CHOSEN_FOR = "ice40"
FAMILIES = ("ice40", "xc7")
SYNTHESIZED = {8: 3, 12: 2, 16: 1}
"""How many of the forms that the cost model likes best are synthesized, by input width."""
AT_16_BITS = tuple(
    re.findall(
        r"\w+",
        """
        GELU SiLU Mish GoLU ELU SELU Softplus HardSwish ReLU Snake Sine Tanh Sigmoid Erf
        LogSigmoid Gaussian Exp Sqrt SmeLU xATLU
        """,
    )
)
COSTS = ("luts", "carries", "muxes", "dsps", "brams", "depth", "logic_cells")
LARGEST_POWER = 6
"""Outputs saturate beyond 2**6 = 64: wider formats would leave too few bits of fraction."""


@dataclass(frozen=True, slots=True)
class Key:
    """A unit: a function and the width of its input and output."""

    function: str
    bits: int


@dataclass(frozen=True, eq=False)
class Choice:
    """A form that may be the unit, and its Verilog."""

    variant: Variant
    fit: FixedFit[Any]
    source: Source

    @property
    def digest(self) -> str:
        """Changes with the Verilog."""
        return hashlib.sha256(self.source.verilog.encode()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Plan:
    """A unit before synthesis.

    Attributes:
        choices: the forms to synthesize.
    """

    key: Key
    gates: Gates
    choices: tuple[Choice, ...]


def scalar_function(entry: CatalogueEntry) -> ScalarFunction:
    """The function, held at its end values outside its domain."""
    values = entry.defaults
    return ScalarFunction(entry.name, lambda x: entry.evaluate(x, *values), entry.domain)


def formats(entry: CatalogueEntry, bits: int) -> tuple[FixedPoint, FixedPoint]:
    """Input and output format of a function, both of `bits` bits.

    The input has 4 integer bits, one of them the sign: [-8, 8). Functions that are
    defined for positive numbers only have an unsigned one: [0, 8). The output is
    unsigned where the function is never negative, and has the fewest integer bits,
    0..6, with which |f| <= 2**k wherever f is finite: f may exceed the largest code by
    one ulp (tanh and sigmoid reach 1), and by more where |f| > 64.
    """
    positive = entry.domain[0] >= 0
    source = FixedPoint(not positive, bits, bits - (3 if positive else 4))
    limit = 2.0**LARGEST_POWER
    values = scalar_function(entry)(source.values())
    signed = bool(np.any(values < 0))
    largest = min(float(np.abs(values[np.isfinite(values)]).max()), limit)
    power = next(k for k in range(LARGEST_POWER + 1) if largest <= 2**k)
    return source, FixedPoint(signed, bits, bits - power - signed)


def gates_of(key: Key) -> Gates:
    """What the outputs of a unit may be."""
    entry = find(key.function)
    return make_gates(scalar_function(entry), *formats(entry, key.bits), OBJECTIVE)


def plan(key: Key) -> Plan:
    """Fit every form of a unit and choose those to synthesize."""
    gates = gates_of(key)
    fits = fitted(gates, wanted(key.bits))
    costs = [estimate(fit.form, CHOSEN_FOR).total for _, fit in fits]
    order = sorted(range(len(fits)), key=lambda i: _rank(costs[i], fits[i][1]))
    chosen = [choice(key, *fits[i]) for i in order[: SYNTHESIZED[key.bits]]]
    return Plan(key, gates, tuple(chosen))


def _saturated(key: Key, gates: Gates) -> int:
    """Number of input codes with the function more than one ulp outside the output format."""
    source, target = gates.input, gates.output
    ulps = np.ldexp(scalar_function(find(key.function))(source.values()), target.fraction)
    return int(np.count_nonzero((ulps < target.low - 1) | (ulps > target.high + 1)))


def fitted(gates: Gates, forms: Sequence[Variant]) -> list[tuple[Variant, FixedFit[Any]]]:
    """The forms that exist, of those asked for."""
    return [
        (candidate.variant, candidate.found)
        for candidate in candidates(gates, forms)
        if isinstance(candidate.found, FixedFit)
    ]


def wanted(bits: int) -> tuple[Variant, ...]:
    """The forms that are fitted: all but polynomials, and at 16 bits all but large tables."""
    out = ("polynomial",) if bits < 16 else ("polynomial", "table", "compressed", "thresholds")
    return tuple(variant for variant in variants() if variant.form not in out)


def choice(key: Key, variant: Variant, fit: FixedFit[Any]) -> Choice:
    """A fitted form with its Verilog."""
    top = identifier(f"{key.function} {key.bits} {variant}")
    return Choice(variant, fit, Source(unit_verilog(fit.form, top), top))


def _rank(cost: int, fit: FixedFit[Any]) -> tuple[float, ...]:
    """Cheap, then exact, then small."""
    return (cost, fit.max_error_ulp, fit.form.storage_bits)


def tool() -> str:
    """The synthesizer, as the results name it."""
    return f"pyosys {version('pyosys')}"


def measure(plans: Sequence[Plan]) -> list[dict[str, Any]]:
    """Results of units that are synthesized and simulated in common runs.

    Raises:
        ToolFailed: yosys or Icarus Verilog failed.
        AssertionError: a unit differs from its form, or leaves its gates.
    """
    sources = [choice.source for each in plans for choice in each.choices]
    resources = iter(_synthesized(sources, CHOSEN_FOR))
    kept = []
    for each in plans:
        costs = list(itertools.islice(resources, len(each.choices)))
        kept.append(
            min(
                zip(each.choices, costs, strict=True),
                key=lambda pair: _rank(pair[1].total, pair[0].fit),
            )
        )
    _simulate(plans, [best for best, _ in kept])
    others = {
        family: _synthesized([best.source for best, _ in kept], family)
        for family in FAMILIES
        if family != CHOSEN_FOR
    }
    return [
        _line(each, best, {CHOSEN_FOR: cost} | {name: all_[i] for name, all_ in others.items()})
        for i, (each, (best, cost)) in enumerate(zip(plans, kept, strict=True))
    ]


def _synthesized(sources: Sequence[Source], family: str) -> list[Resources]:
    """Costs of the sources, with as much time for each as for one alone."""
    return synthesize_all(sources, family, timeout=TIMEOUT * len(sources))


def _simulate(plans: Sequence[Plan], chosen: Sequence[Choice]) -> None:
    """Compare the Verilog with the form and the function at every input."""
    verilog = "\n".join(each.source.verilog for each in chosen)
    units = {
        best.source.top: (each.gates.input.codes(), each.gates.input, each.gates.output, 0)
        for each, best in zip(plans, chosen, strict=True)
    }
    found = simulate_units(verilog, units)
    for each, best in zip(plans, chosen, strict=True):
        check_outputs(found[best.source.top], best, each.gates)


def check_outputs(outputs: Codes, unit: Choice, gates: Gates) -> None:
    """Whether simulated outputs are those of the form, and what the function allows.

    Raises:
        AssertionError: they are not.
    """
    if not np.array_equal(outputs, unit.fit.form.evaluate(gates.input.codes())):
        raise AssertionError(f"{unit.source.top}: the Verilog differs from the form")
    if not gates.admit(outputs):
        raise AssertionError(f"{unit.source.top}: the Verilog is not within the gates")


def facts(key: Key, gates: Gates, unit: Choice) -> dict[str, Any]:
    """The part of a result that takes no synthesis."""
    return {
        "function": key.function,
        "bits": key.bits,
        "input": str(gates.input),
        "output": str(gates.output),
        "objective": OBJECTIVE,
        "saturated": _saturated(key, gates),
        "form": unit.variant.form,
        "variant": str(unit.variant),
        "pieces": pieces(unit.fit.form),
        "max_error": unit.fit.max_error,
        "max_error_ulp": unit.fit.max_error_ulp,
        "storage_bits": unit.fit.form.storage_bits,
        "digest": unit.digest,
    }


def _line(each: Plan, best: Choice, costs: dict[str, Resources]) -> dict[str, Any]:
    return {
        **facts(each.key, each.gates, best),
        "tool": tool(),
        "cost": {
            family: {name: getattr(cost, name) for name in COSTS} for family, cost in costs.items()
        },
        "equivalence": f"simulated at all {each.gates.input.count} inputs",
    }


def load(path: Path = RESULTS) -> dict[Key, dict[str, Any]]:
    """The kept results; none if there is no file."""
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return {Key(row["function"], row["bits"]): row for row in rows}


def save(results: dict[Key, dict[str, Any]], path: Path = RESULTS) -> None:
    """Keep the results, sorted by catalogue and width; all of them or nothing."""
    order = {entry.name: number for number, entry in enumerate(CATALOGUE)}
    known = sorted(
        (key for key in results if key.function in order),
        key=lambda key: (order[key.function], key.bits),
    )
    text = "".join(json.dumps(results[key], allow_nan=False) + "\n" for key in known)
    write_files({path: text.encode("ascii")})


def all_keys() -> list[Key]:
    """Every unit: 8 and 12 bits, and 16 bits for some functions; narrow ones first."""
    names = [entry.name for entry in CATALOGUE]
    keys = [Key(name, bits) for bits in (8, 12) for name in names]
    return keys + [Key(find(name).name, 16) for name in AT_16_BITS]


def current(key: Key, row: dict[str, Any] | None) -> bool:
    """Whether the form of a kept result still gives the same Verilog, for the same tool."""
    if row is None or row["tool"] != tool():
        return False
    same = [variant for variant in wanted(key.bits) if str(variant) == row["variant"]]
    fits = fitted(gates_of(key), same)
    return bool(fits) and choice(key, *fits[0]).digest == row["digest"]


def chunks(keys: Sequence[Key], size: int) -> Iterator[list[Key]]:
    """Parts of equal width, of at most `size` units."""
    for _, group in itertools.groupby(keys, key=lambda key: key.bits):
        part = list(group)
        yield from (part[start : start + size] for start in range(0, len(part), size))


def update(keys: Sequence[Key], jobs: int, size: int) -> None:
    """Bring the kept results of `keys` up to date, a chunk at a time."""
    results, done, begin = load(), 0, time.monotonic()

    def run(part: list[Key]) -> tuple[int, list[dict[str, Any]]]:
        stale = [key for key in part if not current(key, results.get(key))]
        return len(part), measure([plan(key) for key in stale]) if stale else []

    with ThreadPoolExecutor(jobs) as pool:
        for count, rows in pool.map(run, chunks(keys, size)):
            results |= {Key(row["function"], row["bits"]): row for row in rows}
            if rows:
                save(results)
            done += count
            seconds = time.monotonic() - begin
            sys.stderr.write(f"{done}/{len(keys)} units, {len(rows)} new, {seconds:.0f} s\n")


def main(arguments: Iterable[str]) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--functions", nargs="+", help="only these functions")
    parser.add_argument("--bits", nargs="+", type=int, choices=sorted(SYNTHESIZED))
    parser.add_argument("--sample", type=int, help="only so many units, spread over all")
    parser.add_argument("--missing", action="store_true", help="do not look at kept units again")
    parser.add_argument("--jobs", type=int, default=1, help="chunks at a time")
    parser.add_argument("--chunk", type=int, default=8, help="units in one run of a tool")
    options = parser.parse_args(list(arguments))
    keys = all_keys()
    if options.functions:
        names = {find(name).name for name in options.functions}
        keys = [key for key in keys if key.function in names]
    if options.bits:
        keys = [key for key in keys if key.bits in options.bits]
    if options.missing:
        kept = load()
        keys = [key for key in keys if key not in kept]
    if options.sample:
        keys = keys[:: max(len(keys) // options.sample, 1)][: options.sample]
    update(keys, options.jobs, options.chunk)


if __name__ == "__main__":
    main(sys.argv[1:])
