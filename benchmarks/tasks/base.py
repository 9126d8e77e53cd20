"""What a task is, and what tasks share."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[2]
DOWNLOADS = ROOT / ".cache" / "accuracy"
"""Where `make accuracy` puts packages of models and data; see the Makefile."""

Array = npt.NDArray[Any]
Arrays = dict[str, Array]
Run = Callable[[Arrays], Arrays]
"""One inference: input name -> array, to output name -> array."""

BATCH = 16
"""Samples per inference, unless the model's batch is fixed."""


class NotFetched(Exception):
    """A model or data set is not there; the message says what brings it."""


@dataclass(frozen=True)
class Evaluation:
    """What to evaluate on.

    Attributes:
        feeds: one dict per inference.
        truth: what people say, in the form that the task's metrics take.
    """

    feeds: list[Arrays]
    truth: Array


@dataclass(frozen=True)
class Task:
    """A network, its data and how good its answers are.

    Attributes:
        name: for --models.
        title: for the table.
        model: makes or finds the float model; given a folder to write to.
        calibration: makes at most so many samples, arrays by input name.
        evaluation: makes what to evaluate on, disjoint from calibration; less for a quick run.
        predict: runs a model over the evaluation's feeds; what `metrics` takes.
        metrics: measures predictions, given the float model's too, and the truth. Larger is
            better.
        samples: how many to calibrate with.
        decisive: the metric to compare by.
        batch: samples per inference of calibration, in both contestants where they can choose.
        peer_operators: operator types that onnxruntime quantizes; None: all that it can.
    """

    name: str
    title: str
    model: Callable[[Path], Path]
    calibration: Callable[[int], Arrays]
    evaluation: Callable[[bool], Evaluation]
    predict: Callable[[Run, list[Arrays]], Array]
    metrics: Callable[[Array, Array, Array], dict[str, float]]
    samples: int
    decisive: str
    batch: int = BATCH
    peer_operators: tuple[str, ...] | None = None


def package_folder(name: str) -> Path:
    """Folder of a package among the downloads or installed, without importing it.

    Raises:
        NotFetched: it is nowhere.
    """
    spec = PathFinder.find_spec(name, [str(DOWNLOADS / "packages"), *sys.path])
    if spec is None or not spec.submodule_search_locations:
        raise NotFetched(f"the package {name} is not there; `make accuracy` fetches it")
    return Path(next(iter(spec.submodule_search_locations)))


def import_package(name: str) -> ModuleType:
    """Import a module of a package among the downloads or installed.

    The downloads come last in the search path: what is installed keeps its version.

    Raises:
        NotFetched: it is nowhere.
    """
    package_folder(name.split(".")[0])
    packages = str(DOWNLOADS / "packages")
    if packages not in sys.path:
        sys.path.append(packages)
    return importlib.import_module(name)


def downloaded(path: str) -> Path:
    """A file or folder among the downloads.

    Raises:
        NotFetched: it is not there.
    """
    found = DOWNLOADS / path
    if not found.exists():
        raise NotFetched(f".cache/accuracy/{path} is not there; `make accuracy` fetches it")
    return found


def first_output(run: Run, batches: list[Arrays]) -> Array:
    """Concatenate the first output over the batches."""
    return np.concatenate([next(iter(run(feeds).values())) for feeds in batches])


def top1(scores: Array, reference: Array, labels: Array) -> dict[str, float]:
    """Share of rows whose largest entry is at the label, and at the float model's largest."""
    best = scores.argmax(axis=1)
    return {
        "accuracy": float(np.mean(best == labels)),
        "agreement": float(np.mean(best == reference.argmax(axis=1))),
    }


def labelled(arrays: Arrays, batch: int = BATCH) -> Evaluation:
    """Evaluate on arrays by input name and their "labels", in batches."""
    feeds = {name: array for name, array in arrays.items() if name != "labels"}
    return Evaluation(split(feeds, batch), arrays["labels"])


def take(arrays: Arrays, count: int) -> Arrays:
    """The first `count` samples."""
    return {name: array[:count] for name, array in arrays.items()}


def split(arrays: Arrays, batch: int) -> list[Arrays]:
    """Cut samples into batches."""
    count = len(next(iter(arrays.values())))
    return [
        {name: array[start : start + batch] for name, array in arrays.items()}
        for start in range(0, count, batch)
    ]


def cosine(a: Array, b: Array) -> float:
    """Mean cosine between the rows of `a` and `b`."""
    a, b = a.reshape(len(a), -1).astype(np.float64), b.reshape(len(b), -1).astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean((a * b).sum(axis=1) / norms))


def area_under_curve(scores: Array, positive: Array) -> float:
    """Area under the ROC curve: P(score of a positive > score of a negative), ties one half."""
    difference = scores[positive][:, None] - scores[~positive][None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))
