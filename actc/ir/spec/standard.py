"""Standard operators on codes, where onnx's reference differs from ONNX."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun

from actc.ir.spec.shared import Array, operator, windows


def max_pool(
    x: Array,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    ceil_mode: int,
) -> Array:
    """MaxPool on codes (onnx's reference pads with float values)."""
    spatial = len(kernel_shape)
    widths = [(0, 0), (0, 0)]
    for i in range(spatial):
        span = (kernel_shape[i] - 1) * dilations[i] + 1
        size = x.shape[2 + i] + pads[i] + pads[i + spatial]
        extra = 0
        if ceil_mode:
            steps = math.ceil((size - span) / strides[i])
            if steps * strides[i] >= x.shape[2 + i] + pads[i]:
                steps -= 1  # a window may not start in the padding
            extra = max(0, steps * strides[i] + span - size)
        widths.append((pads[i], pads[i + spatial] + extra))
    found = windows(np.pad(x, widths), kernel_shape, strides, dilations)
    return np.asarray(found.max(axis=tuple(range(2 + spatial, 2 + 2 * spatial))))


def top_k(x: Array, k: Array, *, axis: int, largest: int) -> tuple[Array, Array]:
    """TopK, sorted; of equal values the first one first (onnx's reference leaves it open)."""
    keys = x.astype(np.int64) * (-1 if largest else 1)
    where = np.argsort(keys, axis=axis, kind="stable")
    first = np.take(where, np.arange(int(k[0])), axis=axis)
    return np.take_along_axis(x, first, axis), first.astype(np.int64)


def quantize_linear(x: Array, scale: Array, zero: Array) -> Array:
    """QuantizeLinear to unsigned codes (onnx's reference saturates after converting)."""
    with np.errstate(over="ignore"):  # infinite quotients saturate
        steps = np.rint(x / scale) + np.float32(zero)
    last = np.iinfo(zero.dtype).max
    return np.where(np.isnan(steps), 0, np.clip(steps, 0, last)).astype(zero.dtype)


def _run_max_pool(self: OpRun, x: Array, **given: Any) -> tuple[Array]:
    kernel = given["kernel_shape"]
    spatial = len(kernel)
    return (
        max_pool(
            x,
            kernel_shape=kernel,
            strides=given.get("strides") or [1] * spatial,
            pads=given.get("pads") or [0] * (2 * spatial),
            dilations=given.get("dilations") or [1] * spatial,
            ceil_mode=given.get("ceil_mode") or 0,
        ),
    )


def _run_top_k(self: OpRun, x: Array, k: Array, **given: Any) -> tuple[Array, Array]:
    return top_k(x, k, axis=given.get("axis", -1), largest=given.get("largest", 1))


SPECIFICATION = [
    operator("QuantizeLinear", quantize_linear, domain=""),
    type("TopK", (OpRun,), {"op_domain": "", "_run": _run_top_k}),
    type("MaxPool", (OpRun,), {"op_domain": "", "_run": _run_max_pool}),
]
"""Implementations for onnx's reference evaluator."""
