"""Triangles of matrices: causal masks, and Trilu of activations."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant, dims, is_op, scalar
from actc.passes.rewriter import Rewriter


def trilu(model: ir.Model, node: ir.Node) -> None:
    """Trilu of ones of open size -> a comparison of row and column; of others -> Mul by a mask."""
    x, shape = node.inputs[0], dims(node.inputs[0])
    offset = constant(node.inputs[1]) if len(node.inputs) > 1 else np.array(0)
    if x is None or shape is None or offset is None:
        return
    upper = "upper" not in node.attributes or node.attributes["upper"].as_int() != 0
    extents = _extents_of_ones(x)
    rewriter = Rewriter(model.graph, node)
    if extents is not None and len(shape) == 2:
        inside = triangle(rewriter, extents, int(offset), upper=upper)
        real = x.dtype is not None and x.dtype != ir.DataType.BOOL
        to = {"to": int(x.dtype or ir.DataType.FLOAT)}
        rewriter.finish(rewriter.emit("Cast", [inside], to) if real else inside)
    elif None not in shape[-2:] and x.dtype == ir.DataType.FLOAT:
        ones = np.ones([extent or 0 for extent in shape[-2:]], np.float32)
        kept = np.triu(ones, int(offset)) if upper else np.tril(ones, int(offset))
        rewriter.finish(rewriter.emit("Mul", [x, rewriter.constant("kept", kept)]))


def triangle(rewriter: Rewriter, extents: ir.Value, offset: int, *, upper: bool) -> ir.Value:
    """bool [rows, columns]: column - row >= offset if `upper`, else <= offset.

    Args:
        extents: int64, whose last two entries are rows and columns.
    """
    rows, columns = (
        _range(rewriter, extents, position, axis) for position, axis in ((-2, 1), (-1, 0))
    )
    if offset:
        rows = rewriter.emit("Add", [rows, rewriter.integers("offset", [offset])])
    return rewriter.emit("GreaterOrEqual" if upper else "LessOrEqual", [columns, rows])


def _range(rewriter: Rewriter, extents: ir.Value, position: int, axis: int) -> ir.Value:
    """0, 1, ... up to an entry of `extents`, with an axis of length 1 put at `axis`."""
    end = np.iinfo(np.int64).max if position == -1 else position + 1
    bounds = [rewriter.integers(n, [v]) for n, v in (("starts", position), ("ends", end))]
    extent = rewriter.emit("Slice", [extents, *bounds])
    limit = rewriter.emit("Squeeze", [extent, rewriter.integers("axes", [0])])
    ends = [rewriter.constant(n, np.array(v, np.int64)) for n, v in (("first", 0), ("step", 1))]
    steps = rewriter.emit("Range", [ends[0], limit, ends[1]])
    return rewriter.emit("Unsqueeze", [steps, rewriter.integers("axes", [axis])])


def _extents_of_ones(x: ir.Value) -> ir.Value | None:
    """The shape, computed while the model runs, of a tensor of ones; None for any other."""
    node = x.producer()
    if is_op(node, "Expand"):
        assert node is not None
        source, extents = node.inputs[0], node.inputs[1]
        return extents if scalar(source) == 1 and constant(extents) is None else None
    if is_op(node, "ConstantOfShape"):
        assert node is not None
        given = node.attributes.get("value")
        filled = given is not None and bool((given.as_tensor().numpy() == 1).all())
        return node.inputs[0] if filled and constant(node.inputs[0]) is None else None
    return None
