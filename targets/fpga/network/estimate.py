"""What networks take, before anything is built."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_WEIGHT_BITS = 34


def signed_digits(weights: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number of digits other than zero of each weight in canonical signed-digit form."""
    size = np.abs(weights)
    # the digits of x stand where x and 3 * x differ
    places = size ^ (3 * size)
    counts: npt.NDArray[np.int64] = sum((places >> bit) & 1 for bit in range(_WEIGHT_BITS))
    return counts
