"""Attention: products of two activations, and softmax under a mask, in numpy."""

from __future__ import annotations

import numpy as np

from actc.ir.spec.shared import Array, int32, operator

AS_IF_UNMASKED, ZEROS = 1, 2
"""Values of the attribute `empty` of IntMaskedSoftmax; 0 is a uniform row."""


def int_batch_matmul(a: Array, b: Array, a_zero: Array, b_zero: Array) -> Array:
    """(a - a_zero) @ (b - b_zero), numpy broadcasting of the axes in front; int32."""
    return int32(wide_batch_matmul(a, b, a_zero, b_zero))


def wide_batch_matmul(a: Array, b: Array, a_zero: Array, b_zero: Array) -> Array:
    """(a - a_zero) @ (b - b_zero), numpy broadcasting of the axes in front; int64.

    Raises:
        OverflowError: a sum of that many products may leave 53 bits.
    """
    left, right = a.astype(np.int64) - int(a_zero), b.astype(np.int64) - int(b_zero)
    largest = int(np.abs(left).max(initial=0)) * int(np.abs(right).max(initial=0))
    if largest * left.shape[-1] >= 2**53:
        raise OverflowError("an accumulator leaves the exact integers of float64")
    # Float64 holds every sum exactly (below 2^53) and lets BLAS do the work.
    product: Array = (left.astype(np.float64) @ right.astype(np.float64)).astype(np.int64)
    return product


def int_masked_softmax(x: Array, hidden: Array, table: Array, *, axis: int, empty: int) -> Array:
    """Softmax over the entries that are not hidden; float32."""
    codes, covered = np.broadcast_arrays(x.astype(np.int64), hidden != 0)
    alone = covered.all(axis=axis, keepdims=True)
    if empty == AS_IF_UNMASKED:
        covered = covered & ~alone
    lowest = -1
    visible = np.where(covered, lowest, codes)
    below = visible.max(axis=axis, keepdims=True) - visible
    powers = table[np.minimum(below, len(table) - 1)].astype(np.float64)
    uniform = alone if empty == 0 else np.zeros_like(alone)
    powers = np.where(covered & ~uniform, 0.0, powers)
    total = powers.sum(axis=axis, keepdims=True)
    ratio: Array = (powers / np.where(total > 0, total, 1.0)).astype(np.float32)
    return ratio


SPECIFICATION = [
    operator("IntBatchMatMul", int_batch_matmul),
    operator("WideBatchMatMul", wide_batch_matmul),
    operator("IntMaskedSoftmax", int_masked_softmax, ("axis", "empty")),
]
"""Implementations for onnx's reference evaluator."""
