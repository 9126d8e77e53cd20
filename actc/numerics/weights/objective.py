"""The error that quantized weights make in a layer's output, as a quadratic form.

A linear layer ``y = W x`` with weights off by E gives outputs off by ``E x``; the mean
square over the data is ``e^T H e`` per output, ``H = E[x x^T]``. A convolution is the
same on its windows (im2col), each group of channels with its own H.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, slots=True)
class Moments:
    """First and second moments of what a linear layer reads.

    Attributes:
        second: float64 [G, K, K], mean of x x^T per group of channels; not centred.
        mean: float64 [G, K].
        count: number of vectors x seen.
    """

    second: Array
    mean: Array
    count: int

    def covariance(self) -> Array:
        """Second moments about the mean, float64 [G, K, K]."""
        return np.asarray(self.second - self.mean[:, :, None] * self.mean[:, None, :])


def damped(form: Array, share: float) -> Array:
    """`form` [G, K, K] with `share` of its mean diagonal added to the diagonal.

    It is positive definite afterwards, so that what the data leaves open is decided by
    the plain square error; a group that saw only zeros gets the identity.
    """
    size = form.shape[-1]
    level = np.trace(form, axis1=1, axis2=2) / size
    added = np.where(level > 0, share * level, 1.0)
    return np.asarray(form + added[:, None, None] * np.eye(size))


def quadratic(residual: Array, form: Array) -> Array:
    """``e^T H e`` for rows e: residual [G, R, K], form [G, K, K] -> float64 [G, R]."""
    return np.asarray(np.einsum("grk,grk->gr", residual @ form, residual))
