"""Softmax and normalization in numpy."""

from __future__ import annotations

import numpy as np

from actc.ir.spec.shared import Array, int32, operator


def int_softmax(x: Array, table: Array, *, axis: int) -> Array:
    """Softmax from a table of exponentials of the distance to the maximum; float32."""
    below = x.max(axis=axis, keepdims=True).astype(np.int32) - x
    powers = table[below].astype(np.float64)
    ratio: Array = (powers / powers.sum(axis=axis, keepdims=True)).astype(np.float32)
    return ratio


def int_probabilities(x: Array, table: Array, *, axis: int, bits: int) -> Array:
    """Softmax in units of 2^-bits, rounded half up, 1 as the largest code; uint16."""
    below = x.max(axis=axis, keepdims=True).astype(np.int32) - x
    powers = table[below].astype(np.int64)
    total = powers.sum(axis=axis, keepdims=True)
    codes = ((powers << (bits + 1)) + total) // (2 * total)
    shares: Array = np.minimum(codes, (1 << bits) - 1).astype(np.uint16)
    return shares


def int_layer_norm(
    x: Array, gamma: Array, beta: Array, eps: Array, *, axis: int, count: int
) -> Array:
    """Layer normalization with 12 fraction bits before gamma; int32."""
    x64 = x.astype(np.int64)
    total = x64.sum(axis=axis, keepdims=True)
    d = count * x64 - total
    v = count * (x64 * x64).sum(axis=axis, keepdims=True) - total * total
    root = np.sqrt(v.astype(np.float64) + float(eps))
    normal = np.floor((d * 4096).astype(np.float64) / root).astype(np.int64)
    return int32(normal * gamma.astype(np.int64) + beta)


def int_rms_norm(x: Array, x_zero: Array, gamma: Array, eps: Array, *, axis: int) -> Array:
    """Division by the root of the sum of squares, 17 fraction bits, times gamma; int32."""
    d = x.astype(np.int64) - int(x_zero)
    squares = (d * d).sum(axis=axis, keepdims=True)
    root = np.sqrt(squares.astype(np.float64) + float(eps))
    normal = np.floor((d << 17).astype(np.float64) / root).astype(np.int64)
    return int32(normal * gamma)


SPECIFICATION = [
    operator("IntSoftmax", int_softmax, ("axis",)),
    operator("IntProbabilities", int_probabilities, ("axis", "bits")),
    operator("IntRmsNorm", int_rms_norm, ("axis",)),
    operator("IntLayerNorm", int_layer_norm, ("axis", "count")),
]
"""Implementations for onnx's reference evaluator."""
