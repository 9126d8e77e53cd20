"""Linear operators in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from actc.ir.spec.shared import Array, int32, operator, windows


def _convolution(
    x: Array,
    w: Array,
    x_zero: Array,
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    group: int,
    kernel_shape: Sequence[int],
) -> Array:
    """Convolution of `x - x_zero` (zero outside) with `w`; int64."""
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
    return np.concatenate(parts, axis=1).astype(np.int64)


def int_conv(x: Array, w: Array, bias: Array, x_zero: Array, **attributes: Any) -> Array:
    """Convolution of `x - x_zero` (zero outside) with `w`, plus bias; int32."""
    return int32(_convolution(x, w, x_zero, **attributes) + bias)


def wide_conv(x: Array, w: Array, bias: Array, x_zero: Array, **attributes: Any) -> Array:
    """As `int_conv`, of 16-bit codes; int64."""
    return np.asarray(_convolution(x, w, x_zero, **attributes) + bias)


def _product(x: Array, w: Array, x_zero: Array) -> Array:
    product = (x.astype(np.float64) - float(x_zero)) @ w.astype(np.float64)
    return np.asarray(product.astype(np.int64))


def int_matmul(x: Array, w: Array, bias: Array, x_zero: Array) -> Array:
    """(x - x_zero) @ w + bias; int32."""
    return int32(_product(x, w, x_zero) + bias)


def wide_matmul(x: Array, w: Array, bias: Array, x_zero: Array) -> Array:
    """(x - x_zero) @ w + bias of 16-bit codes; int64."""
    return np.asarray(_product(x, w, x_zero) + bias)


_CONV_ATTRIBUTES = ("strides", "pads", "dilations", "group", "kernel_shape")

SPECIFICATION = [
    operator("IntConv", int_conv, _CONV_ATTRIBUTES),
    operator("WideConv", wide_conv, _CONV_ATTRIBUTES),
    operator("IntMatMul", int_matmul),
    operator("WideMatMul", wide_matmul),
]
"""Implementations for onnx's reference evaluator."""
