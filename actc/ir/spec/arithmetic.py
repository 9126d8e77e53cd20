"""Arithmetic of activations in numpy."""

from __future__ import annotations

import math

import numpy as np

from actc.ir.spec.shared import Array, int32, operator

_MEAN_STEPS = 2**12


def int_add(a: Array, b: Array, a_mul: Array, b_mul: Array, bias: Array) -> Array:
    """a * a_mul + b * b_mul + bias; typed as the factors (int32 or int64)."""
    total = a.astype(np.int64) * int(a_mul) + b.astype(np.int64) * int(b_mul) + int(bias)
    return int32(total) if a_mul.dtype == np.int32 else total


def int_mul(a: Array, b: Array, a_zero: Array, b_zero: Array) -> Array:
    """(a - a_zero) * (b - b_zero); int32."""
    moved = a.astype(np.int32) - np.int32(a_zero), b.astype(np.int32) - np.int32(b_zero)
    return np.asarray(moved[0] * moved[1])


def wide_mul(a: Array, b: Array, a_zero: Array, b_zero: Array) -> Array:
    """(a - a_zero) * (b - b_zero); int64."""
    return np.asarray((a.astype(np.int64) - int(a_zero)) * (b.astype(np.int64) - int(b_zero)))


def int_reduce_sum(x: Array, x_zero: Array, axes: Array, *, keepdims: int) -> Array:
    """Sum of x - x_zero over `axes`; int32."""
    moved = x.astype(np.int64) - int(x_zero)
    total = moved.sum(axis=tuple(int(a) for a in axes), keepdims=bool(keepdims))
    return int32(np.asarray(total))


def int_divide(
    a: Array, b: Array, a_zero: Array, b_zero: Array, least: Array, unit: Array
) -> Array:
    """(a - a_zero) * unit / max(b - b_zero, least), rounded down, within 2^30; int32.

    Raises:
        OverflowError: a numerator leaves the exact integers of float64.
    """
    numerator = (a.astype(np.int64) - int(a_zero)) * int(unit)
    if numerator.size and np.abs(numerator).max() >= 2**53:
        raise OverflowError("a dividend leaves the exact integers of float64")
    divisor = np.maximum(b.astype(np.int64) - int(b_zero), int(least))
    quotient = np.floor(numerator.astype(np.float64) / divisor.astype(np.float64))
    return int32(np.clip(quotient, -(2.0**30), 2.0**30))


def int_reduce_mean(x: Array, x_zero: Array, axes: Array, *, keepdims: int) -> Array:
    """2^12 times the mean of x - x_zero over `axes`, rounded half up; int32."""
    along = tuple(int(a) for a in axes)
    count = math.prod(x.shape[a] for a in along)
    total = x.astype(np.int64).sum(axis=along, keepdims=bool(keepdims))
    rounded = (2 * _MEAN_STEPS * total + count) // (2 * count)
    return int32(np.asarray(rounded - _MEAN_STEPS * int(x_zero)))


SPECIFICATION = [
    operator("IntDivide", int_divide),
    operator("IntReduceMean", int_reduce_mean, ("keepdims",)),
    operator("IntAdd", int_add),
    operator("IntMul", int_mul),
    operator("WideMul", wide_mul),
    operator("IntReduceSum", int_reduce_sum, ("keepdims",)),
]
"""Implementations for onnx's reference evaluator."""
