"""Write operators as others that every target has.

What moves elements (a constant index, padding by what is there, nearest-neighbour
scaling) becomes slices, concatenations, transpositions and reshapes, so that no
target needs a kernel for it and codes stay codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import attribute_ints, constant, dims, is_op, only_user
from actc.passes.attention_operator import attention, rotary_embedding
from actc.passes.einsum import einsum
from actc.passes.joined import cum_sum, extreme, log_sum, prelu
from actc.passes.local_norms import global_lp_pool, lp_pool, lrn
from actc.passes.pad import pad_by_parts
from actc.passes.resize import resize
from actc.passes.rewriter import Rewriter, runs, take
from actc.passes.spelled_out import add_up, lp_normalization, mean_variance_normalization
from actc.passes.triangles import trilu

Array = np.ndarray[Any, Any]
Rule = Callable[[ir.Model, ir.Node], None]

_MOST_PARTS = 64
"""Pieces of a concatenation up to which a selection is written out."""

_ANY_TYPE = ("Cast", "DepthToSpace", "Expand", "Gather", "SpaceToDepth", "Tile")
"""Operators whose rules only move elements."""
_MOVERS = ("Flatten", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")


def decompose(model: ir.Model) -> None:
    """Apply every rule of :data:`RULES` to the main graph, once per node.

    What computes in reals other than float32 stays: the rules' constants are float32.
    """
    for node in list(model.graph):
        rule = RULES.get(node.op_type) if node.domain == "" else None
        if node.op_type not in _ANY_TYPE and not _is_float32(node):
            continue
        if rule is not None and not any(o.uses() or o.is_graph_output() for o in node.outputs[1:]):
            node.resize_outputs(1)
            rule(model, node)


def _is_float32(node: ir.Node) -> bool:
    """Whether all reals of a node are float32."""
    types = {v.dtype for v in (*node.inputs, *node.outputs) if v is not None} - {None}
    return not any(
        t is not None and t.is_floating_point() and t != ir.DataType.FLOAT for t in types
    )


def _cast(model: ir.Model, node: ir.Node) -> None:
    """A Cast of integers that were moved -> the Cast first: floats can become codes."""
    output = node.outputs[0]
    moved = node.inputs[0]
    mover = moved.producer() if moved is not None else None
    if (
        moved is None
        or mover is None
        or not is_op(mover, *_MOVERS)
        or output.dtype != ir.DataType.FLOAT
    ):
        return
    if moved.dtype is None or moved.dtype.is_floating_point() or only_user(moved) is not node:
        return
    rewriter = Rewriter(model.graph, node)
    real = rewriter.emit("Cast", [mover.inputs[0]], {"to": int(ir.DataType.FLOAT)})
    real.type = output.type
    rewriter.finish(rewriter.emit(mover.op_type, [real, *mover.inputs[1:]], dict(mover.attributes)))
    model.graph.remove(mover, safe=True)
    cast = real.producer()
    assert cast is not None
    _cast(model, cast)


def _gather(model: ir.Model, node: ir.Node) -> None:
    """Gather at constant positions of an axis of known length -> Slice, Concat, Squeeze."""
    x, index = node.inputs[0], constant(node.inputs[1])
    shape = dims(x)
    if x is None or index is None or shape is None or constant(x) is not None:
        return
    axis = (node.attributes["axis"].as_int() if "axis" in node.attributes else 0) % len(shape)
    size = shape[axis]
    if size is None:
        return
    indices = [int(i) % size for i in index.reshape(-1)]
    if not indices or len(runs(indices)) > _MOST_PARTS:
        return
    rewriter = Rewriter(model.graph, node)
    result = take(rewriter, x, axis, indices, size)
    if index.ndim == 0:
        result = rewriter.emit("Squeeze", [result, rewriter.integers("axes", [axis])])
    if index.ndim > 1:
        if axis == 0 or None in shape[1:]:
            return
        rest = [extent or 0 for extent in shape[axis + 1 :]]
        split = [-1, *(extent or 0 for extent in shape[1:axis]), *index.shape, *rest]
        result = rewriter.emit("Reshape", [result, rewriter.integers("split", split)])
    rewriter.finish(result)


def _pad(model: ir.Model, node: ir.Node) -> None:
    """Pad by zeros in front of a Conv -> its pads; Pad by what is there -> slices."""
    x, shape = node.inputs[0], dims(node.inputs[0])
    widths = pad_widths(node)
    if x is None or shape is None or widths is None:
        return
    mode = node.attributes["mode"].as_string() if "mode" in node.attributes else "constant"
    if mode == "constant":
        _pad_by_constant(model, node, x, widths)
        return
    if any(width < 0 for pair in widths for width in pair):
        return
    padded = [
        (axis, before, after) for axis, (before, after) in enumerate(widths) if before or after
    ]
    extents = [shape[axis] for axis, _, _ in padded]
    if not padded or padded[0][0] == 0 or None in extents:
        return
    positions = [
        np.pad(np.arange(extent or 0), (before, after), mode=mode).tolist()  # type: ignore[call-overload]
        for (_, before, after), extent in zip(padded, extents, strict=True)
    ]
    if any(len(runs(indices)) > _MOST_PARTS for indices in positions):
        return
    rewriter = Rewriter(model.graph, node)
    for (axis, _, _), extent, indices in zip(padded, extents, positions, strict=True):
        assert extent is not None
        x = take(rewriter, x, axis, indices, extent)
    rewriter.finish(x)


def _pad_by_constant(
    model: ir.Model, node: ir.Node, x: ir.Value, widths: list[tuple[int, int]]
) -> None:
    number, crops = pad_value(node), any(width < 0 for pair in widths for width in pair)
    real = x.dtype == ir.DataType.FLOAT
    if real and number is not None and (crops or number or any(map(any, widths[:2]))):
        pad_by_parts(model, node, widths, number)
    elif not crops:
        _pad_inside(node, x, widths)


def pad_widths(node: ir.Node) -> list[tuple[int, int]] | None:
    """(before, after) for each axis of a Pad, negative where it crops; None when not constant."""
    shape, pads = dims(node.inputs[0]), constant(node.inputs[1])
    if shape is None or pads is None:
        return None
    axes_value = node.inputs[3] if len(node.inputs) > 3 else None
    axes = np.arange(len(shape)) if axes_value is None else constant(axes_value)
    if axes is None:
        return None
    widths = [(0, 0)] * len(shape)
    for position, axis in enumerate(axes):
        widths[int(axis) % len(shape)] = (int(pads[position]), int(pads[position + len(axes)]))
    return widths


def pad_value(node: ir.Node) -> float | None:
    """The constant that a Pad writes, None when it is not known."""
    value = node.inputs[2] if len(node.inputs) > 2 else None
    array = constant(value)
    if value is None:
        return 0.0
    return None if array is None else float(array.reshape(-1)[0])


def _pad_inside(node: ir.Node, x: ir.Value, widths: list[tuple[int, int]]) -> None:
    """Let the convolutions behind a Pad by zeros do the padding."""
    output = node.outputs[0]
    users = [use.node for use in output.uses()]
    spatial = len(widths) - 2
    good = all(is_op(user, "Conv") and user.inputs[0] is output for user in users)
    resolved = all("auto_pad" not in user.attributes for user in users)
    if (
        not users
        or output.is_graph_output()
        or not (good and resolved)
        or any(map(any, widths[:2]))
    ):
        return
    if pad_value(node) != 0.0:
        return
    for user in users:
        own = attribute_ints(user, "pads", [0] * (2 * spatial))
        added = [before for before, _ in widths[2:]] + [after for _, after in widths[2:]]
        total = [a + b for a, b in zip(own, added, strict=True)]
        user.attributes["pads"] = ir.AttrInt64s("pads", total)
        user.replace_input_with(0, x)
    assert node.graph is not None
    node.graph.remove(node, safe=True)


def _tile(model: ir.Model, node: ir.Node) -> None:
    """Tile along other axes than the batch -> Concat of copies."""
    x, repeats = node.inputs[0], constant(node.inputs[1])
    if x is None or repeats is None or repeats[0] != 1 or np.prod(repeats) > _MOST_PARTS:
        return
    rewriter = Rewriter(model.graph, node)
    for axis, count in enumerate(repeats.tolist()):
        if count > 1:
            x = rewriter.emit("Concat", [x] * count, {"axis": axis})
    rewriter.finish(x)


def _expand(model: ir.Model, node: ir.Node) -> None:
    """Expand in front of operators that broadcast anyway -> nothing; else Concat of copies."""
    x, output = node.inputs[0], node.outputs[0]
    before, after = dims(x), dims(output)
    if x is None or before is None or after is None or len(before) != len(after):
        return
    for use in list(output.uses()):
        if _broadcasts(use.node, output):
            use.node.replace_input_with(use.idx, x)
    grown = [axis for axis, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    known = all(before[axis] == 1 and (after[axis] or 0) > 0 for axis in grown)
    counts = [after[axis] or 0 for axis in grown]
    if not output.uses() and not output.is_graph_output():
        model.graph.remove(node, safe=True)
    elif known and 0 not in grown and np.prod(counts) <= _MOST_PARTS:
        rewriter = Rewriter(model.graph, node)
        for axis, count in zip(grown, counts, strict=True):
            x = rewriter.emit("Concat", [x] * count, {"axis": axis})
        rewriter.finish(x)


def _broadcasts(user: ir.Node, expanded: ir.Value) -> bool:
    """Whether `user` gives the same without the expansion: its other operand has the full shape."""
    if not is_op(user, "Add", "Sub", "Mul", "Div"):
        return False
    others = [value for value in user.inputs if value is not expanded]
    return len(others) == 1 and dims(others[0]) == dims(expanded)


def _depth_to_space(model: ir.Model, node: ir.Node) -> None:
    """DepthToSpace (pixel shuffle) -> Reshape, Transpose, Reshape."""
    shape, block = dims(node.inputs[0]), node.attributes["blocksize"].as_int()
    if shape is None or len(shape) != 4 or None in shape[1:]:
        return
    _, c, h, w = (d or 0 for d in shape)
    depth = c // block**2
    mode = node.attributes["mode"].as_string() if "mode" in node.attributes else "DCR"
    split = [-1, block, block, depth, h, w] if mode == "DCR" else [-1, depth, block, block, h, w]
    order = [0, 3, 4, 1, 5, 2] if mode == "DCR" else [0, 1, 4, 2, 5, 3]
    _reorder(model, node, split, order, [-1, depth, h * block, w * block])


def _space_to_depth(model: ir.Model, node: ir.Node) -> None:
    """SpaceToDepth -> Reshape, Transpose, Reshape."""
    shape, block = dims(node.inputs[0]), node.attributes["blocksize"].as_int()
    if shape is None or len(shape) != 4 or None in shape[1:]:
        return
    _, c, h, w = (d or 0 for d in shape)
    split = [-1, c, h // block, block, w // block, block]
    channels_first = "mode" in node.attributes and node.attributes["mode"].as_string() == "CRD"
    order = [0, 1, 3, 5, 2, 4] if channels_first else [0, 3, 5, 1, 2, 4]
    _reorder(model, node, split, order, [-1, c * block**2, h // block, w // block])


def _reorder(
    model: ir.Model, node: ir.Node, split: list[int], order: list[int], joined: list[int]
) -> None:
    rewriter = Rewriter(model.graph, node)
    parts = rewriter.emit("Reshape", [node.inputs[0], rewriter.integers("split", split)])
    moved = rewriter.emit("Transpose", [parts], {"perm": order})
    rewriter.finish(rewriter.emit("Reshape", [moved, rewriter.integers("joined", joined)]))


def _matmul(model: ir.Model, node: ir.Node) -> None:
    """MatMul by a constant on the left, a vector, or a matrix with axes of one before it."""
    left, right = constant(node.inputs[0]), constant(node.inputs[1])
    if left is not None and right is None:
        _matmul_left(model, node, left)
    elif right is not None and left is None and right.ndim != 2:
        _matmul_right(model, node, right)


def _matmul_left(model: ir.Model, node: ir.Node, matrix: Array) -> None:
    x, shape = node.inputs[1], dims(node.inputs[1])
    if matrix.ndim != 2 or x is None or shape is None or len(shape) < 3:
        return
    swapped = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
    rewriter = Rewriter(model.graph, node)
    turned = rewriter.emit("Transpose", [x], {"perm": swapped})
    weights = rewriter.constant("matrix", np.ascontiguousarray(matrix.T))
    product = rewriter.emit("MatMul", [turned, weights])
    rewriter.finish(rewriter.emit("Transpose", [product], {"perm": swapped}))


def _matmul_right(model: ir.Model, node: ir.Node, array: Array) -> None:
    x, shape = node.inputs[0], dims(node.inputs[0])
    if x is None or shape is None or len(shape) < max(2, array.ndim):
        return
    rewriter = Rewriter(model.graph, node)
    if array.ndim == 1:
        product = rewriter.emit("MatMul", [x, rewriter.constant("column", array[:, None])])
        axis = rewriter.integers("axes", [len(shape) - 1])
        rewriter.finish(rewriter.emit("Squeeze", [product, axis]))
    elif all(extent == 1 for extent in array.shape[:-2]):
        matrix = rewriter.constant("matrix", array.reshape(array.shape[-2:]))
        rewriter.finish(rewriter.emit("MatMul", [x, matrix]))


RULES: dict[str, Rule] = {
    "Attention": attention,
    "Cast": _cast,
    "CumSum": cum_sum,
    "DepthToSpace": _depth_to_space,
    "Einsum": einsum,
    "Expand": _expand,
    "Gather": _gather,
    "GlobalLpPool": global_lp_pool,
    "LRN": lrn,
    "LpPool": lp_pool,
    "LpNormalization": lp_normalization,
    "MatMul": _matmul,
    "Max": extreme,
    "Mean": add_up,
    "MeanVarianceNormalization": mean_variance_normalization,
    "Min": extreme,
    "PRelu": prelu,
    "Pad": _pad,
    "ReduceLogSum": log_sum,
    "Resize": resize,
    "RotaryEmbedding": rotary_embedding,
    "SpaceToDepth": _space_to_depth,
    "Sum": add_up,
    "Tile": _tile,
    "Trilu": trilu,
}
"""Operator -> the rule that writes it out where it can."""
