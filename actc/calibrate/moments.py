"""Moments of what linear layers read, from calibration data.

For a matrix product the vectors are the last axis of its input; for a convolution
they are its windows (im2col), per group of channels. The data is streamed once per
set of layers whose matrices fit in memory together; of a sample with many windows,
evenly spread ones are taken, the same in every run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view

from actc.data import Dataset
from actc.ir.execute import Session
from actc.numerics.weights import Moments

Array = np.ndarray[Any, Any]

MEMORY = 2**29
"""Bytes of the matrices held at a time, 512 MiB; a larger one is held alone."""
VECTORS_PER_ENTRY, FEWEST_VECTORS = 32, 2**13
"""Vectors taken per layer: about 32 times their length, of each sample the same share."""
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class Window:
    """How a convolution slides: one number per spatial axis; `pads` begins, then ends."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a linear layer reads; equal for layers that read the same vectors.

    Attributes:
        value: name of the tensor.
        size: K, length of the vectors (per group).
        groups: groups of channels.
        window: of a convolution; None for a matrix product.
    """

    value: str
    size: int
    groups: int = 1
    window: Window | None = None

    @property
    def bytes(self) -> int:
        """Memory of the second moments."""
        return 8 * self.groups * self.size**2


def collect_moments(
    model: onnx.ModelProto,
    readings: Sequence[Reading],
    dataset: Dataset,
    batch: int = 16,
    memory: int = MEMORY,
) -> Iterator[tuple[Reading, Moments]]:
    """Moments of each distinct reading, in the order of first appearance.

    Args:
        model: a float model that onnxruntime runs.
        readings: what to observe.
        dataset: calibration samples.
        batch: samples per run (when the model's batch is dynamic).
        memory: bytes of matrices held at a time.
    """
    distinct = list(dict.fromkeys(readings))
    for part in _parts(distinct, memory):
        sums = {reading: _Sums(reading, dataset.samples) for reading in part}
        inputs = {value.name for value in model.graph.input}
        inner = list(dict.fromkeys(r.value for r in part if r.value not in inputs))
        session = Session(model, inner) if inner else None
        for feeds, real in dataset.batches(batch):
            found = session.run(feeds) if session is not None else {}
            fed = len(next(iter(feeds.values())))
            for reading in part:
                array = found.get(reading.value, feeds.get(reading.value))
                assert array is not None
                sums[reading].add(array[:real] if len(array) == fed else array)
        while part:
            reading = part.pop(0)
            yield reading, sums.pop(reading).result()


def _parts(readings: list[Reading], memory: int) -> Iterator[list[Reading]]:
    """Consecutive readings whose matrices fit in `memory` together."""
    part: list[Reading] = []
    for reading in readings:
        if part and sum(r.bytes for r in part) + reading.bytes > memory:
            yield part
            part = []
        part.append(reading)
    if part:
        yield part


class _Sums:
    """Running sums of one reading."""

    def __init__(self, reading: Reading, samples: int) -> None:
        self._reading = reading
        wanted = max(FEWEST_VECTORS, VECTORS_PER_ENTRY * reading.size)
        self._per_sample = max(1, wanted // max(1, samples))
        self._second = np.zeros((reading.groups, reading.size, reading.size))
        self._first = np.zeros((reading.groups, reading.size))
        self._count = 0
        self._taken = 0

    def add(self, array: Array) -> None:
        """Take in one batch of the tensor."""
        x = self._vectors(array).astype(np.float64)
        self._second += np.swapaxes(x, 1, 2) @ x
        self._first += x.sum(axis=1)
        self._count += x.shape[1]

    def result(self) -> Moments:
        """The means; the sums are used up."""
        self._second /= max(1, self._count)
        return Moments(self._second, self._first / max(1, self._count), self._count)

    def _vectors(self, array: Array) -> Array:
        """[G, M, K] of a batch: the positions taken, of every sample the same."""
        window = self._reading.window
        if window is None:
            rows = array.reshape(len(array), -1, self._reading.size)
            taken = rows[:, self._positions(rows.shape[1])]
            return taken.reshape(1, -1, self._reading.size)
        windows = _windows(array, window)
        spatial = len(window.kernel)
        extent = windows.shape[2 : 2 + spatial]
        places = np.unravel_index(self._positions(math.prod(extent)), extent)
        index: tuple[Any, ...] = (slice(None), slice(None), *places)
        taken = windows[index]  # [N, C, P, *kernel]
        samples, channels, count = taken.shape[:3]
        grouped = taken.reshape(samples, self._reading.groups, -1, count, math.prod(window.kernel))
        assert grouped.shape[2] * self._reading.groups == channels
        ordered = grouped.transpose(1, 0, 3, 2, 4)  # [G, N, P, C/G, kernel]
        shape = (self._reading.groups, samples * count, self._reading.size)
        return np.asarray(ordered.reshape(shape))

    def _positions(self, count: int) -> Array:
        """Which of `count` positions this batch takes; all when they are few.

        Multiples of a number near the golden section of `count`, and prime to it, go
        through all positions once, spread evenly at any time.
        """
        if count <= self._per_sample:
            return np.arange(count)
        step = max(1, round(count * _GOLDEN))
        while math.gcd(step, count) > 1:
            step += 1
        order = (self._taken + np.arange(self._per_sample)) % count * step % count
        self._taken += self._per_sample
        return np.sort(order)


def _windows(array: Array, window: Window) -> Array:
    """View [N, C, *positions, *kernel] of a padded tensor [N, C, *extent]."""
    spatial = len(window.kernel)
    widths = [(0, 0), (0, 0), *zip(window.pads[:spatial], window.pads[spatial:], strict=True)]
    padded = np.pad(array, widths)
    reach = [(k - 1) * d + 1 for k, d in zip(window.kernel, window.dilations, strict=True)]
    views = sliding_window_view(padded, reach, axis=tuple(range(2, 2 + spatial)))
    steps = [slice(None, None, s) for s in window.strides]
    inside = [slice(None, None, d) for d in window.dilations]
    index = (slice(None), slice(None), *steps, *inside)
    return np.asarray(views[index])
