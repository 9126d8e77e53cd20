"""Leaves of piecewise polynomials by trying every coefficient: the oracle of their search."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from actc.approx.gates import Gates

Serves = Callable[[np.ndarray, np.ndarray], bool]


def window(truncations: tuple[int, ...], count: int) -> list[np.ndarray]:
    t = np.arange(count)
    return [t, *(t**power >> cut for power, cut in enumerate(truncations, 2))]


def brute_serves(
    low: np.ndarray,
    high: np.ndarray,
    truncations: tuple[int, ...],
    shift: int,
    boxes: list[range],
) -> bool:
    """Whether some polynomial with coefficients in the boxes serves, by trying all."""
    least, most = low << shift, ((high + 1) << shift) - 1
    values = np.zeros((1, len(low)), np.int64)
    for box, u in zip(boxes, window(truncations, len(low)), strict=True):
        values = (values[:, None, :] + np.array(box)[:, None] * u).reshape(-1, len(low))
    return bool(np.any((least - values).max(axis=1) <= (most - values).min(axis=1)))


def brute_leaves(gates: Gates, start: int, end: int, serves: Serves) -> int:
    """Leaves of the smallest of all trees."""
    counts = [1] if serves(gates.low[start:end], gates.high[start:end]) else []
    if end - start > 1:
        middle = (start + end) // 2
        counts.append(
            brute_leaves(gates, start, middle, serves) + brute_leaves(gates, middle, end, serves)
        )
    return min(counts)
