"""Linear operators in numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actc.ir.spec.shared import Array, int32, operator, windows


def int_conv(
    x: Array,
    w: Array,
    bias: Array,
    x_zero: Array,
    *,
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    group: int,
    kernel_shape: Sequence[int],
) -> Array:
    """Convolution of `x - x_zero` (zero outside) with `w`, plus bias; int32."""
    spatial = len(kernel_shape)
    # Float64 holds every sum exactly (below 2^53) and lets BLAS do the work.
    moved = x.astype(np.float64) - float(x_zero)
    widths = [(0, 0), (0, 0), *zip(pads[:spatial], pads[spatial:], strict=True)]
    found = windows(np.pad(moved, widths), kernel_shape, strides, dilations)
    per_group_in, per_group_out = x.shape[1] // group, w.shape[0] // group
    parts = []
    for g in range(group):
        source = found[:, g * per_group_in : (g + 1) * per_group_in]
        weights = w[g * per_group_out : (g + 1) * per_group_out].astype(np.float64)
        axes = [1, *range(2 + spatial, 2 + 2 * spatial)]
        part = np.tensordot(source, weights, axes=(axes, list(range(1, weights.ndim))))
        parts.append(np.moveaxis(part, -1, 1))
    total = np.concatenate(parts, axis=1).astype(np.int64) + bias
    return int32(total)


def int_matmul(x: Array, w: Array, bias: Array, x_zero: Array) -> Array:
    """(x - x_zero) @ w + bias; int32."""
    product = (x.astype(np.float64) - float(x_zero)) @ w.astype(np.float64)
    return int32(product.astype(np.int64) + bias)


SPECIFICATION = [
    operator("IntConv", int_conv, ("strides", "pads", "dilations", "group", "kernel_shape")),
    operator("IntMatMul", int_matmul),
]
"""Implementations for onnx's reference evaluator."""
