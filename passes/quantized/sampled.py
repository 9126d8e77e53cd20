"""Steps of functions that turn, over more sums than can be tried one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from actc.numerics.quantization import QuantizationParameters
from actc.passes.quantized.rounding import MOST_STEPS, Staircase, padded, quantize

Array = np.ndarray[Any, Any]

FEW_CODES = 3
"""Codes from the first to the last: two levels about a zero have three."""
_CELLS = 2**16


def sampled_staircase(
    real: Callable[[Array], Array], channels: int, bound: int, p: QuantizationParameters
) -> Staircase | None:
    """The codes of a function with few codes, whatever its direction.

    The sums are cut into 65,536 equal cells. In each at whose ends the codes differ the one
    step is found by bisection; two steps within a cell that cancel are not seen.

    Args:
        real: of sums [n, C], float64 of the same shape.
        channels: C.
        bound: sums lie within -bound .. bound.
        p: format of the result.

    Returns:
        None where a channel has too many steps.
    """
    ends = np.unique(np.linspace(-bound, bound, _CELLS + 1).round().astype(np.int64))
    spread = np.repeat(ends[:, None], channels, axis=1)
    codes = quantize(real(spread.astype(np.float64)), p)
    changes = [np.flatnonzero(np.diff(codes[:, channel])) for channel in range(channels)]
    most = max(len(found) for found in changes)
    if most > MOST_STEPS:
        return None
    below = np.full((most, channels), -bound, np.int64)
    above = below + 1
    for channel, found in enumerate(changes):
        below[: len(found), channel] = ends[found]
        above[: len(found), channel] = ends[found + 1]
    before = quantize(real(below.astype(np.float64)), p)
    while np.any(above - below > 1):
        middle = (below + above) // 2
        same = quantize(real(middle.astype(np.float64)), p) == before
        below, above = np.where(same, middle, below), np.where(same, above, middle)
    parts = []
    for channel, found in enumerate(changes):
        points = above[: len(found), channel]
        steps = codes[np.r_[0, found + 1], channel]
        parts.append(padded(Staircase(points[None], steps[None])))
    return Staircase(
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.codes for part in parts]),
    )
