"""Operators that are sums, products and means of others, written as those."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.graph import attribute_ints, dims
from actc.passes.rewriter import Rewriter


def add_up(model: ir.Model, node: ir.Node) -> None:
    """Sum or Mean of several tensors -> a chain of Add, and a factor."""
    values = [value for value in node.inputs if value is not None]
    rewriter = Rewriter(model.graph, node)
    total = values[0]
    for value in values[1:]:
        total = rewriter.emit("Add", [total, value])
    if node.op_type == "Mean" and len(values) > 1:
        share = rewriter.constant("share", np.array(1 / len(values), np.float32))
        total = rewriter.emit("Mul", [total, share])
    rewriter.finish(total)


def lp_normalization(model: ir.Model, node: ir.Node) -> None:
    """LpNormalization -> x / norm, with the norm kept above 1e-12 as frameworks do."""
    shape, x = dims(node.inputs[0]), node.inputs[0]
    order = node.attributes["p"].as_int() if "p" in node.attributes else 2
    if shape is None or x is None or order not in (1, 2):
        return
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else -1
    rewriter = Rewriter(model.graph, node)
    axes = rewriter.integers("axes", [axis % len(shape)])
    norm = rewriter.emit(f"ReduceL{order}", [x, axes], {"keepdims": 1})
    least = rewriter.constant("least", np.array(1e-12, np.float32))
    rewriter.finish(rewriter.emit("Div", [x, rewriter.emit("Max", [norm, least])]))


def mean_variance_normalization(model: ir.Model, node: ir.Node) -> None:
    """MeanVarianceNormalization over axes of a sample -> (x - mean) / (deviation + 1e-9)."""
    x, axes = node.inputs[0], attribute_ints(node, "axes", [0, 2, 3])
    if x is None or 0 in axes:
        return
    rewriter = Rewriter(model.graph, node)
    along = rewriter.integers("axes", axes)
    centred = rewriter.emit("Sub", [x, rewriter.emit("ReduceMean", [x, along])])
    squares = rewriter.emit("Mul", [centred, centred])
    deviation = rewriter.emit("Sqrt", [rewriter.emit("ReduceMean", [squares, along])])
    least = rewriter.constant("least", np.array(1e-9, np.float32))
    rewriter.finish(rewriter.emit("Div", [centred, rewriter.emit("Add", [deviation, least])]))
