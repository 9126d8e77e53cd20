"""The networks of examples/: scikit-learn's digits and MNIST."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.base import (
    ROOT,
    Arrays,
    Evaluation,
    Task,
    downloaded,
    first_output,
    labelled,
    take,
    top1,
)

Array = npt.NDArray[Any]

EXAMPLES = ROOT / "examples"
INPUT = "image"
SHAPES: dict[str, tuple[int, ...]] = {
    "digits/mlp": (64,),
    "digits/cnn": (1, 8, 8),
    "mnist/mlp": (784,),
    "mnist/cnn_silu": (1, 28, 28),
    "mnist/cnn_hardswish": (1, 28, 28),
    "mnist/vit": (1, 28, 28),
    "mnist/lstm": (28, 28),
}
TITLES = {
    "digits/mlp": "digits MLP, GELU",
    "digits/cnn": "digits CNN, SiLU",
    "mnist/mlp": "MNIST MLP, GELU",
    "mnist/cnn_silu": "MNIST CNN, SiLU",
    "mnist/cnn_hardswish": "MNIST CNN, HardSwish",
    "mnist/vit": "MNIST tiny ViT",
    "mnist/lstm": "MNIST LSTM over rows",
}
QUICK = 500


@cache
def digits() -> tuple[Array, Array, Array]:
    """scikit-learn's digits, split as examples/digits/train.py does: train, test, test labels."""
    data = importlib.import_module("sklearn.datasets").load_digits()
    split = importlib.import_module("sklearn.model_selection").train_test_split
    images = (data.images / 16.0).astype(np.float32)
    train, test, _, labels = split(
        images, data.target, test_size=0.25, random_state=0, stratify=data.target
    )
    return train, test, labels


@cache
def mnist() -> tuple[Array, Array, Array]:
    """MNIST: training images, test images, test labels."""

    def images(name: str) -> Array:
        pixels = np.frombuffer(downloaded(f"mnist/{name}").read_bytes(), np.uint8, offset=16)
        return (pixels.reshape(-1, 28, 28) / np.float32(255)).astype(np.float32)

    labels = np.frombuffer(
        downloaded("mnist/t10k-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8
    )
    train, test = images("train-images-idx3-ubyte"), images("t10k-images-idx3-ubyte")
    return train, test, labels.astype(np.int64)


def example(name: str) -> Task:
    """Make the task of examples/NAME.onnx."""
    data = digits if name.startswith("digits") else mnist
    shape = (-1, *SHAPES[name])

    def model(_: Path) -> Path:
        return EXAMPLES / f"{name}.onnx"

    def calibration(count: int) -> Arrays:
        return {INPUT: data()[0][:count].reshape(shape)}

    def evaluation(quick: bool) -> Evaluation:
        _, test, labels = data()
        arrays = {INPUT: test.reshape(shape), "labels": labels}
        return labelled(take(arrays, QUICK) if quick else arrays)

    return Task(
        name=name.replace("/", "-").replace("_", "-"),
        title=TITLES[name],
        model=model,
        calibration=calibration,
        evaluation=evaluation,
        predict=first_output,
        metrics=top1,
        samples=256,
        decisive="accuracy",
    )


TASKS = tuple(example(name) for name in SHAPES)
