"""Where functions are sampled: equidistant points, and tails out to 2**40."""

from __future__ import annotations

import numpy as np

from actc.approx.coefficients import Precision
from actc.approx.function import Float64Array

PER_OCTAVE = 256
"""Samples per doubling of ``|x|`` in a tail."""
REACH = 2.0**40
"""Where the samples of a tail end."""


def sample_points(lo: float, hi: float, points: int, precision: Precision) -> Float64Array:
    """Equidistant points, rounded to `precision`, without repetitions; [<= points]."""
    if points < 2:
        raise ValueError(f"points must be at least 2, not {points}")
    x = np.linspace(lo, hi, points).astype(precision).astype(np.float64)
    distinct: Float64Array = x[np.concatenate([[True], x[1:] > x[:-1]])]
    return distinct


def tail_points(start: float, octaves: int, precision: Precision) -> Float64Array:
    """Points from `start` (excluded, > 0) to ``start * 2**octaves``, in increasing order.

    Every octave has `PER_OCTAVE` equidistant points: the checker of certificates gets the
    same ones without a logarithm.
    """
    part = 1 + np.arange(1, PER_OCTAVE + 1) / PER_OCTAVE
    octave = np.ldexp(start, np.arange(octaves))
    x = np.multiply.outer(octave, part).ravel().astype(precision).astype(np.float64)
    found: Float64Array = np.unique(x)
    return found
