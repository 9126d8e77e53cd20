"""Maxima: of a float tensor, and of codes beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.bounds import affine, tensors
from actc.bounds.affine import SLACK, Form, Space
from actc.bounds.operators import NotEnclosed
from actc.ir.graph import attribute_ints, constant

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


def windows(node: ir.Node, shape: Shape) -> tuple[Array, Shape]:
    """Positions that each maximum is taken over, [n, taps], -1 for none; its shape.

    Raises:
        NotEnclosed: the windows are not known, or the positions are an output too.
    """
    if len(node.outputs) > 1 and any(output.uses() for output in node.outputs[1:]):
        raise NotEnclosed("its indices are used")
    if node.op_type in ("MaxPool", "WideMaxPool"):
        return _pool(node, shape)
    if node.op_type == "GlobalMaxPool":
        return tensors.along(shape, list(range(2, len(shape))), True)
    axes = constant(node.inputs[1]) if len(node.inputs) > 1 else None
    if axes is None:
        raise NotEnclosed("its axes are not constant")
    keeps = "keepdims" not in node.attributes or node.attributes["keepdims"].as_int() != 0
    return tensors.along(shape, [int(axis) for axis in axes], keeps)


def _pool(node: ir.Node, shape: Shape) -> tuple[Array, Shape]:
    if "auto_pad" in node.attributes and node.attributes["auto_pad"].as_string() != "NOTSET":
        raise NotEnclosed("it has auto_pad")
    kernel = attribute_ints(node, "kernel_shape", [])
    spatial = len(kernel)
    ceil_mode = "ceil_mode" in node.attributes and node.attributes["ceil_mode"].as_int() != 0
    found = tensors.taps(
        shape,
        kernel,
        attribute_ints(node, "strides", [1] * spatial),
        attribute_ints(node, "pads", [0] * (2 * spatial)),
        attribute_ints(node, "dilations", [1] * spatial),
        ceil_mode,
    )
    out = found.shape[: 2 + spatial]
    return found.reshape(int(np.prod(out)), -1), out


def _leader(low: Array, high: Array, index: Array) -> tuple[Array, Array]:
    """The entry with the highest lower bound of each window, and which can be the maximum."""
    absent = index < 0
    floor = np.where(absent, -np.inf, low[index])
    leader = np.take_along_axis(index, floor.argmax(axis=1)[:, None], axis=1)
    can = ~absent & (high[index] >= floor.max(axis=1, keepdims=True))
    return leader[:, 0], can


def largest(space: Space, x: Form, index: Array) -> Form:
    """Maxima of a float tensor: the leader of each window, and how far others are above it.

    Args:
        index: [n, taps], -1 for none.
    """
    leader, can = _leader(*x.range(), index)
    base = affine.gathered(x, leader)
    above = np.zeros(len(leader))
    for tap in range(index.shape[1]):
        rows = np.flatnonzero(can[:, tap] & (index[:, tap] != leader))
        if len(rows):
            other = affine.gathered(x, index[rows, tap])
            apart = affine.total(other, affine.gathered(x, leader[rows]), -1.0)
            above[rows] = np.maximum(above[rows], apart.range()[1])
    center = affine.scaled(base, 1.0, above / 2)
    form = affine.widen(space, center, above / 2 * (1 + SLACK))
    low, high = x.range()
    low, high = (np.where(index < 0, -np.inf, end[index]).max(axis=1) for end in (low, high))
    return affine.limited(form, low, high)


def largest_difference(x: Form, delta: Form, index: Array) -> Form:
    """max(x + delta) - max(x) over windows.

    It lies between the least and the largest of the delta of those entries that can be the
    maximum of either.
    """
    leader, can = _leader(*x.range(), index)
    moved = affine.total(x, delta)
    can |= _leader(*moved.range(), index)[1]
    base = affine.gathered(delta, leader)
    bottom, top = np.zeros(len(leader)), np.zeros(len(leader))
    for tap in range(index.shape[1]):
        rows = np.flatnonzero(can[:, tap] & (index[:, tap] != leader))
        if len(rows):
            other = affine.gathered(delta, index[rows, tap])
            low, high = affine.total(other, affine.gathered(delta, leader[rows]), -1.0).range()
            bottom[rows] = np.minimum(bottom[rows], low)
            top[rows] = np.maximum(top[rows], high)
    middle = affine.scaled(base, 1.0, bottom / 2 + top / 2)
    return affine.loosened(middle, (top - bottom) / 2 * (1 + SLACK))
