"""Moments of what linear layers read, from calibration data.

For a matrix product the vectors are the last axis of its input; for a convolution
they are its windows (im2col), per group of channels; for the recurrent weights of an
LSTM, GRU or RNN the states before each step. The data is streamed once per
set of layers whose matrices fit in memory together; of a sample with many windows,
evenly spread ones are taken, the same in every run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view

from actc.data import Dataset
from actc.ir.execute import Session
from actc.numerics.weights import Moments, PairedMoments

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]

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
class States:
    """How a recurrent layer reads its own states Y [T, D, N, H]: each one step late.

    Attributes:
        reverse: per direction, whether it starts at the last step.
        initial: name of the states [D, N, H] before the first step; "" for zeros.
    """

    reverse: tuple[bool, ...]
    initial: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a linear layer reads; equal for layers that read the same vectors.

    Attributes:
        value: name of the tensor.
        size: K, length of the vectors (per group).
        groups: groups of channels, or directions.
        window: of a convolution.
        states: of recurrent weights.
        batch_axis: of the tensor; it is not the first where steps of time are.
    """

    value: str
    size: int
    groups: int = 1
    window: Window | None = None
    states: States | None = None
    batch_axis: int = 0

    @property
    def values(self) -> list[str]:
        """Names of all tensors that the vectors are taken from."""
        initial = self.states.initial if self.states is not None else ""
        return [self.value, initial] if initial else [self.value]

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
        names = (name for reading in part for name in reading.values)
        inner = list(dict.fromkeys(name for name in names if name not in inputs))
        session = Session(model, inner) if inner else None
        for feeds, real in dataset.batches(batch):
            found = session.run(feeds) if session is not None else {}
            fed = len(next(iter(feeds.values())))
            for reading in part:
                sums[reading].add(_vectors_source(reading, {**feeds, **found}, fed, real))
        while part:
            reading = part.pop(0)
            yield reading, sums.pop(reading).result()


def paired_moments(
    reading: Reading, batches: Iterable[tuple[Arrays, Arrays, int, int]], samples: int
) -> PairedMoments:
    """Moments of the same vectors in a float network and in a quantized one, together.

    Args:
        reading: what to observe; no states.
        batches: values of the float and of the quantized network by name, the samples that
            were fed, and the real ones among them.
        samples: in all batches.
    """
    sums = _Sums(reading, samples)
    exact = np.zeros((reading.groups, reading.size, reading.size))
    cross, first = np.zeros_like(exact), np.zeros(exact.shape[:2])
    for wanted, found, fed, real in batches:
        pair = (_vectors_source(reading, values, fed, real) for values in (wanted, found))
        x, read = sums.add_pair(*pair)
        exact += np.swapaxes(x, 1, 2) @ x
        cross += np.swapaxes(x, 1, 2) @ read
        first += x.sum(axis=1)
    quantized = sums.result()
    count = max(1, quantized.count)
    for total in (exact, cross, first):
        total /= count
    return PairedMoments(Moments(exact, first, quantized.count), cross, quantized)


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


def _vectors_source(reading: Reading, found: Arrays, fed: int, real: int) -> Array:
    """The tensor that holds a reading's vectors, of the real samples, which come first."""
    array, axis = found[reading.value], reading.batch_axis
    if array.shape[axis] == fed:
        array = array.take(range(real), axis)
    array = np.moveaxis(array, axis, 0)
    if reading.states is None:
        return array
    initial = found.get(reading.states.initial)
    first = None if initial is None else np.moveaxis(initial, 1, 0)[: len(array)]
    return _before_each_step(array, first, reading.states.reverse)


def _before_each_step(states: Array, first: Array | None, reverse: tuple[bool, ...]) -> Array:
    """States [N, T, D, H] as each step reads them, its own predecessor; zeros left out."""
    parts = []
    for direction, backwards in enumerate(reverse):
        read = states[:, 1:, direction] if backwards else states[:, :-1, direction]
        if first is not None:
            read = np.concatenate([first[:, direction, None], read], axis=1)
        parts.append(read)
    return np.stack(parts, axis=2)


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
        """Take in one batch of the tensor, its samples first."""
        self._add(self._vectors(array).astype(np.float64))

    def add_pair(self, wanted: Array, array: Array) -> tuple[Array, Array]:
        """Take in `array`; the vectors [G, M, K] of both tensors at the same places."""
        taken = self._taken
        x = self._vectors(wanted).astype(np.float64)
        self._taken = taken
        read = self._vectors(array).astype(np.float64)
        self._add(read)
        return x, read

    def _add(self, x: Array) -> None:
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
            groups, size = self._reading.groups, self._reading.size
            rows = array.reshape(len(array), -1, groups, size)
            taken = rows[:, self._positions(rows.shape[1])]
            return np.swapaxes(taken.reshape(-1, groups, size), 0, 1)
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
