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

_ROUNDING = 1e-13
"""Of second moments, for each row: hundreds of units in the last place, as damping is a percent."""


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
        """Second moments about the mean, float64 [G, K, K]; 0 where only roundings are left."""
        found = self.second - self.mean[:, :, None] * self.mean[:, None, :]
        seen, left = (np.trace(form, axis1=1, axis2=2) for form in (self.second, found))
        # a group that hardly changes: what is left is not even positive semidefinite
        constant = left <= _ROUNDING * found.shape[-1] * seen
        return np.where(constant[:, None, None], 0.0, found)


@dataclass(frozen=True, eq=False, slots=True)
class PairedMoments:
    """Moments of what a layer reads in the float network and in the quantized one.

    Attributes:
        exact: of the float network's vectors x.
        cross: float64 [G, K, K], mean of x y^T with the quantized network's vectors y.
        quantized: of the vectors y.
    """

    exact: Moments
    cross: Array
    quantized: Moments

    def target(self, weights: Array, damping: float, *, centred: bool) -> Array:
        """The real weights T of which ``T y`` comes nearest to ``W x``, float64 [G, R, K].

        They are the solution of the damped normal equations, ``W + W (C - H) D^-1`` with
        C = E[x y^T], H = E[y y^T] (about the means when `centred`) and D the damped H:
        what the data leaves open stays W. The error of codes for T is
        ``(T - Q) H (T - Q)^T`` and a part that no codes change, so that they are found
        for T as they are for W when the inputs are exact (Frantar et al., "GPTQ", 2022,
        reads quantized inputs but aims at W itself).

        Args:
            weights: float64 [G, R, K].
            damping: share of the mean diagonal of H that is added to its diagonal.
            centred: the bias takes up what the means differ by.
        """
        second, cross = self.quantized.second, self.cross
        if centred:
            second = self.quantized.covariance()
            cross = cross - self.exact.mean[:, :, None] * self.quantized.mean[:, None, :]
        change = np.linalg.solve(damped(second, damping), np.swapaxes(cross - second, 1, 2))
        return np.asarray(weights + weights @ np.swapaxes(change, 1, 2))


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
