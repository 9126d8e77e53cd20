"""Log-softmax in numpy."""

from __future__ import annotations

import numpy as np

from actc.ir.spec.shared import Array, int32, operator

_MANTISSA_BITS, _SEGMENT_BITS = 30, 8


def int_log_softmax(
    x: Array, table: Array, levels: Array, octaves: Array, logarithms: Array, *, axis: int
) -> Array:
    """-(levels[distance to the maximum] + log of the sum of exponentials); int32.

    The logarithm of a sum S = 2^k * (1 + f) is octaves[k] and, for the fraction f, a line
    between two of the 257 entries of `logarithms`.
    """
    below = x.max(axis=axis, keepdims=True).astype(np.int64) - x
    total = table[below].astype(np.int64).sum(axis=axis, keepdims=True)
    octave = np.frexp(total.astype(np.float64))[1].astype(np.int64) - 1
    mantissa = (total << (_MANTISSA_BITS - octave)) - 2**_MANTISSA_BITS
    inside_bits = _MANTISSA_BITS - _SEGMENT_BITS
    index, inside = mantissa >> inside_bits, mantissa & (2**inside_bits - 1)
    low = logarithms[index].astype(np.int64)
    rise = logarithms[index + 1] - low
    part = (rise * inside + 2 ** (inside_bits - 1)) >> inside_bits
    return int32(-(levels[below].astype(np.int64) + octaves[octave] + low + part))


SPECIFICATION = [operator("IntLogSoftmax", int_log_softmax, ("axis",))]
"""Implementations for onnx's reference evaluator."""
