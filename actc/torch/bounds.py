"""How large sums may become before golden would not hold them exactly any more."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.graph import constant, is_op
from actc.numerics.requantize import EXACT_LIMIT

Array = np.ndarray[Any, Any]

_EXACT = 2**53 - 1
"""The largest integer up to which float64 holds all."""
_INT32, _INT64 = 2**31 - 1, 2**51 - 1
"""The largest sums of accumulators: of int32, and of int64 that float64 computes."""


def room(value: ir.Value, channels: int) -> Array:
    """The largest magnitude that each channel of an accumulator may have.

    Args:
        value: the accumulator in golden.
        channels: the number of its channels.

    Returns:
        int64 [channels]: what the type holds, and what the readers compute exactly.
    """
    top = _INT32 if value.dtype == ir.DataType.INT32 else _INT64
    found = np.full(channels, top, np.int64)
    for use in value.uses():
        found = np.minimum(found, _of_reader(use.node, value, channels))
    return found


def _of_reader(node: ir.Node, value: ir.Value, channels: int) -> Array:
    if is_op(node, "Requantize", domain=DOMAIN):
        return _exact(constant(node.inputs[1]), constant(node.inputs[2]), channels)
    if is_op(node, "IntDivide", domain=DOMAIN) and node.inputs[0] is value:
        unit, zero = constant(node.inputs[5]), constant(node.inputs[2])
        assert unit is not None
        assert zero is not None
        return np.full(channels, _EXACT // max(int(unit), 1) - abs(int(zero)))
    if is_op(node, "Mul", "Add"):
        other = next(constant(v) for v in node.inputs if v is not value)
        behind = room(node.outputs[0], channels)
        if other is None:
            return behind
        largest = int(np.abs(other.astype(np.int64)).max(initial=0))
        return behind // max(largest, 1) if node.op_type == "Mul" else behind - largest
    if is_op(node, "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Slice"):
        return np.full(channels, room(node.outputs[0], 1)[0])
    return np.full(channels, _INT64, np.int64)


def _exact(multiplier: Array | None, shift: Array | None, channels: int) -> Array:
    """|acc * multiplier| + 2^(shift-1) < 2^52."""
    assert multiplier is not None
    assert shift is not None
    factors = np.maximum(multiplier.astype(np.int64).reshape(-1), 1)
    if len(factors) != channels:
        factors = np.full(channels, factors.max())
    limit: Array = (EXACT_LIMIT - 1 - (1 << (int(shift) - 1))) // factors
    return limit


def reach(codes: Array, axis: int, ends: tuple[int, int], bias: Array | int = 0) -> Array:
    """The largest magnitude of each channel's sum, of all its parts, with and without bias.

    Args:
        codes: integer weights.
        axis: of the channels.
        ends: smallest and largest input, less its zero point.
        bias: integers [O].

    Returns:
        int64 [O], as `actc.numerics.quantization.accumulator_bound` has it for all.
    """
    rows = np.moveaxis(codes.astype(np.int64), axis, 0).reshape(codes.shape[axis], -1)
    positive, negative = np.maximum(rows, 0).sum(1), np.minimum(rows, 0).sum(1)
    high = positive * ends[1] + negative * ends[0]
    low = positive * ends[0] + negative * ends[1]
    return np.asarray(np.max([high, -low, high + bias, -(low + bias)], axis=0))


def scan_room(
    x_multiplier: Array, h_multiplier: Array, shift: int, x_reach: Array, h_reach: Array
) -> tuple[Array, Array]:
    """The same for the two sums of a recurrent layer, which are scaled and added.

    What is left beside the sums that golden has now is shared between them.

    Args:
        x_multiplier, h_multiplier: int32 [G*H].
        shift: of both.
        x_reach, h_reach: int64 [G*H], the largest sums that golden has now.

    Returns:
        int64 [G*H] for the sums of the input, int64 [G*H] for those of the state.
    """
    factors = [np.maximum(m.astype(np.int64), 1) for m in (x_multiplier, h_multiplier)]
    used = [factor * reach for factor, reach in zip(factors, (x_reach, h_reach), strict=True)]
    left = np.maximum(EXACT_LIMIT - 1 - (1 << (shift - 1)) - used[0] - used[1], 0) // 2
    x, h = ((u + left) // factor for u, factor in zip(used, factors, strict=True))
    return np.minimum(x, _INT32), np.minimum(h, _INT64)
