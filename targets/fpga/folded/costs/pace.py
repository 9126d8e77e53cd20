"""Whether a window's ring of rows lets a stage keep pace with what comes in.

Rows come in one after the other, each as long as its words take, or as its share of the
interval if the source gives rows evenly; a row waits until the ring has a slot for it. A row
of results begins when its last row is stored and the rows before are released. The times of
all that are maxima of sums: a few samples show their period.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SAMPLES = 5
"""Simulated; the time between the last two counts."""


@dataclass(frozen=True, slots=True)
class Rows:
    """How rows of results depend on rows of the input.

    Attributes:
        count: rows of the input.
        slots: rows that the ring holds.
        needed: of each row of results, the last row that it reads; below 0 for none.
        released: how many rows of the input are done with behind each row of results.
        pause: clocks between rows of results, besides one for each released row.
    """

    count: int
    slots: int
    needed: tuple[int, ...]
    released: tuple[int, ...]
    pause: int


def least_intervals(rows: Rows, computed: Sequence[int], words: Sequence[int]) -> list[int]:
    """The least interval between samples at which a stage keeps pace, of many foldings.

    Args:
        computed: of each folding, clocks of a row of results.
        words: words of a row of the input, one per clock.
    """
    pairs = sorted(set(zip(computed, words, strict=True)))
    compute, transfer = (np.array(column, np.float64) for column in zip(*pairs, strict=True))
    alone = len(rows.needed) * (compute + rows.pause) + rows.count
    low = np.maximum(alone, rows.count * transfer)
    enough = _keeps_pace(rows, compute, transfer, low)
    high = np.where(enough, low, (rows.count + 1) * (low + rows.count * transfer))
    low = np.where(enough, low, low + 1)
    while np.any(low < high):
        middle = np.floor((low + high) / 2)
        enough = _keeps_pace(rows, compute, transfer, middle)
        high = np.where(enough, middle, high)
        low = np.where(enough, low, np.minimum(middle + 1, high))
    found = {pair: int(value) for pair, value in zip(pairs, high, strict=True)}
    return [found[pair] for pair in zip(computed, words, strict=True)]


def _keeps_pace(
    rows: Rows, compute: Floats, transfer: Floats, interval: Floats
) -> npt.NDArray[np.bool_]:
    """Whether samples leave as often as they come, if their rows come evenly."""
    spacing = np.maximum(transfer, interval / rows.count)
    stored: list[Floats] = []
    freed: list[Floats] = []
    clock = np.zeros_like(compute)
    ends: list[Floats] = []
    for sample in range(_SAMPLES):
        base = sample * rows.count
        for needed, released in zip(rows.needed, rows.released, strict=True):
            _store(stored, freed, base + needed + 1, rows.slots, spacing)
            if needed >= 0:
                clock = np.maximum(clock, stored[base + needed])
            clock = clock + compute
            while len(freed) < base + released:
                clock = clock + 1
                freed.append(clock)
            clock = clock + rows.pause
        ends.append(clock)
    return np.asarray(ends[-1] - ends[-2] <= interval + 1e-6)


def _store(
    stored: list[Floats], freed: list[Floats], count: int, slots: int, spacing: Floats
) -> None:
    """Let rows in until `count` are stored; each needs the slot of one before."""
    while len(stored) < count:
        place = len(stored)
        begin = stored[-1] if stored else np.zeros_like(spacing)
        if place >= slots:
            begin = np.maximum(begin, freed[place - slots])
        stored.append(begin + spacing)
