"""Lp pooling and local response normalization as averages of squares."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import attribute_ints, dims
from actc.passes.rewriter import Rewriter

_POOL = ("kernel_shape", "strides", "pads", "dilations")


def lp_pool(model: ir.Model, node: ir.Node) -> None:
    """LpPool with p of 1 or 2 -> AveragePool of magnitudes or squares, times their number."""
    power = _integer(node, "p", 2)
    if power not in (1, 2) or "auto_pad" in node.attributes or _integer(node, "ceil_mode", 0):
        return
    rewriter = Rewriter(model.graph, node)
    attributes: dict[str, Any] = {
        name: attribute_ints(node, name, []) for name in _POOL if name in node.attributes
    }
    attributes["count_include_pad"] = 1
    average = rewriter.emit("AveragePool", [_powers(rewriter, node, power)], attributes)
    number = float(np.prod(attributes["kernel_shape"]))
    total = _times(rewriter, average, number)
    rewriter.finish(rewriter.emit("Sqrt", [total]) if power == 2 else total)


def global_lp_pool(model: ir.Model, node: ir.Node) -> None:
    """GlobalLpPool with p of 1 or 2 -> ReduceL1 or ReduceL2 over the spatial axes."""
    power, shape = _integer(node, "p", 2), dims(node.inputs[0])
    if power not in (1, 2) or shape is None:
        return
    rewriter = Rewriter(model.graph, node)
    axes = rewriter.integers("axes", list(range(2, len(shape))))
    rewriter.finish(rewriter.emit(f"ReduceL{power}", [node.inputs[0], axes], {"keepdims": 1}))


def lrn(model: ir.Model, node: ir.Node) -> None:
    """LRN (Krizhevsky et al., 2012) -> x * (bias + alpha * mean of squares)^-beta.

    The mean of the channels around each one is an AveragePool over the channels of the
    map seen as an image of one channel.
    """
    x, shape = node.inputs[0], dims(node.inputs[0])
    if x is None or shape is None or len(shape) < 3 or None in shape[1:]:
        return
    size = node.attributes["size"].as_int()
    rewriter = Rewriter(model.graph, node)
    extents = [extent or 0 for extent in shape[1:]]
    image = rewriter.integers("image", [-1, 1, extents[0], int(np.prod(extents[1:]))])
    squares = rewriter.emit("Reshape", [rewriter.emit("Mul", [x, x]), image])
    attributes = {
        "kernel_shape": [size, 1],
        "pads": [(size - 1) // 2, 0, size // 2, 0],
        "count_include_pad": 1,
    }
    around = rewriter.emit("AveragePool", [squares], attributes)
    mean = rewriter.emit("Reshape", [around, rewriter.integers("shape", [-1, *extents])])
    scaled = _times(rewriter, mean, _number(node, "alpha", 1e-4))
    bias = rewriter.constant("bias", np.array(_number(node, "bias", 1.0), np.float32))
    power = rewriter.constant("power", np.array(-_number(node, "beta", 0.75), np.float32))
    factor = rewriter.emit("Pow", [rewriter.emit("Add", [scaled, bias]), power])
    rewriter.finish(rewriter.emit("Mul", [x, factor]))


def _powers(rewriter: Rewriter, node: ir.Node, power: int) -> ir.Value:
    x = node.inputs[0]
    return rewriter.emit("Mul", [x, x]) if power == 2 else rewriter.emit("Abs", [x])


def _times(rewriter: Rewriter, value: ir.Value, factor: float) -> ir.Value:
    return rewriter.emit("Mul", [value, rewriter.constant("factor", np.array(factor, np.float32))])


def _integer(node: ir.Node, name: str, default: int) -> int:
    return node.attributes[name].as_int() if name in node.attributes else default


def _number(node: ir.Node, name: str, default: float) -> float:
    return node.attributes[name].as_float() if name in node.attributes else default
