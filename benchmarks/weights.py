"""Accuracy over the bits of the weights, of the ways to round them.

    python benchmarks/weights.py examples/digits/cnn.onnx examples/digits/digits.npz

With --groups N, weights rounded in sequence are also tried with a factor per N inputs.
The first samples calibrate, the others, which no choice has seen, measure: accuracy
and the RMS error of the outputs against the float model, over the outputs' RMS.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import actc
from actc.numerics.weights import SPELLINGS

Array = np.ndarray[Any, Any]

BITS = ("8", "6", "4", "3", "2", "ternary")
ROUNDINGS = ("nearest", "optimal", "sequential")
BATCH = 250


def main() -> None:
    """Print one row per format of the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path, help="one input and `labels`, as for actc compile")
    parser.add_argument("--calibrate", type=int, default=200, metavar="N", help="default: 200")
    parser.add_argument("--bits", nargs="+", default=BITS, choices=SPELLINGS, metavar="BITS")
    parser.add_argument("--groups", type=int, default=0, metavar="N", help="default: none")
    options = parser.parse_args()
    content = dict(np.load(options.data))
    labels = content.pop("labels")[options.calibrate :]
    content = shaped(options.model, content)
    calibration = {name: array[: options.calibrate] for name, array in content.items()}
    test = {name: array[options.calibrate :] for name, array in content.items()}
    reference = outputs(options.model, test)
    print(f"float {top1(reference, labels):.4f} on {len(labels)} samples")
    ways: list[dict[str, Any]] = [{"rounding": rounding} for rounding in ROUNDINGS]
    if options.groups:
        ways.append({"rounding": "sequential", "groups": options.groups})
    names = [way["rounding"] + (" + groups" if "groups" in way else "") for way in ways]
    print(f"{'weights':>8}  " + "  ".join(f"{name:^26}" for name in names))
    for bits in options.bits:
        tried = [way for way in ways if bits != "8" or "groups" not in way]
        found = row(options.model, calibration, test, labels, reference, bits, tried)
        print(f"{bits:>8}  " + "  ".join(f"{text:^26}" for text in found), flush=True)


def shaped(model: Path, arrays: dict[str, Array]) -> dict[str, Array]:
    """The arrays in the shapes that the model's inputs have, so that networks share data."""
    inputs = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).get_inputs()
    return {
        value.name: array.reshape(-1, *value.shape[1:])
        for value, array in zip(inputs, arrays.values(), strict=True)
    }


def row(
    model: Path,
    calibration: dict[str, Array],
    test: dict[str, Array],
    labels: Array,
    reference: Array,
    bits: str,
    ways: list[dict[str, Any]],
) -> Iterator[str]:
    """Packed bytes of the weights, accuracy and error, of each way to round."""
    for way in ways:
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder) / "out"
            artifact = actc.compile(
                model, "onnx", data=calibration, output=directory, weights=bits, **way
            )
            found = outputs(directory / "golden.onnx", test)
        error = np.sqrt(np.mean((found - reference) ** 2) / np.mean(reference**2))
        size = artifact.report["weights"]["bytes"]
        yield f"{size} {top1(found, labels):.4f} rms {error:.4f}"


def outputs(path: Path, feeds: dict[str, Array]) -> Array:
    """The first output of a model on all samples."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    count = len(next(iter(feeds.values())))
    parts = [
        session.run(None, {n: a[start : start + BATCH] for n, a in feeds.items()})[0]
        for start in range(0, count, BATCH)
    ]
    return np.concatenate(parts).astype(np.float64)


def top1(scores: Array, labels: Array) -> float:
    """Share of samples whose largest score is that of their label."""
    return float(np.mean(scores.argmax(axis=1) == labels))


if __name__ == "__main__":
    main()
