"""How well the errors of single roundings predict the error of the whole network.

Compiles the example networks (with `--models ppocr` PP-OCR's direction classifier, where
the package rapidocr is installed) with different bits and compares the relative RMS error of the
outputs, measured with all roundings, with what the roundings cause one by one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import actc
from actc.sensitivity import Reference, measure
from actc.sensitivity.opening import open_simulation

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / ".cache" / "models"))

EXAMPLES = {
    "digits/cnn": "digits/digits",
    "digits/mlp": "digits/digits_mlp",
    "mnist/cnn_hardswish": "mnist/mnist",
    "mnist/cnn_silu": "mnist/mnist",
    "mnist/lstm": "mnist/mnist",
    "mnist/mlp": "mnist/mnist",
    "mnist/vit": "mnist/mnist",
}
OPTIONS = (("8", "8"), ("mixed", "8"), ("8", "4"), ("6", "8"), ("4", "8"))
CALIBRATION = 128


def network(name: str) -> tuple[Path, dict[str, Any]] | None:
    """A model and its data; None when its package is not installed."""
    if name == "ppocr":
        from realmodels import ppocr

        path = ppocr.model_path()
        return None if path is None else (path, ppocr.make_data(CALIBRATION, 0))
    path = ROOT / "examples" / f"{name}.onnx"
    with np.load(ROOT / "examples" / f"{EXAMPLES[name]}.npz") as archive:
        arrays = {key: archive[key] for key in archive.files}
    for value in onnx.load(path).graph.input:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim][1:]
        arrays[value.name] = arrays[value.name].reshape(-1, *shape)
    return path, {key: array[:CALIBRATION] for key, array in arrays.items()}


def row(name: str, activations: str, weights: str, samples: int) -> str | None:
    """One line of the table."""
    found = network(name)
    if found is None:
        return None
    path, data = found
    with tempfile.TemporaryDirectory() as folder:
        artifact = actc.compile(
            path,
            "onnx",
            data=data,
            output=Path(folder) / "out",
            activations=activations,
            weights=weights,
            max_drop=1.0,
        )
        assert artifact.path is not None
        opened = open_simulation(artifact.path, data)
        reference = Reference(opened.simulation, opened.dataset.take(samples))
        alone = measure(reference, opened.sites, opened.setting)
        behind = measure(reference, opened.sites, opened.setting, behind=True)
    (golden, *_) = [o for o in artifact.report["outputs"] if o["stage"] == "golden"]
    return (
        f"| {name} | {activations} | {weights} | {len(opened.sites)} "
        f"| {golden['rms'] / golden['reference_rms']:.4f} | {alone.measured:.4f} "
        f"| {_off(alone.predicted, alone.measured)} | {_off(alone.independent, alone.measured)} "
        f"| {_off(behind.independent, behind.measured)} |"
    )


def _off(predicted: float, measured: float) -> str:
    return f"{100 * (predicted / measured - 1):+.1f}%"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=[*EXAMPLES], help="also: ppocr (minutes)")
    parser.add_argument("--samples", type=int, default=64, help="samples that are simulated")
    given = parser.parse_args()
    print("| network | tensors | weights | sites | golden | simulated | sum | squares | behind |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in given.models:
        for activations, weights in OPTIONS:
            line = row(name, activations, weights, given.samples)
            if line is None:
                print(f"{name}: not installed", file=sys.stderr)
                break
            print(line, flush=True)


if __name__ == "__main__":
    main()
