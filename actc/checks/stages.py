"""Running the stages of a compilation over data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from actc.data import Dataset
from actc.ir import islands
from actc.numerics.compare import Outputs
from actc.targets.base import Target

Array = np.ndarray[Any, Any]
Runner = Callable[[Mapping[str, Array]], dict[str, Array]]


def run_over(runner: Runner, dataset: Dataset, batch: int = 64) -> Outputs:
    """Run all samples and join the outputs along their batch axis, made the first.

    Samples of varying length give outputs of varying shape; each is then flattened
    and the whole joined as one row of values per output.
    """
    parts: dict[str, list[Array]] = {}
    for feeds, real in dataset.batches(batch):
        for name, array in runner(feeds).items():
            if dataset.whole:
                array = array[None]
            array = np.moveaxis(array, dataset.output_axes.get(name, 0), 0)
            parts.setdefault(name, []).append(np.ascontiguousarray(array[:real]))
    return {name: _join(arrays) for name, arrays in parts.items()}


def run_artifact(target: Target, runner: Runner, dataset: Dataset) -> Outputs:
    """Run all samples through a target's artefact, in batches that suit it."""
    if target.any_batch:
        dataset = replace(dataset, batch=None)
    return run_over(runner, dataset, target.batch)


def _join(arrays: list[Array]) -> Array:
    if len({array.shape[1:] for array in arrays}) == 1:
        return np.concatenate(arrays)
    return np.concatenate([array.reshape(-1) for array in arrays])


def run_model(model: onnx.ModelProto, dataset: Dataset, batch: int = 64) -> Outputs:
    """Run an ONNX model over the data in onnxruntime."""
    return run_over(islands.session(model).run, dataset, batch)
