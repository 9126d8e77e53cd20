"""The magnitude of two tensors in numpy."""

from __future__ import annotations

import numpy as np

from actc.ir.spec.shared import Array, operator


def int_hypot(a: Array, b: Array, a_zero: Array, b_zero: Array, eps: Array) -> Array:
    """floor(64 * sqrt((a - a_zero)^2 + (b - b_zero)^2 + eps)); int32."""
    x, y = a.astype(np.int64) - int(a_zero), b.astype(np.int64) - int(b_zero)
    root = np.sqrt((x * x + y * y).astype(np.float64) + float(eps))
    return np.asarray(np.floor(64 * root).astype(np.int32))


SPECIFICATION = [operator("IntHypot", int_hypot)]
"""Implementations for onnx's reference evaluator."""
