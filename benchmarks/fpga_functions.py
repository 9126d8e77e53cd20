"""What integer functions cost as hardware: the estimates that choose, and what yosys measures.

    python benchmarks/fpga_functions.py --family ecp5 --out functions.jsonl  # synthesize
    python benchmarks/fpga_functions.py --report functions.jsonl             # tables of the docs

Requantized accumulators, activations behind them and tables. The most promising forms of
each function by estimate, and the plain ones, are synthesized; the report says what the
chosen form costs beside the best one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from actc.targets.fpga.families import FAMILIES
from actc.targets.fpga.functions import FunctionOptions, Requantization, StepFunction, table_stage
from actc.targets.fpga.functions.choose import choices
from actc.targets.fpga.functions.stages import in_stages
from actc.targets.fpga.hdl import Graph, Module, Output, Range, write_verilog
from actc.targets.fpga.synthesis import Source, synthesize_all

PROMISING = 3
PLAIN = ("search", "table")


def functions() -> Iterator[tuple[str, StepFunction]]:
    """Requantized accumulators, activations behind them, and tables; the same every time."""
    rng = np.random.default_rng(0)
    for bits, outputs in ((8, 3), (10, 4), (11, 2), (12, 4), (13, 4), (12, 6), (13, 8), (15, 8)):
        for _ in range(2):
            yield f"requantize {bits} -> {outputs}", _requantized(rng, bits, outputs)
    for bits, inner, outputs in ((10, 6, 3), (11, 8, 4), (12, 8, 8)):
        for name in ("gelu", "silu"):
            table = _activation(name, inner, outputs)
            acc = _accumulator(rng, bits)
            stage = _requantization(rng, bits, inner, 1 << (inner - 1))
            yield (
                f"requantize and {name} {bits} -> {outputs}",
                in_stages(acc, [stage, table_stage(table)]),
            )
    for bits, outputs in ((6, 4), (8, 4), (8, 8), (10, 8)):
        for name in ("gelu", "sigmoid"):
            table = _activation(name, bits, outputs)
            yield f"{name} {bits} -> {outputs}", StepFunction.of(Range(0, len(table) - 1), table)
    for bits, levels in ((8, 4), (10, 8)):
        for _ in range(2):
            acc = _accumulator(rng, bits)
            edges = np.sort(rng.integers(acc.low, acc.high, levels - 1))
            yield (
                f"steps {bits}: {levels}",
                StepFunction.of(
                    acc, np.searchsorted(edges, np.arange(acc.low, acc.high + 1), "right")
                ),
            )


def _accumulator(rng: np.random.Generator, bits: int) -> Range:
    half = 1 << (bits - 1)
    return Range(-int(half * rng.uniform(0.6, 1)), int((half - 1) * rng.uniform(0.6, 1)))


def _requantization(rng: np.random.Generator, bits: int, outputs: int, zero: int) -> Requantization:
    """Codes used up to saturation within the accumulator, one or two bits earlier at most."""
    scale = 2.0 ** (outputs - bits + rng.uniform(0.2, 2.2))
    return Requantization(int(scale * 2.0**30), 30, zero, 0, (1 << outputs) - 1)


def _requantized(rng: np.random.Generator, bits: int, outputs: int) -> StepFunction:
    acc = _accumulator(rng, bits)
    bias = int(rng.integers(-(1 << (bits - 3)), 1 << (bits - 3)))
    zero = int(rng.choice([0, 1 << (outputs - 1)]))
    inner = _requantization(rng, bits, outputs, zero)
    return inner(acc.plus(bias)).moved(-bias)


def _activation(name: str, bits: int, outputs: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    x = (np.arange(1 << bits) - (1 << (bits - 1))) * 2.0 ** (4 - bits)
    y = {
        "gelu": x / (1 + np.exp(-1.702 * x)),
        "silu": x / (1 + np.exp(-x)),
        "sigmoid": 8 / (1 + np.exp(-x)),
    }[name]
    codes = np.rint((y + 0.3) / 8.3 * ((1 << outputs) - 1))
    return np.asarray(np.clip(codes, 0, (1 << outputs) - 1), np.int64)


def measure(family: str, every: int, path: Path) -> None:
    """Append a line for each form of every so-manieth function that the file lacks."""
    known = {(row["family"], row["number"]) for row in rows_of(path)}
    for number, (name, steps) in enumerate(functions()):
        if (family, number) in known or number % every:
            continue
        found = sorted(choices(steps, FunctionOptions(family)), key=lambda choice: choice.cost)
        plain = [choice for choice in found[PROMISING:] if choice.form.name in PLAIN]
        kept = [*found[:PROMISING], *plain]
        sources = []
        for place, choice in enumerate(kept):
            x = Graph().input("x", steps.range)
            y = choice.form.build(x)
            module = Module(f"f{place}", (x,), (Output("y", y, y.width),))
            sources.append(Source(write_verilog(module), f"f{place}"))
        measured = synthesize_all(sources, family)
        with path.open("a", encoding="utf-8") as file:
            for choice, resources in zip(kept, measured, strict=True):
                row = {
                    "family": family,
                    "number": number,
                    "function": name,
                    "form": choice.form.name,
                    "estimated": choice.cost,
                    "measured": resources.total,
                    "depth": resources.depth,
                }
                file.write(json.dumps(row) + "\n")
        print(family, number, name, flush=True)


def rows_of(path: Path) -> list[dict[str, Any]]:
    """What has been measured."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def report(path: Path) -> str:
    """Tables of functions and of families, as Markdown."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows_of(path):
        groups.setdefault((row["family"], row["number"]), []).append(row)
    lines = ["| family | function | search | table | best form | cells | chosen form | cells |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    regrets: dict[str, list[float]] = {}
    for (family, _), rows in groups.items():
        cells = {row["form"]: row["measured"] for row in rows}
        best = min(rows, key=lambda row: row["measured"])
        chosen = rows[0]
        regrets.setdefault(family, []).append(chosen["measured"] / max(best["measured"], 1) - 1)
        plain = [str(cells.get(form, "-")) for form in PLAIN]
        shown = [family, best["function"], *plain, best["form"], best["measured"]]
        lines.append(f"| {' | '.join(map(str, [*shown, chosen['form'], chosen['measured']]))} |")
    lines += ["", "| family | functions | median regret | 90th percentile | median error |"]
    lines.append("|---|---|---|---|---|")
    for family, found in regrets.items():
        errors = [
            abs(row["estimated"] - row["measured"]) / max(row["measured"], 4)
            for row in rows_of(path)
            if row["family"] == family
        ]
        figures = [np.median(found), np.quantile(found, 0.9), np.median(errors)]
        shown = [family, len(found), *(f"{100 * figure:.0f} %" for figure in figures)]
        lines.append(f"| {' | '.join(map(str, shown))} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", default="ecp5", choices=FAMILIES)
    parser.add_argument("--every", type=int, default=1, help="1: all functions, 3: a third")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    if arguments.out:
        measure(arguments.family, arguments.every, arguments.out)
    if arguments.report:
        print(report(arguments.report), end="")


if __name__ == "__main__":
    main()
