"""How well the logic of whole networks is estimated before synthesis, in total and by layer.

    python benchmarks/fpga_estimates.py                    # tables, from what was measured
    python benchmarks/fpga_estimates.py --measure FOLDER   # synthesize what is missing (an hour)
    python benchmarks/fpga_estimates.py --fit              # the weights of estimate/weights.py

Small networks with random weights, compiled, unrolled, pipelined and synthesized by yosys as
targets do. The weights are fitted to one half of them, FITTED; HELD_OUT are others, of other
sizes, bits and activations.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
from onnx import numpy_helper, parser
from scipy.optimize import nnls

import actc
from actc.targets.fpga.adders import AdderOptions
from actc.targets.fpga.boards import find_board
from actc.targets.fpga.estimate.counts import KINDS, Kind
from actc.targets.fpga.estimate.design import count_design, estimate_design
from actc.targets.fpga.flow import synthesize_design
from actc.targets.fpga.flow.places import net_drivers
from actc.targets.fpga.functions import FunctionOptions
from actc.targets.fpga.hdl.hierarchy import hierarchy, write_design
from actc.targets.fpga.network import NetworkOptions, build_network
from actc.targets.fpga.pipeline import find_timing, pipeline

Array = npt.NDArray[np.float32]
Row = dict[str, Any]

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ROOT / "docs" / "data" / "fpga_estimates.jsonl"
FAMILIES = {
    "ecp5": ("ecp5-25k", "ecp5-6", 100.0),
    "ice40": ("ice40-hx8k", "ice40-hx", 80.0),
    "gowin": ("gowin-gw2a18", "gowin-gw2a18", 54.0),
}
"""Device, timing, and MHz that networks are pipelined for."""

ACTIVATIONS = {
    "Silu": "{y}_gate = Sigmoid({x})\n{y} = Mul({x}, {y}_gate)",
    **{name: f"{{y}} = {name}({{x}})" for name in ("Gelu", "HardSwish", "Relu", "Sigmoid", "Tanh")},
}
_ROUNDS = 30
_PRIOR = 0.05
"""How strongly weights are drawn to 1 where networks say little about them."""
_LEAST = 50
"""Errors are relative to so many logic cells at least."""


@dataclass(frozen=True)
class Case:
    """A network: what writes it, and the bits that it is compiled with."""

    write: Callable[[], tuple[onnx.ModelProto, Array]]
    weights: int
    activations: int


def normal(*shape: int, seed: int) -> Array:
    """Random numbers of deviation 1."""
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def model(
    x: Sequence[int], y: int, lines: Iterable[str], weights: dict[str, Array], seed: int
) -> tuple[onnx.ModelProto, Array]:
    """A model of one input, and samples for it."""
    shape = ",".join(map(str, x))
    body = "\n".join(lines)
    text = (
        '<ir_version: 10, opset_import: ["" : 21]>\n'
        f"network (float[N,{shape}] x) => (float[N,{y}] y) {{\n{body}\n}}"
    )
    made = parser.parse_model(text)
    made.graph.initializer.extend(numpy_helper.from_array(w, name) for name, w in weights.items())
    return made, normal(200, *x, seed=seed + 99)


def act(name: str, x: str, y: str) -> str:
    """Lines of an activation."""
    return ACTIVATIONS[name].format(x=x, y=y)


def dense(sizes: Sequence[int], activation: str, seed: int) -> tuple[onnx.ModelProto, Array]:
    """Dense layers."""
    weights: dict[str, Array] = {}
    lines, x, last = [], "x", len(sizes) - 2
    for n, (a, b) in enumerate(itertools.pairwise(sizes)):
        weights[f"w{n}"] = normal(a, b, seed=seed + 2 * n) / np.float32(a**0.5)
        weights[f"b{n}"] = normal(b, seed=seed + 2 * n + 1) * np.float32(0.3)
        y = "y" if n == last else f"s{n}"
        lines += [f"m{n} = MatMul({x}, w{n})", f"{y} = Add(m{n}, b{n})"]
        if n < last:
            x = f"h{n}"
            lines.append(act(activation, y, x))
    return model(sizes[:1], sizes[-1], lines, weights, seed)


def convolution(activation: str, depthwise: bool, seed: int) -> tuple[onnx.ModelProto, Array]:
    """A convolution, pooling or a depthwise one, and a classifier."""
    weights = {
        "k": normal(3, 1, 3, 3, seed=seed) / 3,
        "kb": normal(3, seed=seed + 1) * np.float32(0.3),
    }
    lines = ["a = Conv<kernel_shape=[3,3]>(x, k, kb)", act(activation, "a", "b")]
    if depthwise:
        weights["d"] = normal(3, 1, 2, 2, seed=seed + 2) / 2
        lines += ["c = Conv<kernel_shape=[2,2], group=3>(b, d)", act(activation, "c", "e")]
    else:
        lines.append("e = MaxPool<kernel_shape=[2,2], strides=[2,2]>(b)")
    size = 27 if depthwise else 12
    weights["w"] = normal(size, 4, seed=seed + 3) / np.float32(size**0.5)
    return model((1, 6, 6), 4, [*lines, "f = Flatten(e)", "y = MatMul(f, w)"], weights, seed)


def residual(size: int, activation: str, seed: int) -> tuple[onnx.ModelProto, Array]:
    """Two layers with a sum around the second."""
    weights = {f"w{n}": normal(size, size, seed=seed + n) / np.float32(size**0.5) for n in (0, 1)}
    weights["w2"] = normal(size, 4, seed=seed + 2)
    lines = ["a = MatMul(x, w0)", act(activation, "a", "b"), "c = MatMul(b, w1)", "d = Add(b, c)"]
    lines += [act(activation, "d", "e"), "y = MatMul(e, w2)"]
    return model((size,), 4, lines, weights, seed)


def gated(size: int, seed: int) -> tuple[onnx.ModelProto, Array]:
    """A product of two layers, one of them a gate."""
    weights = {f"w{n}": normal(size, size, seed=seed + n) / np.float32(size**0.5) for n in (0, 1)}
    weights["w2"] = normal(size, 3, seed=seed + 2)
    lines = ["a = MatMul(x, w0)", "g = Sigmoid(a)", "c = MatMul(x, w1)", "d = Mul(g, c)"]
    return model((size,), 3, [*lines, "y = MatMul(d, w2)"], weights, seed)


FITTED = {
    "mlp_silu": Case(lambda: dense([12, 8, 4], "Silu", 1), 5, 5),
    "mlp_relu": Case(lambda: dense([10, 10, 6], "Relu", 11), 4, 4),
    "mlp_gelu": Case(lambda: dense([16, 6, 5], "Gelu", 21), 6, 6),
    "mlp_tanh": Case(lambda: dense([8, 8, 4], "Tanh", 31), 8, 8),
    "conv_relu": Case(lambda: convolution("Relu", False, 41), 4, 4),
    "res_relu": Case(lambda: residual(8, "Relu", 51), 4, 5),
    "gated": Case(lambda: gated(6, 61), 5, 5),
    "ternary": Case(lambda: dense([24, 10, 4], "Relu", 71), 2, 3),
}
HELD_OUT = {
    "mlp_hswish": Case(lambda: dense([14, 7, 5], "HardSwish", 101), 5, 6),
    "mlp_deep": Case(lambda: dense([6, 6, 6, 3], "Sigmoid", 111), 4, 5),
    "conv_dw": Case(lambda: convolution("Gelu", True, 121), 5, 4),
    "res_tanh": Case(lambda: residual(6, "Tanh", 131), 6, 5),
    "gated2": Case(lambda: gated(5, 141), 4, 6),
    "mlp_few": Case(lambda: dense([32, 12, 8], "Relu", 151), 3, 3),
}


def golden_of(name: str, folder: Path) -> Path:
    """Compile a network, unless it is there."""
    path = folder / "golden" / name / "golden.onnx"
    if not path.exists():
        case = {**FITTED, **HELD_OUT}[name]
        made, samples = case.write()
        actc.compile(
            made,
            "onnx",
            data={"x": samples},
            output=path.parent,
            weights=str(case.weights),
            activations=str(case.activations),
            max_drop=1.0,
        )
    return path


def rows_of(name: str, golden: Path, family: str, work: Path) -> list[Row]:
    """One row per layer: what is counted, estimated and found."""
    device, timing, clock = FAMILIES[family]
    options = NetworkOptions(
        end="scores",
        adders=AdderOptions(family=family),
        functions=FunctionOptions(family=family),
    )
    network = build_network(ir.load(golden), "net", options)
    design = pipeline(network.design, find_timing(timing), clock_mhz=clock)
    written = hierarchy(design)
    found = synthesize_design(
        write_design(design),
        written.top,
        find_board(device).device,
        work,
        drivers=net_drivers(written, ""),
    )
    scopes = {part.instance: part.scope for part in written.parts}
    measured = {scopes.get(path, ""): cells for path, cells in found.layers.items()}
    estimated = estimate_design(design, family).layers
    return [
        {
            "family": family,
            "network": name,
            "layer": layer,
            "counts": {kind: round(number, 3) for kind, number in counts.items() if number},
            "estimated_ffs": estimated[layer].ffs,
            "logic_cells": measured[layer].logic_cells,
            "luts": measured[layer].luts,
            "carries": measured[layer].carries,
            "ffs": measured[layer].ffs,
        }
        for layer, counts in count_design(design, family).items()
        if layer in measured
    ]


def measure(folder: Path, families: Sequence[str]) -> None:
    """Synthesize what has not been measured yet."""
    known = {(row["family"], row["network"]) for row in measured_rows()}
    for family in families:
        for name in {**FITTED, **HELD_OUT}:
            if (family, name) not in known:
                rows = rows_of(name, golden_of(name, folder), family, folder / family / name)
                with MEASURED.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(row) + "\n" for row in rows)
                print(family, name, sum(row["logic_cells"] for row in rows), flush=True)


def measured_rows() -> list[Row]:
    """All that was measured."""
    if not MEASURED.exists():
        return []
    return [json.loads(line) for line in MEASURED.read_text(encoding="utf-8").splitlines()]


def fit(rows: Sequence[Row]) -> dict[Kind, float]:
    """Weights that are not negative, of least absolute relative errors of layers."""
    used = [row for row in rows if _is_logic(row)]
    counts = np.array([[row["counts"].get(kind, 0.0) for kind in KINDS] for row in used])
    cells = np.array([row["logic_cells"] for row in used], np.float64)
    scale = 1 / np.maximum(cells, _LEAST)
    prior, weights = _PRIOR * np.eye(len(KINDS)), scale
    found = np.ones(len(KINDS))
    for _ in range(_ROUNDS):
        matrix = np.vstack([counts * weights[:, None], prior])
        found, _ = nnls(matrix, np.append(cells * weights, prior.sum(axis=0)))
        errors = np.abs(counts @ found - cells) * scale
        weights = scale / np.sqrt(np.maximum(errors, 0.01))
    return {kind: round(float(x), 2) for kind, x in zip(KINDS, found, strict=True)}


def _is_logic(row: Row) -> bool:
    """Whether a row is a layer whose cells can be compared."""
    return bool(row["layer"] and row["logic_cells"])


def weighed(row: Row, weights: dict[Kind, float]) -> float:
    """Estimated logic cells of a layer."""
    return sum(weights[kind] * float(number) for kind, number in row["counts"].items())


def errors(
    rows: Sequence[Row], weights: dict[Kind, float]
) -> tuple[list[float], list[float], list[float]]:
    """Relative errors of the networks' logic cells, of their layers', of their flip-flops."""
    totals: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0, 0.0])
    layers = []
    for row in rows:
        found = totals[row["network"]]
        found[2] += row["estimated_ffs"]
        found[3] += row["ffs"]
        if _is_logic(row):
            estimate = weighed(row, weights)
            found[0] += estimate
            found[1] += row["logic_cells"]
            layers.append(abs(estimate / row["logic_cells"] - 1))
    return (
        [abs(found[0] / found[1] - 1) for found in totals.values()],
        layers,
        [abs(found[2] / found[3] - 1) for found in totals.values()],
    )


def table(rows: Sequence[Row], weights: dict[str, dict[Kind, float]]) -> Iterable[str]:
    """Lines of Markdown."""
    yield "| family | networks | total | by layer | flip-flops |"
    yield "|---|---|---|---|---|"
    for family in FAMILIES:
        for title, part in (("fitted to", FITTED), ("held out", HELD_OUT)):
            own = [row for row in rows if row["family"] == family and row["network"] in part]
            cells = [
                f"{100 * np.median(off):.0f} % / {100 * max(off):.0f} % ({len(off)})"
                for off in errors(own, weights[family])
            ]
            yield f"| {family} | {title} | {' | '.join(cells)} |"


def main() -> None:
    """Print tables."""
    given = argparse.ArgumentParser(description="estimates of networks against synthesis")
    given.add_argument("--measure", type=Path, help="folder for models and netlists")
    given.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    given.add_argument("--fit", action="store_true", help="print the fitted weights")
    options = given.parse_args()
    if options.measure is not None:
        measure(options.measure, options.families)
    rows = measured_rows()
    fitted = {
        family: fit([r for r in rows if r["family"] == family and r["network"] in FITTED])
        for family in FAMILIES
    }
    if options.fit:
        print(json.dumps(fitted, indent=1))
    print("Median / worst error (number)\n")
    print("\n".join(table(rows, fitted)))


if __name__ == "__main__":
    main()
