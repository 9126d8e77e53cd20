"""Padding by a constant, and cropping, as slices and concatenations."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.graph import dims
from actc.passes.rewriter import Rewriter

_MOST_PARTS = 64


def pad_by_parts(
    model: ir.Model, node: ir.Node, widths: list[tuple[int, int]], number: float
) -> None:
    """Pad -> Slice where a width is negative, Concat with constant parts where it is positive.

    A part is the first entry of the tensor times 0 plus the number, so that it has the
    batch of the tensor.
    """
    x, shape = node.inputs[0], dims(node.inputs[0])
    total = sum(max(width, 0) for pair in widths for width in pair)
    if x is None or shape is None or widths[0] != (0, 0) or total > _MOST_PARTS:
        return
    padded = [(axis, *pair) for axis, pair in enumerate(widths) if pair != (0, 0)]
    if not padded:
        return
    rewriter = Rewriter(model.graph, node)
    for axis, before, after in padded:
        x = _crop(rewriter, x, axis, -min(before, 0), -min(after, 0))
        parts = [max(before, 0), max(after, 0)]
        if any(parts):
            filled = _part(rewriter, x, axis, number)
            pieces = [filled] * parts[0] + [x] + [filled] * parts[1]
            x = rewriter.emit("Concat", pieces, {"axis": axis})
    rewriter.finish(x)


def _crop(rewriter: Rewriter, x: ir.Value, axis: int, before: int, after: int) -> ir.Value:
    if not before and not after:
        return x
    end = -after if after else np.iinfo(np.int64).max
    return _slice(rewriter, x, axis, before, end)


def _part(rewriter: Rewriter, x: ir.Value, axis: int, number: float) -> ir.Value:
    nothing = rewriter.constant("nothing", np.array(0, np.float32))
    first = _slice(rewriter, x, axis, 0, 1)
    value = rewriter.constant("value", np.array(number, np.float32))
    return rewriter.emit("Add", [rewriter.emit("Mul", [first, nothing]), value])


def _slice(rewriter: Rewriter, x: ir.Value, axis: int, start: int, end: int) -> ir.Value:
    bounds = {"starts": start, "ends": end, "axes": axis}
    return rewriter.emit("Slice", [x, *(rewriter.integers(k, [n]) for k, n in bounds.items())])
