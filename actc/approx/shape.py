"""The shape of a scalar function: monotone pieces and linear asymptotes."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from actc.approx.function import Float64Array, ScalarFunction
from actc.approx.sampling import REACH

Side = Literal[-1, 1]

SETTLED = 2.0**20
"""An asymptote that is not near by then is none."""
_SETTLED_PART = 2.0**-6
_LEVEL_PART = 2.0**-18
_ROUNDING = 2.0**-50
_PARTS = 8
_ODD = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class MonotonePiece:
    """An interval of samples on which a function does not turn.

    Attributes:
        lo, hi: first and last sample.
        direction: 1 never falling, -1 never rising, 0 constant.
    """

    lo: float
    hi: float
    direction: Literal[-1, 0, 1]


@dataclass(frozen=True)
class Asymptote:
    """A line that a function approaches.

    Attributes:
        slope, intercept: of the line.
        start: the function is within the error asked for from ``|x| >= start`` on, at the
            points that were tried.
    """

    slope: float
    intercept: float
    start: float


def monotone_pieces(
    f: ScalarFunction, x: Float64Array, noise: float | None = None
) -> list[MonotonePiece]:
    """Split samples into the fewest pieces on which `f` is monotone, up to `noise`.

    Args:
        f: finite at `x`.
        x: float64 [n], increasing, n >= 1.
        noise: movements against the direction of a piece up to this height are rounding;
            by default 2**-50 of the largest value.

    Returns:
        pieces in order, each beginning where the one before ends; a plateau between two
        directions belongs to the first.

    Raises:
        ModelError: ACT0303 or ACT0304, `f` is not a number or infinite at a sample.
        ValueError: x is empty or does not increase.
    """
    if x.ndim != 1 or x.size == 0 or np.any(np.diff(x) <= 0):
        raise ValueError("x must be a list of increasing numbers")
    y = f.finite(x)
    if noise is None:
        noise = _ROUNDING * float(np.abs(y).max())
    turns = [0, *_turning_points(y, noise), len(x) - 1]
    pieces = []
    for first, last in itertools.pairwise(turns):
        rise = float(y[last] - y[first])
        direction: Literal[-1, 0, 1] = 0 if abs(rise) <= noise else (1 if rise > 0 else -1)
        pieces.append(MonotonePiece(float(x[first]), float(x[last]), direction))
    return pieces


def _turning_points(y: Float64Array, noise: float) -> list[int]:
    """Samples at which the direction changes by more than `noise`.

    A candidate for a turn is the extreme value since the last one; it is one as soon as
    the function has moved away from it by more than `noise`.
    """
    moved = np.flatnonzero(np.diff(y)) + 1  # the first sample with each new value
    steps = np.sign(np.diff(y))[moved - 1]
    # extremes of the exact sequence, each at the last sample of its plateau
    bends = moved[1:][steps[1:] != steps[:-1]] - 1
    candidates = [*bends.tolist(), len(y) - 1]
    values = y.tolist()
    turns: list[int] = []
    direction, lowest, highest = 0, 0, 0
    for i in candidates:
        if values[i] >= values[highest]:
            highest = i
        if values[i] <= values[lowest]:
            lowest = i
        if direction >= 0 and values[highest] - values[i] > noise:
            if direction > 0:
                turns.append(highest)
            direction, lowest, highest = -1, i, i
        elif direction <= 0 and values[i] - values[lowest] > noise:
            if direction < 0:
                turns.append(lowest)
            direction, lowest, highest = 1, i, i
    return turns


def asymptote(
    f: ScalarFunction, side: Side, eps: float | None = None, *, origin: float = 0.0
) -> Asymptote | None:
    """The line that `f` approaches at minus or plus infinity.

    It is judged by float64 values at points whose distances from zero double, eight per
    octave, up to about 2**40. There is a line if from 2**20 on all of them lie within 1/64 of the
    largest deviation nearer to zero.

    Args:
        side: -1 for minus infinity, 1 for plus infinity.
        eps: error that :attr:`Asymptote.start` speaks of; by default 2**-10 of the largest
            deviation from the line. Rounding of the values to float64 does not count.
        origin: only points beyond it are tried.

    Returns:
        None if there is no line (exp, sin, log), or `f` is never within `eps` of it.

    Raises:
        ModelError: ACT0303, `f` is not a number at one of the points.
    """
    x = _probes(side, origin)
    y = f(x)
    if not np.isfinite(y).all():
        return None
    slope = _far_slope(x, y)
    intercept, deviation = _far_intercept(x, y, slope)
    largest = float(deviation.max())
    if float(deviation[np.abs(x) >= SETTLED].max()) > _SETTLED_PART * largest:
        return None
    error = 2.0**-10 * largest if eps is None else eps
    outside = np.flatnonzero(deviation > error)
    first = int(outside[-1]) + 1 if outside.size else 0
    if first >= len(x) - _PARTS:
        return None
    return Asymptote(slope, intercept, float(np.abs(x[first])))


def _far_slope(x: Float64Array, y: Float64Array) -> float:
    """Slope between the last two octaves; nearby float32 numbers are what was meant."""
    slope = float((y[-1] - y[-1 - _PARTS]) / (x[-1] - x[-1 - _PARTS]))
    if abs(slope) * REACH <= _LEVEL_PART * float(y.max() - y.min()):
        return 0.0
    with np.errstate(over="ignore"):
        plain = float(np.float32(slope))
    return plain if abs(plain - slope) <= _ROUNDING * abs(slope) else slope


def _far_intercept(x: Float64Array, y: Float64Array, slope: float) -> tuple[float, Float64Array]:
    """Intercept, and how far each point is from the line beyond its rounding."""
    above = y - slope * x
    rounding = _ROUNDING * (np.abs(y) + np.abs(slope * x))
    # where values are large the intercept drowns in their rounding
    clear = len(x) - 1 if slope == 0 else int(np.searchsorted(np.abs(x), 2.0**26))
    rounding += rounding[clear]
    off = np.flatnonzero(np.abs(above - above[clear]) > rounding)
    near = min(clear, int(off[-1]) + 1 if off.size else 0)
    intercept = float(np.median(above[near : clear + 1]))
    return intercept, np.maximum(np.abs(above - intercept) - rounding, 0.0)


def _probes(side: Side, origin: float) -> Float64Array:
    """Points at which an asymptote is sought, away from zero; not whole, as of floor(x)."""
    octaves = np.ldexp(1.0, np.arange(-10, round(math.log2(REACH))))
    distance = np.multiply.outer(octaves, 1 + (np.arange(_PARTS) + _ODD) / _PARTS).ravel()
    x = side * distance
    found: Float64Array = x[side * x >= side * origin]
    return found
