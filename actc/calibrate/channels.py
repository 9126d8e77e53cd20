"""Ranges and powers of the channels of tensors, from calibration data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from actc.data import Dataset
from actc.ir.execute import Session

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, slots=True)
class Channels:
    """What the channels of a tensor hold; float64 [C] each.

    Attributes:
        low, high: smallest and largest value.
        power: mean of the squares.
    """

    low: Array
    high: Array
    power: Array


def collect_channels(
    model: onnx.ModelProto, axes: Mapping[str, int], dataset: Dataset, batch: int = 16
) -> dict[str, Channels]:
    """Statistics along an axis of each tensor.

    Args:
        model: a float model that onnxruntime runs.
        axes: name of an inner value -> its axis of channels, not the batch.
        dataset: calibration samples.
        batch: samples per run (when the model's batch is dynamic).
    """
    session = Session(model, list(axes))
    low: dict[str, Array] = {}
    high: dict[str, Array] = {}
    total: dict[str, Array] = {}
    count = dict.fromkeys(axes, 0)
    for feeds, real in dataset.batches(batch):
        for name, array in session.run(feeds).items():
            rows = np.moveaxis(array[:real], axes[name], -1)
            x = rows.reshape(-1, rows.shape[-1]).astype(np.float64)
            low[name] = np.minimum(low.get(name, np.inf), x.min(axis=0))
            high[name] = np.maximum(high.get(name, -np.inf), x.max(axis=0))
            total[name] = total.get(name, 0.0) + (x * x).sum(axis=0)
            count[name] += len(x)
    return {name: Channels(low[name], high[name], total[name] / count[name]) for name in axes}
