"""Resize as repetition and selection (nearest) or as products with matrices (linear, cubic)."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.execute import ExecutionError, run_nodes
from actc.ir.graph import constant, dims
from actc.passes.rewriter import Rewriter, repeat, runs, take

Array = np.ndarray[Any, Any]

_MOST_PARTS = 64
"""Pieces of a concatenation up to which a selection is written out."""
_MOST_NUMBERS = 2**24
"""Beyond it float32 cannot number the elements of a tensor."""


def resize(model: ir.Model, node: ir.Node) -> None:
    """Write a Resize of known extents as operators that every target has.

    Which element is nearest, and with what weights neighbours are mixed, is read off
    by resizing element numbers and unit vectors, so that every rule of ONNX is covered.
    """
    before, after = dims(node.inputs[0]), dims(node.outputs[0])
    if before is None or after is None or before[0] != after[0]:
        return
    if None in before[1:] or None in after[1:]:
        return
    if any(v is not None and v.is_graph_input() and constant(v) is None for v in node.inputs[2:]):
        return  # how is known when it runs
    old, new = [1, *(d or 0 for d in before[1:])], [1, *(d or 0 for d in after[1:])]
    mode = node.attributes["mode"].as_string() if "mode" in node.attributes else "nearest"
    try:
        (_by_selection if mode == "nearest" else _by_products)(model, node, old, new)
    except ExecutionError:  # a rule that onnxruntime does not take in this form: it stays
        return


def _by_selection(model: ir.Model, node: ir.Node, old: list[int], new: list[int]) -> None:
    x, positions = node.inputs[0], _nearest(model, node, old, new)
    if positions is None or x is None:
        return
    factors = {axis: _factor(indices, old[axis]) for axis, indices in positions.items()}
    if any(not factors[a] and len(runs(i)) > _MOST_PARTS for a, i in positions.items()):
        return
    rewriter, shape = Rewriter(model.graph, node), list(old)
    for axis, indices in positions.items():
        if factors[axis]:
            x = repeat(rewriter, x, axis, factors[axis], shape)
        else:
            x = take(rewriter, x, axis, indices, shape[axis])
        shape[axis] = len(indices)
    rewriter.finish(x)


def _factor(indices: list[int], size: int) -> int:
    """k if `indices` is each of 0..size-1 k times in a row, else 0."""
    factor = len(indices) // size
    return factor if np.repeat(np.arange(size), factor).tolist() == indices else 0


def _nearest(
    model: ir.Model, node: ir.Node, old: list[int], new: list[int]
) -> dict[int, list[int]] | None:
    """Axis -> the elements that a Resize takes along it, for the axes that it changes."""
    numbers = np.arange(int(np.prod(old)), dtype=np.float32).reshape(old)
    if numbers.size >= _MOST_NUMBERS:
        return None
    taken = _resized(model, node, numbers, new, _scales(node, len(old)))
    places = np.unravel_index(taken.astype(np.int64), old)
    positions = {}
    for axis, size in enumerate(old):
        along = np.moveaxis(places[axis], axis, -1).reshape(-1, new[axis])
        if not np.all(along == along[0]):
            return None
        if along[0].tolist() != list(range(size)):
            positions[axis] = [int(i) for i in along[0]]
    return positions


def _by_products(model: ir.Model, node: ir.Node, old: list[int], new: list[int]) -> None:
    """Mixing along an axis is linear: the product with a matrix of its weights."""
    x, rank, scales = node.inputs[0], len(old), _scales(node, len(old))
    changed = [axis for axis in range(rank) if old[axis] != new[axis]]
    if x is None or 0 in changed or rank < 2:
        return
    matrices = []
    for axis in changed:
        unit = np.eye(old[axis], dtype=np.float32).reshape(old[axis], 1, 1, old[axis])
        sizes = [old[axis], 1, 1, new[axis]]
        scale = None if scales is None else [1.0, 1.0, 1.0, scales[axis]]
        matrices.append(_resized(model, node, unit, sizes, scale).reshape(old[axis], new[axis]))
    rewriter = Rewriter(model.graph, node)
    for axis, matrix in zip(changed, matrices, strict=True):
        order = [*(a for a in range(rank) if a != axis), axis]
        last = order == list(range(rank))
        x = x if last else rewriter.emit("Transpose", [x], {"perm": order})
        x = rewriter.emit("MatMul", [x, rewriter.constant("weights", matrix)])
        back = np.argsort(order).tolist()
        x = x if last else rewriter.emit("Transpose", [x], {"perm": back})
    rewriter.finish(x)


def _scales(node: ir.Node, rank: int) -> list[float] | None:
    """The factor of each axis, None when the node gives sizes instead."""
    given = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if given is None or given.size == 0:
        return None
    axes = node.attributes["axes"].as_ints() if "axes" in node.attributes else range(rank)
    scales = [1.0] * rank
    for axis, scale in zip(axes, given.tolist(), strict=True):
        scales[axis % rank] = scale
    return scales


def _resized(
    model: ir.Model, node: ir.Node, array: Array, sizes: list[int], scales: list[float] | None
) -> Array:
    """`array` resized by the rules of `node`."""
    dropped = ("axes", "keep_aspect_ratio_policy")
    kept = {name: a for name, a in node.attributes.items() if name not in dropped}
    name = "sizes" if scales is None else "scales"
    numbers = np.array(sizes, np.int64) if scales is None else np.array(scales, np.float32)
    extent = ir.Value(name=name, const_value=ir.tensor(numbers, name=name))
    source = ir.Value(name="source")
    inputs = [source, None, None, extent] if scales is None else [source, None, extent]
    copy = ir.node("Resize", inputs, kept, name="resized")
    copy.outputs[0].name = "resized"
    (result,) = run_nodes(model, [copy], {source: array}, [copy.outputs[0]])
    return result.reshape(sizes)
