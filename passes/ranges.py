"""What range of its input matters to a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Range = tuple[float, float]

_GRID = 4097


def is_clamp(function: Callable[[Array], Array], low: float, high: float) -> Range | None:
    """(a, b) if the function is clip(x, a, b) on [low, high] and beyond, else None."""
    reach = 2 * max(abs(low), abs(high), 1.0)
    x = np.linspace(-reach, reach, _GRID)
    y = function(x)
    if not np.isfinite(y).all():
        return None
    a, b = float(y.min()), float(y.max())
    a = -np.inf if a <= -reach else a
    b = np.inf if b >= reach else b
    return (a, b) if a < b and np.array_equal(y, np.clip(x, a, b)) else None


def clip_tails(
    function: Callable[[Array], Array], low: float, high: float, tolerance: float
) -> Range:
    """The part of [low, high] that matters to the function.

    Beyond the returned ends the function stays within `tolerance` of its value at
    the end, so that saturating the input there costs no more. Spending no codes on
    the flat tails (of a sigmoid, a SiLU) leaves finer steps where it bends.

    Args:
        function: of [n], to [n] or, for a family, to [n, channels]: what matters to any.
        low, high: range of its input.
        tolerance: in units of its values.
    """
    x = np.linspace(low, high, _GRID)
    ends = [_of_curve(x, y, tolerance) for y in function(x).reshape(_GRID, -1).T]
    return min(end[0] for end in ends), max(end[1] for end in ends)


def _of_curve(x: Array, y: Array, tolerance: float) -> Range:
    """The part of the points `x` [n] that matters to the values `y` [n]."""
    left = _flat_prefix(y, tolerance)
    right = _flat_prefix(y[::-1], tolerance)
    if left + right >= _GRID - 1:
        return float(x[0]), float(x[-1])
    return float(x[left]), float(x[_GRID - 1 - right])


def _flat_prefix(y: Array, tolerance: float) -> int:
    """Last k for which y[0..k] stays within `tolerance` of y[k], for every smaller k too."""
    spread = np.maximum(np.maximum.accumulate(y) - y, y - np.minimum.accumulate(y))
    outside = np.flatnonzero(~(spread <= tolerance))
    return int(outside[0]) - 1 if len(outside) else len(y) - 1
