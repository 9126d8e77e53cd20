"""Integer weights of linear operators."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


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
    for_bias = np.abs(bias.astype(np.float64)) / (x_scale * 2.0**28)
    scales = np.maximum(np.maximum(largest / 127, for_bias), 1e-30)
    shape = (-1, *([1] * (weights.ndim - 1)))
    codes = np.clip(np.rint(weights / scales.reshape(shape)), -127, 127).astype(np.int8)
    return codes, np.rint(bias / (scales * x_scale)).astype(np.int32), scales
