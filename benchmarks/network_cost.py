"""How well the logic of unrolled linear layers is estimated.

Synthesizes small dense layers, written as plain Verilog products with constants, with
yosys (`pip install 'actc[fpga]'`) for every family, fits the coefficients of
`actc.cost.network.sums` to half of them and compares the estimates with the others.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from actc.cost import FAMILIES
from actc.cost.network.sums import COEFFICIENTS, FEATURES, matrix_rows, weighted
from actc.targets.fpga.synthesis import Source, synthesize_all

Array = np.ndarray[Any, Any]
ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / "docs" / "data" / "network_measurements.jsonl"
FITTED = ((4, 8, 16), (2, 3, 4, 8), (4, 8), 2)
HELD_OUT = ((6, 12, 24), (2, 4, 5, 8), (3, 6), 2)
"""Inputs, bits of weights, bits of inputs, outputs."""
_ROUNDS = 30
_TOGETHER, _SECONDS = 4, 1800.0
_LEAST = 20
"""Errors are relative to so many logic cells at least."""


def layer_verilog(name: str, codes: Array, bits: int) -> str:
    """A layer as products of its inputs with constants.

    Args:
        codes: integers [outputs, inputs].
        bits: of each input, unsigned.
    """
    inputs = codes.shape[1]
    widths = [int(np.abs(row).sum() * (2**bits - 1)).bit_length() + 1 for row in codes]
    ports = [f"input [{bits - 1}:0] x{k}" for k in range(inputs)]
    ports += [f"output signed [{width - 1}:0] y{o}" for o, width in enumerate(widths)]
    sums = []
    for o, row in enumerate(codes):
        terms = [f"$signed({{1'b0, x{k}}}) * ({int(w)})" for k, w in enumerate(row) if w]
        sums.append(f"  assign y{o} = {' + '.join(terms) or '0'};\n")
    return f"module {name}({', '.join(ports)});\n{''.join(sums)}endmodule\n"


def layers(held_out: bool) -> Iterator[tuple[Array, int]]:
    """Codes and input bits of the layers; normally distributed weights."""
    generator = np.random.default_rng(2 if held_out else 1)
    inputs, weights, activations, outputs = HELD_OUT if held_out else FITTED
    for count in inputs:
        for bits in weights:
            for x_bits in activations:
                most = 2 ** (bits - 1) - 1
                codes = generator.normal(0, most / 2.5, (outputs, count))
                yield np.clip(np.round(codes), -most, most).astype(np.int64), x_bits


def measure() -> None:
    """Synthesize what has not been measured yet, a few layers at a time."""
    rows = measured() if MEASURED.exists() else []
    known = Counter((row["family"], row["held_out"]) for row in rows)
    for held_out in (False, True):
        cases = list(layers(held_out))
        sources = [
            Source(layer_verilog(f"layer{n}", codes, bits), f"layer{n}")
            for n, (codes, bits) in enumerate(cases)
        ]
        for family in FAMILIES:
            for first in range(known[family, held_out], len(cases), _TOGETHER):
                part = slice(first, first + _TOGETHER)
                found = synthesize_all(sources[part], family, timeout=_SECONDS)
                with MEASURED.open("a", encoding="utf-8") as file:
                    for (codes, bits), cost in zip(cases[part], found, strict=True):
                        row = {"family": family, "held_out": held_out, "input_bits": bits}
                        row |= {"logic_cells": cost.logic_cells, "codes": codes.tolist()}
                        file.write(json.dumps(row) + "\n")


def measured() -> list[dict[str, Any]]:
    """All measurements."""
    return [json.loads(line) for line in MEASURED.read_text(encoding="utf-8").splitlines()]


def fit(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Coefficients that are not negative, of least absolute relative errors."""
    counts = [matrix_rows(np.array(row["codes"]), row["input_bits"]) for row in rows]
    matrix = np.array([[getattr(c, name) for name in FEATURES] for c in counts])
    cost = np.array([row["logic_cells"] for row in rows], np.float64)
    scale = 1 / np.maximum(cost, _LEAST)
    weights = scale
    found = np.zeros(len(FEATURES))
    for _ in range(_ROUNDS):
        found, _ = nnls(matrix * weights[:, None], cost * weights)
        errors = np.abs(matrix @ found - cost) * scale
        weights = scale / np.sqrt(np.maximum(errors, 0.01))
    return {name: round(float(x), 3) for name, x in zip(FEATURES, found, strict=True)}


def errors(rows: list[dict[str, Any]], weights: dict[str, float]) -> Array:
    """Relative errors of the estimates."""
    return np.array(
        [
            abs(weighted(matrix_rows(np.array(r["codes"]), r["input_bits"]), weights) - cost)
            / max(cost, _LEAST)
            for r in rows
            for cost in [r["logic_cells"]]
        ]
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="synthesize first (10 minutes)")
    parser.add_argument("--write", action="store_true", help="write the fitted coefficients")
    given = parser.parse_args()
    if given.measure:
        measure()
    rows = measured()
    fitted = {}
    print("| family | cells per full adder, chain bit, negative row | fitted to | held out |")
    print("|---|---|---|---|")
    for family in FAMILIES:
        own = [row for row in rows if row["family"] == family]
        train = [row for row in own if not row["held_out"]]
        test = [row for row in own if row["held_out"]]
        fitted[family] = fit(train)
        cells = [f"{family}", ", ".join(f"{x:g}" for x in fitted[family].values())]
        for part in (train, test):
            off = errors(part, fitted[family])
            cells.append(
                f"{100 * np.median(off):.0f} % / {100 * np.quantile(off, 0.9):.0f} % ({len(part)})"
            )
        print(f"| {' | '.join(cells)} |")
    if given.write:
        text = json.dumps({"families": fitted}, indent=1) + "\n"
        (ROOT / "actc" / "cost" / COEFFICIENTS).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
