"""What both training scripts of this folder share: data files, and accuracy of golden models."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

import actc

Samples = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
PIECE = 500
"""Samples per run: golden's sums are 64 bits wide."""


@dataclass(frozen=True)
class Data:
    """Samples float32, the first axis counting them, and classes int64 [N].

    Attributes:
        name: of the model's input.
        train, train_labels: to train with.
        test, test_labels: held out; neither training nor compiling sees them.
    """

    name: str
    train: Samples
    train_labels: Labels
    test: Samples
    test_labels: Labels

    def reshaped(self, *shape: int) -> Data:
        """The same with samples of another shape."""
        train, test = (given.reshape(-1, *shape) for given in (self.train, self.test))
        return Data(self.name, train, self.train_labels, test, self.test_labels)

    def first(self, count: int) -> dict[str, Any]:
        """The first training samples as data to compile with."""
        return {self.name: self.train[:count], "labels": self.train_labels[:count]}

    def write(self, folder: Path, name: str, train: int, test: int) -> None:
        """Write NAME_train.npz and NAME.npz with the first samples of each part."""
        held: dict[str, Any] = {self.name: self.test[:test], "labels": self.test_labels[:test]}
        np.savez_compressed(folder / f"{name}_train.npz", **self.first(train))
        np.savez_compressed(folder / f"{name}.npz", **held)


@dataclass(frozen=True)
class Bits:
    """How `actc compile` is told to quantize a network.

    Attributes:
        weights, activations: bits.
        tensors: bits of single tensors, as in actc.toml.
    """

    weights: str
    activations: str
    tensors: dict[str, int] = field(default_factory=dict)


def compiled(path: Path, bits: Bits, data: dict[str, Any], output: Path) -> actc.Artifact:
    """Compile a model to golden.onnx, whatever that costs."""
    return actc.compile(
        path,
        "onnx",
        data=data,
        output=output,
        weights=bits.weights,
        activations=bits.activations,
        overrides={"activations": bits.tensors} if bits.tensors else None,
        max_drop=1.0,
    )


def accuracy(path: Path, name: str, samples: Samples, labels: Labels) -> float:
    """Top-1 accuracy of a model in onnxruntime; `name` is its input's."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    right = 0
    for start in range(0, len(samples), PIECE):
        (scores,) = session.run(None, {name: samples[start : start + PIECE]})
        right += int((np.asarray(scores).argmax(axis=1) == labels[start : start + PIECE]).sum())
    return right / len(samples)


def golden_accuracy(path: Path, bits: Bits, calibration: int, data: Data) -> float:
    """Accuracy of golden.onnx, compiled on training samples, on the held-out samples."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "plan"
        compiled(path, bits, data.first(calibration), output)
        return accuracy(output / "golden.onnx", data.name, data.test, data.test_labels)
