"""Operators that sums, differences and maxima with zero can say: Max, Min, PRelu, CumSum."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.graph import channel_vector, constant, dims
from actc.passes.rewriter import Rewriter

_LONGEST = 1024
"""Entries along an axis up to which running sums are a matrix product."""


def extreme(model: ir.Model, node: ir.Node) -> None:
    """Max of two tensors of different shapes -> b + relu(a - b); Min -> a - relu(a - b)."""
    shapes = [dims(value) for value in node.inputs]
    variable = all(constant(value) is None for value in node.inputs)
    if len(shapes) != 2 or not variable or None in shapes or shapes[0] == shapes[1]:
        return
    a, b = node.inputs
    rewriter = Rewriter(model.graph, node)
    above = rewriter.emit("Relu", [rewriter.emit("Sub", [a, b])])
    largest = node.op_type == "Max"
    rewriter.finish(
        rewriter.emit("Add", [b, above]) if largest else rewriter.emit("Sub", [a, above])
    )


def prelu(model: ir.Model, node: ir.Node) -> None:
    """PRelu with a slope for each element -> relu(x) - slope * relu(-x)."""
    x, slope, shape = node.inputs[0], constant(node.inputs[1]), dims(node.inputs[0])
    if x is None or slope is None or shape is None or slope.size == 1:
        return
    ranks = range(1, len(shape))
    if any(channel_vector(slope, len(shape), axis, shape[axis]) is not None for axis in ranks):
        return
    rewriter = Rewriter(model.graph, node)
    below = rewriter.emit("Relu", [rewriter.emit("Neg", [x])])
    part = rewriter.emit("Mul", [below, rewriter.constant("slope", slope)])
    rewriter.finish(rewriter.emit("Sub", [rewriter.emit("Relu", [x]), part]))


def cum_sum(model: ir.Model, node: ir.Node) -> None:
    """CumSum along an axis of known length -> MatMul by a triangle of ones."""
    x, shape, given = node.inputs[0], dims(node.inputs[0]), constant(node.inputs[1])
    if x is None or shape is None or given is None or x.dtype != ir.DataType.FLOAT:
        return
    axis = int(given.reshape(())) % len(shape)
    length = shape[axis]
    if axis == 0 or length is None or length > _LONGEST:
        return
    flags = {
        name: name in node.attributes and node.attributes[name].as_int() != 0
        for name in ("exclusive", "reverse")
    }
    offset = 1 if flags["exclusive"] else 0
    summed = np.triu(np.ones((length, length), np.float32), offset)
    summed = summed.T if flags["reverse"] else summed
    rewriter = Rewriter(model.graph, node)
    last = len(shape) - 1
    order = [*(a for a in range(len(shape)) if a != axis), axis]
    moved = rewriter.emit("Transpose", [x], {"perm": order}) if axis != last else x
    total = rewriter.emit(
        "MatMul", [moved, rewriter.constant("ones", np.ascontiguousarray(summed))]
    )
    if axis != last:
        back = [order.index(a) for a in range(len(shape))]
        total = rewriter.emit("Transpose", [total], {"perm": back})
    rewriter.finish(total)


def log_sum(model: ir.Model, node: ir.Node) -> None:
    """ReduceLogSum -> Log of ReduceSum."""
    rewriter = Rewriter(model.graph, node)
    total = rewriter.emit("ReduceSum", list(node.inputs), dict(node.attributes))
    rewriter.finish(rewriter.emit("Log", [total]))
