"""What compile refuses, given to the other commands that read models or data."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from onnx import numpy_helper

from hostile.artefacts import BISECT, CHECK, artefact
from hostile.case import MODEL, Case
from hostile.networks import good, save

EXPLORE = ("explore", MODEL, "--target", "ecp5-25k")
Make = Callable[[Path], object]
MODELS: dict[str, tuple[str, ...]] = {
    "inspect": ("inspect", MODEL),
    "fit": ("fit", f"{MODEL}:a1"),
    "explore": EXPLORE,
    "reduce": ("debug", "reduce", MODEL, "--check", "true {model}", "-o", "small.onnx"),
    "verify": ("verify", "out", "--model", MODEL),
    "reproduce": ("reproduce", "out", "--model", MODEL),
}
"""Commands that read a model besides `actc compile`."""
DATA: dict[str, tuple[str, ...]] = {
    "check": CHECK,
    "sites": (*CHECK, "--sites"),
    "bound": (*CHECK, "--bound"),
    "bisect": BISECT,
    "explore": (*EXPLORE, "--data", "data.npz"),
}
"""Commands that read data besides `actc compile`."""


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch owned",)


def _large(folder: Path) -> None:
    """A model of 2 GiB and one byte."""
    with save(good(), folder).open("r+b") as stream:
        stream.truncate((2 << 30) + 1)


def _infinite(folder: Path) -> None:
    model = good()
    weights = numpy_helper.to_array(model.graph.initializer[0]).copy()
    weights[0, 0] = np.inf
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "w"))
    save(model, folder)


def _pickled(folder: Path) -> None:
    np.savez(folder / "data.npz", x=np.array([_Evil()]))


def _endless(folder: Path) -> None:
    (folder / "data.npz").unlink()
    (folder / "data.npz").symlink_to("/dev/zero")


def _beside(spoil: Make) -> Make:
    """A good artefact with its model and data, and `spoil` in its folder."""

    def make(folder: Path) -> None:
        artefact(lambda out: None)(folder)
        spoil(folder)

    return make


def _case(kind: str, command: str, title: str, spoil: Make, status: int, code: str) -> Case:
    line = (MODELS if kind != "data" else DATA)[command]
    name = f"command-{command}-{spoil.__name__.lstrip('_')}"
    return Case(name, title, _beside(spoil), status, (code,), command=line)


CASES = (
    *(_case("model", c, "a model of 2 GiB and one byte", _large, 3, "ACT0001") for c in MODELS),
    *(
        _case("model", c, "an infinite weight", _infinite, 3, "ACT0006")
        for c in MODELS
        if c != "reduce"  # which makes any model smaller
    ),
    *(_case("data", c, "data that run a command", _pickled, 2, "ACT0220") for c in DATA),
    *(_case("data", c, "data without an end", _endless, 2, "ACT0220") for c in DATA),
)
