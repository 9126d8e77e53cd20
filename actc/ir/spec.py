"""The executable specification of the integer dialect, in numpy.

One function per operator, written for exactness and readability; it shares no
code with the ONNX bodies in :mod:`actc.ir.dialect`. :func:`run` executes a whole
golden model with it (standard operators by onnx's reference evaluator) and is
the second, independent execution that golden.onnx must agree with on every bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from actc.ir.dialect import DOMAIN

Array = np.ndarray[Any, Any]


def _windows(
    x: Array, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> Array:
    """All windows of the spatial axes: [N, C, out..., kernel...]."""
    spatial = len(kernel)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    windows = sliding_window_view(x, spans, axis=tuple(range(2, 2 + spatial)))
    index: list[slice] = [slice(None), slice(None)]
    index += [slice(None, None, s) for s in strides]
    index += [slice(None, None, d) for d in dilations]
    return windows[tuple(index)]


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
    windows = _windows(np.pad(moved, widths), kernel_shape, strides, dilations)
    per_group_in, per_group_out = x.shape[1] // group, w.shape[0] // group
    parts = []
    for g in range(group):
        source = windows[:, g * per_group_in : (g + 1) * per_group_in]
        weights = w[g * per_group_out : (g + 1) * per_group_out].astype(np.float64)
        axes = [1, *range(2 + spatial, 2 + 2 * spatial)]
        part = np.tensordot(source, weights, axes=(axes, list(range(1, weights.ndim))))
        parts.append(np.moveaxis(part, -1, 1))
    total = np.concatenate(parts, axis=1).astype(np.int64) + bias
    return _int32(total)


def int_matmul(x: Array, w: Array, bias: Array, x_zero: Array) -> Array:
    """(x - x_zero) @ w + bias; int32."""
    product = (x.astype(np.float64) - float(x_zero)) @ w.astype(np.float64)
    return _int32(product.astype(np.int64) + bias)


def requantize(
    acc: Array, multiplier: Array, shift: Array, zero: Array, low: Array, high: Array
) -> Array:
    """clamp(((acc * multiplier + 2^(shift-1)) >> shift) + zero, low, high); uint8."""
    product = acc.astype(np.int64) * multiplier.astype(np.int64)
    s = int(shift)
    rounded = (product + (1 << (s - 1))) >> s
    codes: Array = np.clip(rounded + int(zero), int(low), int(high)).astype(np.uint8)
    return codes


def table(x: Array, table: Array) -> Array:
    """table[x]; uint8."""
    return table[x]


def channel_table(x: Array, table: Array, offset: Array) -> Array:
    """table[x + offset]; uint8."""
    return table[x.astype(np.int32) + offset]


def int_add(a: Array, b: Array, a_mul: Array, b_mul: Array, bias: Array) -> Array:
    """a * a_mul + b * b_mul + bias; int32."""
    total = a.astype(np.int64) * int(a_mul) + b.astype(np.int64) * int(b_mul) + int(bias)
    return _int32(total)


def int_mul(a: Array, b: Array, a_zero: Array, b_zero: Array) -> Array:
    """(a - a_zero) * (b - b_zero); int32."""
    moved = a.astype(np.int32) - np.int32(a_zero), b.astype(np.int32) - np.int32(b_zero)
    return np.asarray(moved[0] * moved[1])


def int_reduce_sum(x: Array, x_zero: Array, axes: Array, *, keepdims: int) -> Array:
    """Sum of x - x_zero over `axes`; int32."""
    moved = x.astype(np.int64) - int(x_zero)
    total = moved.sum(axis=tuple(int(a) for a in axes), keepdims=bool(keepdims))
    return _int32(np.asarray(total))


def int_softmax(x: Array, table: Array, *, axis: int) -> Array:
    """Softmax from a table of exponentials of the distance to the maximum; float32."""
    below = x.max(axis=axis, keepdims=True).astype(np.int32) - x
    powers = table[below].astype(np.float64)
    ratio: Array = (powers / powers.sum(axis=axis, keepdims=True)).astype(np.float32)
    return ratio


def int_layer_norm(
    x: Array, gamma: Array, beta: Array, eps: Array, *, axis: int, count: int
) -> Array:
    """Layer normalization with 12 fraction bits before gamma; int32."""
    x64 = x.astype(np.int64)
    total = x64.sum(axis=axis, keepdims=True)
    d = count * x64 - total
    v = count * (x64 * x64).sum(axis=axis, keepdims=True) - total * total
    root = np.sqrt(v.astype(np.float64) + float(eps))
    normal = np.floor((d * 4096).astype(np.float64) / root).astype(np.int64)
    return _int32(normal * gamma.astype(np.int64) + beta)


def int_embed(i: Array, table: Array) -> Array:
    """Row i of the table, the last row where i is out of range; uint8."""
    last = table.shape[0] - 1
    return table[np.where((i >= 0) & (i < last), i, last)]


def _int32(values: Array) -> Array:
    if values.size and (values.max() > 2**31 - 1 or values.min() < -(2**31)):
        raise OverflowError("an accumulator leaves the range of int32")
    return values.astype(np.int32)


def max_pool(
    x: Array,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int],
    ceil_mode: int,
) -> Array:
    """MaxPool on uint8 (onnx's reference pads with float values)."""
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
    windows = _windows(np.pad(x, widths), kernel_shape, strides, dilations)
    return np.asarray(windows.max(axis=tuple(range(2 + spatial, 2 + 2 * spatial))))


def quantize_linear(x: Array, scale: Array, zero: Array) -> Array:
    """QuantizeLinear to uint8 (onnx's reference converts to integers before it saturates)."""
    steps = np.rint(x / scale) + np.float32(zero)
    return np.where(np.isnan(steps), 0, np.clip(steps, 0, 255)).astype(np.uint8)


def _operator(
    name: str, function: Any, attributes: tuple[str, ...] = (), domain: str = DOMAIN
) -> type[OpRun]:
    def _run(self: OpRun, *inputs: Array, **given: Any) -> tuple[Array]:
        found = {key: given[key] for key in attributes}
        return (function(*inputs, **found),)

    return type(name, (OpRun,), {"op_domain": domain, "_run": _run})


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


_CONV_ATTRIBUTES = ("strides", "pads", "dilations", "group", "kernel_shape")

SPECIFICATION: list[type[OpRun]] = [
    _operator("IntConv", int_conv, _CONV_ATTRIBUTES),
    _operator("IntMatMul", int_matmul),
    _operator("Requantize", requantize),
    _operator("Table", table),
    _operator("ChannelTable", channel_table),
    _operator("IntAdd", int_add),
    _operator("IntMul", int_mul),
    _operator("IntReduceSum", int_reduce_sum, ("keepdims",)),
    _operator("IntSoftmax", int_softmax, ("axis",)),
    _operator("IntLayerNorm", int_layer_norm, ("axis", "count")),
    _operator("IntEmbed", int_embed),
    _operator("QuantizeLinear", quantize_linear, domain=""),
    type("MaxPool", (OpRun,), {"op_domain": "", "_run": _run_max_pool}),
]


def run(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Execute a golden model with this specification.

    Args:
        model: a golden model; its function bodies are ignored.
        feeds: input name -> array.

    Returns:
        output name -> array.
    """
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.functions[:]
    evaluator = ReferenceEvaluator(bare, new_ops=SPECIFICATION)
    names = [output.name for output in bare.graph.output]
    return dict(zip(names, evaluator.run(names, dict(feeds)), strict=True))
