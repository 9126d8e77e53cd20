"""Codes of weights for given scales: sequential rounding and coordinate descent.

Both lower ``e^T H e`` with ``e = w - s * code``, all rows of a matrix at once.

Frantar and Alistarh, "Optimal Brain Compression", NeurIPS 2022, and Frantar et al.,
"GPTQ", 2022, round the weights one after the other and move those that are left so
that they make up for it. With ``H = R R^T``, R upper triangular, that is Babai's
nearest plane: component k of ``R^T e`` holds ``e_0 .. e_k``, and code k is the one that
makes it least. No inverse of H is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from actc.numerics.weights.format import WeightFormat
from actc.numerics.weights.objective import quadratic

Array = np.ndarray[Any, Any]

_BLOCK = 64
_SWEEPS = 100
_TOLERANCE = 1e-12
"""Share of a row's error that a change of a code must save."""


def sequential_codes(weights: Array, scales: Array, hessian: Array, form: WeightFormat) -> Array:
    """Codes rounded one after the other, those that see the largest inputs first.

    Args:
        weights: float64 [G, R, K].
        scales: float64 [G, R, 1] or, of every weight, [G, R, K]; positive.
        hessian: float64 [G, K, K], positive definite.

    Returns:
        float64 [G, R, K], integers.
    """
    scales = np.broadcast_to(scales, weights.shape)
    order = np.argsort(-np.diagonal(hessian, axis1=1, axis2=2), axis=1, kind="stable")
    factor = _upper_factor(_permuted(hessian, order))
    pivots = np.diagonal(factor, axis1=1, axis2=2)
    sorted_weights = np.take_along_axis(weights, order[:, None, :], axis=2)
    sorted_scales = np.take_along_axis(scales, order[:, None, :], axis=2)
    codes, residual = np.zeros_like(sorted_weights), np.zeros_like(sorted_weights)
    size = weights.shape[2]
    for start in range(0, size, _BLOCK):
        stop = min(start + _BLOCK, size)
        # What the blocks before have left in these components.
        carried = residual[:, :, :start] @ factor[:, :start, start:stop]
        for k in range(start, stop):
            inside = residual[:, :, start:k] @ factor[:, start:k, k, None]
            left = carried[:, :, k - start] + inside[:, :, 0]
            target = sorted_weights[:, :, k] + left / pivots[:, None, k]
            steps = sorted_scales[:, :, k]
            codes[:, :, k] = form.nearest(target / steps)
            residual[:, :, k] = sorted_weights[:, :, k] - steps * codes[:, :, k]
    back = np.argsort(order, axis=1, kind="stable")
    return np.asarray(np.take_along_axis(codes, back[:, None, :], axis=2))


def descend(
    weights: Array, scales: Array, codes: Array, hessian: Array, form: WeightFormat
) -> Array:
    """Coordinate descent over the codes, to a local optimum.

    Each step gives one code its best value while all others stay, which is exact:
    the error is a parabola in it. No single change of a code lowers the error of the
    result (beyond rounding errors), unless 100 sweeps did not get there. The choices
    include those of AdaRound (Nagel et al., "Up or Down? Adaptive Rounding for
    Post-Training Quantization", ICML 2020), which minimizes the same error over
    rounding up or down.

    Args:
        weights, codes: float64 [G, R, K]; codes are the start.
        scales: float64 [G, R, 1] or, of every weight, [G, R, K]; positive.
        hessian: float64 [G, K, K], positive definite.

    Returns:
        float64 [G, R, K].
    """
    codes, scales = codes.copy(), np.broadcast_to(scales, weights.shape)
    residual = weights - scales * codes
    gradient = residual @ hessian
    diagonal = np.diagonal(hessian, axis1=1, axis2=2)
    least = _TOLERANCE * np.maximum(quadratic(weights, hessian), 1e-300)
    for _ in range(_SWEEPS):
        change, gain = _best_changes(codes, gradient, diagonal, scales, form)
        columns = np.flatnonzero((gain > least[:, :, None]).any(axis=(0, 1)))
        if not len(columns):
            break
        for k in columns:
            part = (..., slice(k, k + 1))
            change, gain = _best_changes(
                codes[part], gradient[part], diagonal[part], scales[part], form
            )
            group, row = np.nonzero(gain[:, :, 0] > least)
            if len(row):
                moved = change[group, row, 0]
                codes[group, row, k] += moved
                gradient[group, row] -= (scales[group, row, k] * moved)[:, None] * hessian[group, k]
    return codes


def _best_changes(
    codes: Array, gradient: Array, diagonal: Array, scales: Array, form: WeightFormat
) -> tuple[Array, Array]:
    """The best change of each code by itself, and by how much it lowers the error."""
    curvature = scales * diagonal[:, None, :]
    wanted = gradient / curvature
    change = form.nearest(codes + wanted) - codes
    return change, scales * curvature * change * (2 * wanted - change)


def _permuted(hessian: Array, order: Array) -> Array:
    rows = np.take_along_axis(hessian, order[:, :, None], axis=1)
    return np.take_along_axis(rows, order[:, None, :], axis=2)


def _upper_factor(hessian: Array) -> Array:
    """R, upper triangular, with ``H = R R^T``: the Cholesky factor from the last row up."""
    return np.asarray(np.linalg.cholesky(hessian[:, ::-1, ::-1])[:, ::-1, ::-1])
