"""Run a float model over data and collect a histogram of each tensor.

Two passes over the data (extremes, then counts), one batch in memory at a time,
so that memory does not grow with the data and samples may differ in length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from actc.calibrate.histogram import BINS, Histogram
from actc.data import Dataset
from actc.ir.execute import Session

Array = np.ndarray[Any, Any]


def collect(
    model: onnx.ModelProto, names: Sequence[str], dataset: Dataset, batch: int = 16
) -> dict[str, Histogram]:
    """Histograms of the values called `names`.

    Args:
        model: a float model that onnxruntime runs.
        names: values to observe; model inputs too.
        dataset: calibration samples.
        batch: samples per run (when the model's batch is dynamic).

    Returns:
        name -> histogram. A value that is NaN or infinite somewhere has infinite
        ends and no counts.
    """
    inputs = {value.name for value in model.graph.input}
    observed = [name for name in names if name not in inputs]
    session = Session(model, observed) if observed else None
    low = dict.fromkeys(names, np.inf)
    high = dict.fromkeys(names, -np.inf)
    for feeds, real in dataset.batches(batch):
        for name, array in _values(session, feeds, names).items():
            seen = array if dataset.whole else _real(array, feeds, real)
            low[name] = min(low[name], float(seen.min(initial=np.inf)))
            high[name] = max(high[name], float(seen.max(initial=-np.inf)))
            if not np.isfinite(array).all():
                low[name], high[name] = -np.inf, np.inf
    counts = {name: np.zeros(BINS, np.int64) for name in names}
    for feeds, real in dataset.batches(batch):
        for name, array in _values(session, feeds, names).items():
            if np.isfinite(low[name]) and np.isfinite(high[name]):
                seen = array if dataset.whole else _real(array, feeds, real)
                counts[name] += _count(seen, low[name], high[name])
    return {name: Histogram(low[name], high[name], counts[name]) for name in names}


def _real(array: Array, feeds: dict[str, Array], real: int) -> Array:
    """The part of a value that belongs to real samples; all of it where axis 0 is no batch."""
    fed = len(next(iter(feeds.values())))
    return array[:real] if array.ndim and len(array) == fed else array


def _values(
    session: Session | None, feeds: dict[str, Array], names: Sequence[str]
) -> dict[str, Array]:
    found = session.run(feeds) if session is not None else {}
    return {name: found[name] if name in found else feeds[name] for name in names}


def _count(array: Array, low: float, high: float) -> Array:
    if high <= low:
        counts = np.zeros(BINS, np.int64)
        counts[0] = array.size
        return counts
    # float64: in float32 the step of a denormal or a huge range would overflow.
    steps = array.reshape(-1).astype(np.float64)
    steps -= low
    steps *= BINS / (high - low)
    return np.bincount(np.clip(steps, 0, BINS - 1).astype(np.int32), minlength=BINS)
