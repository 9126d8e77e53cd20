"""Write operators as others that every target has; each rewrite keeps every bit.

What moves elements (a constant index, padding by what is there, nearest-neighbour
scaling) becomes slices, concatenations, transpositions and reshapes, so that no
target needs a kernel for it and codes stay codes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.execute import ExecutionError, run_nodes
from actc.ir.graph import attribute_ints, constant, dims, is_op
from actc.passes.rewriter import Rewriter

Array = np.ndarray[Any, Any]
Rule = Callable[[ir.Model, ir.Node], None]

_MOST_PARTS = 64
"""Pieces of a concatenation up to which a selection is written out."""


def decompose(model: ir.Model) -> None:
    """Apply every rule of :data:`RULES` to the main graph, once per node."""
    for node in list(model.graph):
        rule = RULES.get(node.op_type) if node.domain == "" else None
        if rule is not None and len(node.outputs) == 1:
            rule(model, node)


def _take(
    rewriter: Rewriter, x: ir.Value, axis: int, indices: Sequence[int], size: int
) -> ir.Value:
    """The elements `indices` of `x` along `axis`, which has `size`."""
    parts = [
        rewriter.emit(
            "Slice",
            [
                x,
                rewriter.integers("starts", [run[0]]),
                rewriter.integers("ends", [_end(run, size)]),
                rewriter.integers("axes", [axis]),
                rewriter.integers("steps", [run[1] - run[0] if len(run) > 1 else 1]),
            ],
        )
        for run in runs(indices)
    ]
    return parts[0] if len(parts) == 1 else rewriter.emit("Concat", parts, {"axis": axis})


def _end(run: Sequence[int], size: int) -> int:
    step = run[1] - run[0] if len(run) > 1 else 1
    end = run[-1] + (1 if step > 0 else -1)
    return end if end >= 0 else -(size + 1)  # -1 would mean the last element


def runs(indices: Sequence[int]) -> list[list[int]]:
    """Cut a sequence into arithmetic progressions of non-zero step, from left to right."""
    found: list[list[int]] = []
    for index in indices:
        run = found[-1] if found else None
        if run is not None and _continues(run, index):
            run.append(index)
        else:
            found.append([index])
    return found


def _continues(run: list[int], index: int) -> bool:
    return index != run[0] if len(run) == 1 else index - run[-1] == run[1] - run[0]


def _gather(model: ir.Model, node: ir.Node) -> None:
    """Gather at constant positions of an axis of known length -> Slice, Concat, Squeeze."""
    x, index = node.inputs[0], constant(node.inputs[1])
    shape = dims(x)
    if x is None or index is None or index.ndim > 1 or shape is None or constant(x) is not None:
        return
    axis = (node.attributes["axis"].as_int() if "axis" in node.attributes else 0) % len(shape)
    size = shape[axis]
    if size is None:
        return
    indices = [int(i) % size for i in index.reshape(-1)]
    if not indices or len(runs(indices)) > _MOST_PARTS:
        return
    rewriter = Rewriter(model.graph, node)
    result = _take(rewriter, x, axis, indices, size)
    if index.ndim == 0:
        result = rewriter.emit("Squeeze", [result, rewriter.integers("axes", [axis])])
    rewriter.finish(result)


def _pad(model: ir.Model, node: ir.Node) -> None:
    """Pad by zeros in front of a Conv -> its pads; Pad by what is there -> slices."""
    x, shape = node.inputs[0], dims(node.inputs[0])
    widths = pad_widths(node)
    if x is None or shape is None or widths is None:
        return
    mode = node.attributes["mode"].as_string() if "mode" in node.attributes else "constant"
    if mode == "constant":
        _pad_inside(node, x, widths)
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
        x = _take(rewriter, x, axis, indices, extent)
    rewriter.finish(x)


def pad_widths(node: ir.Node) -> list[tuple[int, int]] | None:
    """(before, after) for each axis of a Pad; None when not constant or when it also crops."""
    shape, pads = dims(node.inputs[0]), constant(node.inputs[1])
    if shape is None or pads is None or pads.min(initial=0) < 0:
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


def _resize(model: ir.Model, node: ir.Node) -> None:
    """Resize to the nearest neighbour -> repetition or selection along each axis.

    Which element is nearest (there are many rules) is read off by resizing a tensor
    of element numbers.
    """
    x, before, after = node.inputs[0], dims(node.inputs[0]), dims(node.outputs[0])
    mode = node.attributes["mode"].as_string() if "mode" in node.attributes else "nearest"
    if mode != "nearest" or x is None or before is None or after is None:
        return
    if None in before[1:] or None in after[1:] or before[0] != after[0]:
        return
    old, new = [1, *(d or 0 for d in before[1:])], [1, *(d or 0 for d in after[1:])]
    positions = _nearest(model, node, old, new)
    if positions is None:
        return
    factors = {axis: _factor(indices, old[axis]) for axis, indices in positions.items()}
    if any(not factors[a] and len(runs(i)) > _MOST_PARTS for a, i in positions.items()):
        return
    rewriter = Rewriter(model.graph, node)
    shape = list(old)
    for axis, indices in positions.items():
        if factors[axis]:
            x = _repeat(rewriter, x, axis, factors[axis], shape)
        else:
            x = _take(rewriter, x, axis, indices, shape[axis])
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
    kept = {
        k: a for k, a in node.attributes.items() if k not in ("axes", "keep_aspect_ratio_policy")
    }
    source = ir.Value(name="numbers")
    sizes = ir.Value(name="sizes", const_value=ir.tensor(np.array(new, np.int64), name="sizes"))
    copy = ir.node("Resize", [source, None, None, sizes], kept, name="nearest")
    copy.outputs[0].name = "nearest"
    numbers = np.arange(int(np.prod(old)), dtype=np.float32).reshape(old)
    if numbers.size >= 2**24:  # float32 holds no larger numbers one by one
        return None
    try:
        (taken,) = run_nodes(model, [copy], {source: numbers}, [copy.outputs[0]])
    except ExecutionError:
        return None
    places = np.unravel_index(taken.astype(np.int64), old)
    positions = {}
    for axis, (a, b) in enumerate(zip(old, new, strict=True)):
        along = np.moveaxis(places[axis], axis, -1).reshape(-1, b)
        if not np.all(along == along[0]):
            return None
        if a != b or along[0].tolist() != list(range(b)):
            positions[axis] = [int(i) for i in along[0]]
    return positions


def _repeat(rewriter: Rewriter, x: ir.Value, axis: int, factor: int, shape: list[int]) -> ir.Value:
    """Each element of `x` `factor` times along `axis`."""
    column = rewriter.emit("Unsqueeze", [x, rewriter.integers("axes", [axis + 1])])
    copies = rewriter.emit("Concat", [column] * factor, {"axis": axis + 1})
    target = [-1, *shape[1:]]
    target[axis] = shape[axis] * factor
    return rewriter.emit("Reshape", [copies, rewriter.integers("shape", target)])


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
    _reorder(model, node, split, [0, 3, 5, 1, 2, 4], [-1, c * block**2, h // block, w // block])


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
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "Gather": _gather,
    "MatMul": _matmul,
    "Pad": _pad,
    "Resize": _resize,
    "SpaceToDepth": _space_to_depth,
    "Tile": _tile,
}
"""Operator -> the rule that writes it out where it can."""
