"""Two levels for a tensor: where to cut it, and what stands for either side.

The quantizer of least square error with two levels cuts halfway between the means of its
sides (Lloyd, "Least squares quantization in PCM", 1957; Max, "Quantizing for minimum
distortion", 1960). In one dimension the best of all cuts is found by trying every one of
them in sorted order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_MOST_VALUES = 2**14
"""Values per channel that cuts are chosen by, evenly spread."""


@dataclass(frozen=True, eq=False, slots=True)
class TwoLevels:
    """A step: `high` from `cut` on, `low` below it.

    Attributes:
        cuts: float32 [C], one per channel.
        low, high: real numbers that a multiple of one scale stands for: -a and a, or 0 and a.
    """

    cuts: Array
    low: float
    high: float

    @property
    def bipolar(self) -> bool:
        """The levels are -a and a."""
        return self.low < 0

    def __call__(self, x: Array, channels: Array) -> Array:
        """The levels of `x`, float32 of its shape.

        Args:
            x: float, any shape.
            channels: int, the channel of each element, broadcast-ready.
        """
        passed = x >= self.cuts[channels]
        levels: Array = np.where(passed, np.float32(self.high), np.float32(self.low))
        return levels


def best_cuts(values: Array) -> Array:
    """The cut of least square error of every channel: halfway between the means of its sides.

    A channel of one value is cut there, so that it is always the upper level.

    Args:
        values: float [C, n].

    Returns:
        float32 [C].
    """
    step = max(1, -(-values.shape[1] // _MOST_VALUES))
    ordered = np.sort(values[:, ::step].astype(np.float64), axis=1)
    count = ordered.shape[1]
    sums = np.cumsum(ordered, axis=1)
    below = np.arange(1, count)
    lower = sums[:, :-1] / below
    upper = (sums[:, -1:] - sums[:, :-1]) / (count - below)
    # The sum of squares within the sides falls by what this between them rises.
    between = (upper - lower) ** 2 * below * (count - below)
    between = np.where(ordered[:, 1:] > ordered[:, :-1], between, -1.0)
    if count < 2:
        return np.asarray(ordered[:, 0].astype(np.float32))
    best = np.argmax(between, axis=1)
    rows = np.arange(len(ordered))
    middle = (lower[rows, best] + upper[rows, best]) / 2
    same = between[rows, best] < 0
    return np.asarray(np.where(same, ordered[:, 0], middle).astype(np.float32))


def two_levels(values: Array, cuts: Array, *, padded: bool) -> TwoLevels:
    """The levels of least square error for given cuts.

    Args:
        values: float [C, n].
        cuts: float32 [C].
        padded: zeros are put beside the values, and stay zeros: the levels are then the better
            of -a, a and 0, a. Otherwise they are -a and a about a mean of every channel, which
            whoever reads them has in its bias.
    """
    upper = values >= cuts[:, None]
    if not padded:
        return TwoLevels(cuts, *_symmetric(_pooled_slope(values, upper)))
    size = values.astype(np.float64)
    both = float(np.where(upper, size, -size).mean())
    above = float(size[upper].mean()) if upper.any() else 0.0
    gain_both = both**2 * size.size
    gain_above = above**2 * int(upper.sum())
    if above > 0 and (gain_above >= gain_both or both <= 0):
        return TwoLevels(cuts, 0.0, float(np.float32(above)))
    return TwoLevels(cuts, *_symmetric(both))


def _pooled_slope(values: Array, upper: Array) -> float:
    """Half the distance of the levels, one for all channels, about a mean of each."""
    signs = np.where(upper, 1.0, -1.0)
    centred = signs - signs.mean(axis=1, keepdims=True)
    power = float((centred**2).sum())
    return float((values * centred).sum()) / power if power > 0 else 0.0


def _symmetric(size: float) -> tuple[float, float]:
    """-a and a; 1 where the data gives no size."""
    size = float(np.float32(size))
    return (-size, size) if size > 0 else (-1.0, 1.0)
