"""Transposed convolutions as plain ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import attribute_ints, constant, dims, is_op
from actc.passes.rewriter import Rewriter

Array = np.ndarray[Any, Any]


def conv_transpose_to_conv(model: ir.Model) -> None:
    """ConvTranspose -> Conv with one set of channels per phase, interleaved (sub-pixel).

    With stride s, outputs at o + pad = q*s + r depend on inputs q, q-1, ... through the
    weights r, r+s, r+2s, ... alone: s plain convolutions, whose results take turns
    (Shi et al., "Is the deconvolution layer the same as a convolutional layer?", 2016).
    """
    for node in list(model.graph):
        if is_op(node, "ConvTranspose"):
            _rewrite(model, node)


def _rewrite(model: ir.Model, node: ir.Node) -> None:
    x, weights, shape = node.inputs[0], constant(node.inputs[1]), dims(node.inputs[0])
    bias_value = node.inputs[2] if len(node.inputs) > 2 else None
    bias = constant(bias_value)
    if x is None or weights is None or shape is None or None in shape[1:]:
        return
    if bias_value is not None and bias is None:
        return
    spatial, extents = weights.ndim - 2, [extent or 0 for extent in shape[2:]]
    strides = attribute_ints(node, "strides", [1] * spatial)
    weights = _spread(weights, attribute_ints(node, "dilations", [1] * spatial))
    pads = _pads(node, extents, strides, list(weights.shape[2:]))
    if pads is None:
        return
    extra = attribute_ints(node, "output_padding", [0] * spatial)
    group = node.attributes["group"].as_int() if "group" in node.attributes else 1
    kernel = list(weights.shape[2:])
    taps = [-(-k // s) for k, s in zip(kernel, strides, strict=True)]
    full = [(n - 1) * s + k + e for n, s, k, e in zip(extents, strides, kernel, extra, strict=True)]
    counts = [-(-length // s) for length, s in zip(full, strides, strict=True)]
    behind = [q - n for q, n in zip(counts, extents, strict=True)]
    if min(behind) < 0:
        return
    phases = int(np.prod(strides))
    rewriter = Rewriter(model.graph, node)
    inputs = [x, rewriter.constant("phases", _phases(weights, strides, taps, group))]
    if bias is not None:
        inputs.append(rewriter.constant("bias", np.repeat(bias, phases)))
    attributes = {"pads": [t - 1 for t in taps] + behind, "group": group, "kernel_shape": taps}
    conv = rewriter.emit("Conv", inputs, attributes)
    channels = weights.shape[1] * group
    y = _interleave(rewriter, conv, channels, strides, counts)
    ends = [length - after for length, after in zip(full, pads[spatial:], strict=True)]
    starts, axes = pads[:spatial], list(range(2, 2 + spatial))
    if any(starts) or ends != [q * s for q, s in zip(counts, strides, strict=True)]:
        bounds = [rewriter.integers(n, v) for n, v in (("starts", starts), ("ends", ends))]
        y = rewriter.emit("Slice", [y, *bounds, rewriter.integers("axes", axes)])
    rewriter.finish(y)


def _spread(weights: Array, dilations: list[int]) -> Array:
    """The weights with the gaps between them filled by zeros."""
    if all(dilation == 1 for dilation in dilations):
        return weights
    kernel = [(k - 1) * d + 1 for k, d in zip(weights.shape[2:], dilations, strict=True)]
    spread = np.zeros((*weights.shape[:2], *kernel), weights.dtype)
    places = (slice(None), slice(None), *(slice(None, None, d) for d in dilations))
    spread[places] = weights
    return spread


def _pads(
    node: ir.Node, extents: list[int], strides: list[int], kernel: list[int]
) -> list[int] | None:
    """The pads, also where `auto_pad` or `output_shape` say them; None where they are negative."""
    spatial = len(extents)
    auto = node.attributes["auto_pad"].as_string() if "auto_pad" in node.attributes else ""
    wanted = attribute_ints(node, "output_shape", [])[-spatial:]
    if auto.startswith("SAME") and not wanted:
        wanted = [n * s for n, s in zip(extents, strides, strict=True)]
    if not wanted:
        written = [0] * (2 * spatial)
        return written if auto == "VALID" else attribute_ints(node, "pads", written)
    extra = attribute_ints(node, "output_padding", [0] * spatial)
    sizes = zip(extents, strides, kernel, extra, wanted, strict=True)
    totals = [(n - 1) * s + k + e - w for n, s, k, e, w in sizes]
    halves = [total // 2 for total in totals]
    rest = [total - half for total, half in zip(totals, halves, strict=True)]
    if min(totals) < 0:
        return None
    return [*halves, *rest] if auto == "SAME_UPPER" else [*rest, *halves]


def _phases(weights: Array, strides: list[int], taps: list[int], group: int) -> Array:
    """Weights [C, O/g, K...] as those of a Conv [O*phases, C/g, taps...]."""
    c, per_group, *kernel = weights.shape
    padding = [(0, t * s - k) for t, s, k in zip(taps, strides, kernel, strict=True)]
    padded = np.pad(weights, [(0, 0), (0, 0), *padding])
    split = [size for pair in zip(taps, strides, strict=True) for size in pair]
    parts = padded.reshape(group, c // group, per_group, *split)
    spatial = len(kernel)
    tap_axes, phase_axes = (range(3 + i, 3 + 2 * spatial, 2) for i in (0, 1))
    ordered = parts.transpose(0, 2, *phase_axes, 1, *tap_axes)
    flipped = np.flip(ordered, axis=tuple(range(ordered.ndim - spatial, ordered.ndim)))
    return np.ascontiguousarray(flipped.reshape(-1, c // group, *taps))


def _interleave(
    rewriter: Rewriter, value: ir.Value, channels: int, strides: list[int], counts: list[int]
) -> ir.Value:
    """[N, O*s1*s2, q1, q2] -> [N, O, q1*s1, q2*s2]."""
    if all(stride == 1 for stride in strides):
        return value
    spatial = len(strides)
    split = rewriter.integers("split", [-1, channels, *strides, *counts])
    parts = rewriter.emit("Reshape", [value, split])
    pairs = [axis for i in range(spatial) for axis in (2 + spatial + i, 2 + i)]
    turned = rewriter.emit("Transpose", [parts], {"perm": [0, 1, *pairs]})
    joined = [q * s for q, s in zip(counts, strides, strict=True)]
    return rewriter.emit("Reshape", [turned, rewriter.integers("joined", [-1, channels, *joined])])
