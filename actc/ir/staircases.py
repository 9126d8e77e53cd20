"""Bounds of accumulators, and actc::Steps as the staircases that they can reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.graph import constant

Array = np.ndarray[Any, Any]
Codes = Mapping[ir.Value, frozenset[int]]
"""Value -> codes that it may hold; values of which nothing is known are absent."""

STEPS = 255
"""Breakpoints of one channel of actc::Steps; it has one value more."""

_LINEAR = ("IntMatMul", "IntConv", "WideMatMul", "WideConv")


@dataclass(frozen=True, eq=False)
class Bounds:
    """Least and largest accumulator, for each output channel; int64 (channels,)."""

    low: Array
    high: Array

    def spread(self, channels: int) -> Bounds:
        """The bounds for `channels` channels: their own, or those of all together."""
        if self.low.size == channels:
            return self
        low, high = np.full(channels, self.low.min()), np.full(channels, self.high.max())
        return Bounds(low, high)


@dataclass(frozen=True, eq=False)
class Staircase:
    """One channel of actc::Steps, without what no accumulator reaches.

    Attributes:
        points: ascending accumulators where the code changes; int64.
        codes: the code below the first point and from each point on; one more than points.
    """

    points: Array
    codes: Array


def sum_bounds(node: ir.Node | None, codes: Codes) -> Bounds | None:
    """Bounds of the accumulators of a linear operator; None of anything else."""
    if node is None or node.domain != DOMAIN or node.op_type not in _LINEAR:
        return None
    x, weight, bias, zero = node.inputs[0], *(constant(v) for v in node.inputs[1:4])
    if x is None or x.dtype is None or weight is None or bias is None or zero is None:
        return None
    held = codes.get(x)
    ends = (min(held), max(held)) if held else (0, int(np.iinfo(x.dtype.numpy()).max))
    low, high = (end - int(zero.reshape(-1)[0]) for end in ends)
    conv = node.op_type.endswith("Conv")
    if conv:
        low, high = min(low, 0), max(high, 0)  # padding counts as zero
    wide = weight.astype(np.int64)
    over = tuple(range(1, wide.ndim)) if conv else tuple(range(wide.ndim - 1))
    least = np.minimum(wide * low, wide * high).sum(axis=over)
    most = np.maximum(wide * low, wide * high).sum(axis=over)
    added = bias.astype(np.int64).reshape(-1)
    return Bounds(least + added, most + added)


def staircases(node: ir.Node, codes: Codes | None = None) -> list[Staircase] | None:
    """The channels of an actc::Steps node, in the order of its offsets.

    Args:
        node: Steps.
        codes: what is known of values; with it, points that no accumulator of the linear
            layer in front reaches are left out.

    Returns:
        None where its parameters are not constants.
    """
    points, values, offset = (constant(value) for value in node.inputs[1:4])
    if points is None or values is None or offset is None:
        return None
    starts = offset.reshape(-1).astype(np.int64)
    kind = np.iinfo(points.dtype)
    source = node.inputs[0]
    found = None if codes is None or source is None else sum_bounds(source.producer(), codes)
    everywhere = Bounds(np.array([int(kind.min)]), np.array([int(kind.max)]))
    bounds = (found or everywhere).spread(len(starts))
    ends = zip(starts, bounds.low, bounds.high, strict=True)
    return [_staircase(points, values, int(s), int(low), int(high)) for s, low, high in ends]


def _staircase(points: Array, values: Array, start: int, low: int, high: int) -> Staircase:
    own = points[start : start + STEPS].astype(np.int64)
    first = int(np.searchsorted(own, low, side="right"))
    reached = np.unique(own[first : np.searchsorted(own, high, side="right")])
    counts = np.searchsorted(own, reached, side="right")
    codes = values[start + np.concatenate([[first], counts])].astype(np.int64)
    changes = np.flatnonzero(codes[1:] != codes[:-1])
    return Staircase(reached[changes], codes[np.concatenate([[0], changes + 1])])
