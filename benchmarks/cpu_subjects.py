"""Models of the CPU benchmark and their data."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from realmodels import magika, ppocr

ROOT = Path(__file__).resolve().parent.parent
Arrays = dict[str, npt.NDArray[Any]]

CALIBRATION_SAMPLES = 128
TEST_SAMPLES = 400
SIDE = 28


@dataclass(frozen=True)
class Subject:
    """A model with its data.

    Attributes:
        path: the float model; None: its package is not installed.
        data: makes calibration and test data, each with "labels".
        batches: batch sizes to time.
        operators: operator types that onnxruntime quantizes; None: its default.
    """

    path: Path | None
    data: Callable[[], tuple[Arrays, Arrays]]
    batches: tuple[int, ...]
    operators: tuple[str, ...] | None = None


def digits(name: str) -> Callable[[], tuple[Arrays, Arrays]]:
    """Read the digits' test samples, which serve for calibration too: the only ones kept."""

    def read() -> tuple[Arrays, Arrays]:
        with np.load(ROOT / "examples" / "digits" / name, allow_pickle=False) as data:
            return _split(dict(data))

    return read


def mnist() -> tuple[Arrays, Arrays]:
    """MNIST's kept samples as [N, 1, 28, 28]; the first serve for calibration too."""
    with np.load(ROOT / "examples" / "mnist" / "mnist.npz", allow_pickle=False) as data:
        image = data["image"].reshape(-1, 1, SIDE, SIDE)
        return _split({"image": image, "labels": data["labels"]})


def _split(arrays: Arrays) -> tuple[Arrays, Arrays]:
    return {key: array[:CALIBRATION_SAMPLES] for key, array in arrays.items()}, arrays


def made(make: Callable[[int, int], Arrays]) -> Callable[[], tuple[Arrays, Arrays]]:
    """Make calibration and test data from disjoint seeds."""
    return lambda: (make(CALIBRATION_SAMPLES, 1), make(TEST_SAMPLES, 2))


def subjects() -> dict[str, Subject]:
    """All models of the benchmark."""
    examples = ROOT / "examples"
    # Quantizing all operators of magika fails inside onnxruntime's quantizer.
    return {
        "digits-mlp": Subject(examples / "digits/mlp.onnx", digits("digits_mlp.npz"), (1, 64)),
        "digits-cnn": Subject(examples / "digits/cnn.onnx", digits("digits.npz"), (1, 64)),
        "mnist-cnn": Subject(examples / "mnist/cnn_silu.onnx", mnist, (1, 64)),
        "mnist-vit": Subject(examples / "mnist/vit.onnx", mnist, (1, 64)),
        "ppocr-cls": Subject(ppocr.model_path(), made(ppocr.make_data), (1,)),
        "magika": Subject(magika.model_path(), made(magika.make_data), (1,), ("Conv", "MatMul")),
    }


def without_labels(data: Arrays) -> Arrays:
    """Drop the labels."""
    return {name: array for name, array in data.items() if name != "labels"}
