"""Eight-bit weights by their largest values, and the bias of the accumulator."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SMALLEST_SCALE = 1e-30
"""Scale of a channel of zeros."""
_BIAS_LIMIT = 2.0**28
_LARGEST = 2.0**31 - 1


def quantize_weights(weights: Array, bias: Array, x_scale: float) -> tuple[Array, Array, Array]:
    """Symmetric int8 weights with one scale per output channel, and the int32 bias.

    Args:
        weights: float [O, ...].
        bias: float [O].
        x_scale: scale of the input.

    Returns:
        int8 weights [O, ...], int32 bias [O], float64 scales [O]. A channel's scale
        grows where its bias would not fit 28 bits.
    """
    flat = np.abs(weights.reshape(len(weights), -1).astype(np.float64))
    largest = flat.max(axis=1, initial=0.0)
    scales = np.maximum(np.maximum(largest / 127, bias_floor(bias, x_scale)), SMALLEST_SCALE)
    shape = (-1, *([1] * (weights.ndim - 1)))
    codes = np.clip(np.rint(weights / scales.reshape(shape)), -127, 127).astype(np.int8)
    return codes, bias_codes(bias, scales, x_scale), scales


def bias_floor(bias: Array, x_scale: float) -> Array:
    """The smallest weight scales, float64 [O], at which a bias [O] fits 28 bits."""
    return np.asarray(np.abs(bias.astype(np.float64)) / (x_scale * _BIAS_LIMIT))


def bias_codes(bias: Array, scales: Array, x_scale: float) -> Array:
    """The bias [O] in steps of the accumulator, ``scales * x_scale``: int32 [O].

    What does not fit, where the model gives the scales, is the nearest code that does.
    """
    codes = np.rint(bias.astype(np.float64) / (scales * x_scale))
    return np.clip(codes, -_LARGEST, _LARGEST).astype(np.int32)
