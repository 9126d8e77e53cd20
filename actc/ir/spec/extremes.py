"""Maxima of 16-bit codes in numpy."""

from __future__ import annotations

import numpy as np

from actc.ir.spec.shared import Array, operator
from actc.ir.spec.standard import max_pool


def wide_reduce_max(x: Array, axes: Array, *, keepdims: int) -> Array:
    """Largest code over `axes`; uint16."""
    return np.asarray(x.max(axis=tuple(int(a) for a in axes), keepdims=bool(keepdims)))


SPECIFICATION = [
    operator(
        "WideMaxPool", max_pool, ("strides", "pads", "dilations", "ceil_mode", "kernel_shape")
    ),
    operator("WideReduceMax", wide_reduce_max, ("keepdims",)),
]
"""Implementations for onnx's reference evaluator."""
