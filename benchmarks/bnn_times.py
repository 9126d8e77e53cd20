"""Sessions and times of the benchmark of binary networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort


def session_of(model: bytes | Path) -> ort.InferenceSession:
    """A session on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def microseconds(call: Callable[[], object], number: int) -> float:
    """Mean time of `number` calls."""
    start = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - start) / number * 1e6


SLICE = 1e-3
"""Seconds of one timing; short, so that few are interrupted."""
SLICES = 3
"""Timings of a turn; the best of them counts."""


def best(call: Callable[[], object], number: int) -> float:
    """The least mean time of `number` calls, in microseconds."""
    return min(microseconds(call, number) for _ in range(SLICES))


def calls_of_slice(call: Callable[[], object], most: int = 200) -> int:
    """Calls in a slice; it is called a few times for that."""
    return max(1, min(most, int(SLICE * 1e6 / microseconds(call, 3))))


def turns(timers: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Contestant -> its time in each round; within a round all take turns."""
    samples: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(rounds):
        for name, timer in timers.items():
            samples[name].append(timer())
    return samples


def ratio_text(of: Sequence[float], to: Sequence[float]) -> str:
    """How many times `to` is in `of`, round by round: the median and the quartiles."""
    low, middle, high = np.percentile(np.divide(of, to), (25, 50, 75))
    return f"{middle:.1f} ({low:.1f}-{high:.1f})"
