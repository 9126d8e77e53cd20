"""Explicit padding in place of `auto_pad`."""

from __future__ import annotations

import onnx_ir as ir

from actc.ir.graph import attribute_ints, constant, dims, is_op

_WINDOWED = ("Conv", "MaxPool", "AveragePool")


def resolve_auto_pad(model: ir.Model) -> None:
    """Write the `pads` that `auto_pad` stands for, where the spatial extents are known.

    SAME gives ceil(extent / stride) windows; an odd pad has its larger half at the
    end (SAME_UPPER) or the beginning (SAME_LOWER). VALID pads nothing.
    """
    for node in model.graph:
        attribute = node.attributes.get("auto_pad") if is_op(node, *_WINDOWED) else None
        if attribute is None:
            continue
        pads = _pads(node, attribute.as_string())
        if pads is None:
            continue
        del node.attributes["auto_pad"]
        node.attributes["pads"] = ir.AttrInt64s("pads", pads)


def _pads(node: ir.Node, mode: str) -> list[int] | None:
    shape, kernel = dims(node.inputs[0]), _kernel(node)
    if shape is None or kernel is None:
        return None
    spatial = len(kernel)
    if mode in ("", "NOTSET"):
        return attribute_ints(node, "pads", [0] * (2 * spatial))
    if mode == "VALID":
        return [0] * (2 * spatial)
    totals = []
    strides = attribute_ints(node, "strides", [1] * spatial)
    dilations = attribute_ints(node, "dilations", [1] * spatial)
    for extent, size, stride, dilation in zip(shape[2:], kernel, strides, dilations, strict=True):
        if extent is None:
            return None
        reach = (-(-extent // stride) - 1) * stride + (size - 1) * dilation + 1
        totals.append(max(0, reach - extent))
    smaller, larger = [t // 2 for t in totals], [t - t // 2 for t in totals]
    return smaller + larger if mode == "SAME_UPPER" else larger + smaller


def _kernel(node: ir.Node) -> list[int] | None:
    if node.op_type != "Conv":
        return attribute_ints(node, "kernel_shape", [])
    weights = constant(node.inputs[1])
    return None if weights is None else list(weights.shape[2:])
