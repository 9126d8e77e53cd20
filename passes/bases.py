"""Many functions of one number, side by side: the bases of splines, as elementwise families.

A network of splines (Kolmogorov-Arnold networks, Liu et al., 2024) computes for each
input all basis functions: [N, I, 1] beside a grid gives [N, I, G]. The recursion of Cox
and de Boor joins neighbours along the last axis, so that what it gives is no elementwise
function of one tensor until its slices are pushed to the grid. Then position g of the
result is a function of its own input, repeated G times.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.elementwise import attributes_of, is_elementwise
from actc.ir.graph import constant, dims, is_op, remove_dead
from actc.passes.inference import infer_shapes
from actc.passes.rewriter import Rewriter

Array = np.ndarray[Any, Any]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

_MOST_FUNCTIONS = 1 << 14
"""Functions side by side up to which each is tabulated."""
_FEWEST_STEPS = 2
"""Operators from which on a region without slices is worth it."""


def bases(model: ir.Model) -> None:
    """Rewrite every region that widens [..., 1] to [..., G] along the last axis, elementwise."""
    _drop_detours(model.graph)
    regions = _regions(model.graph)
    for root, source in regions:
        _rewrite(model, root, source)
    if regions:
        remove_dead(model.graph)
        infer_shapes(model)


def _drop_detours(graph: ir.Graph) -> None:
    """Read a value [..., 1] itself where its last axis was taken off and put back."""
    for node in graph:
        squeezed = node.inputs[0] if is_op(node, "Unsqueeze") else None
        before = None if squeezed is None else squeezed.producer()
        source = before.inputs[0] if before is not None and is_op(before, "Squeeze") else None
        if is_op(node, "Slice"):
            source = node.inputs[0]
        shape = dims(source)
        if source is None or not shape or shape[-1] != 1 or dims(node.outputs[0]) != shape:
            continue
        if not node.outputs[0].is_graph_output() and None not in shape[1:]:
            ir.convenience.replace_all_uses_with(node.outputs[0], source)


def _regions(graph: ir.Graph) -> list[tuple[ir.Value, ir.Value]]:
    """Values that such regions give to others, each with the value that it is a function of."""
    sources: dict[ir.Value, ir.Value] = {}
    steps: dict[ir.Value, int] = {}
    for node in graph:
        source = _source(node, sources)
        if source is not None:
            output = node.outputs[0]
            sources[output] = source
            before = [steps.get(v, 0) for v in node.inputs if v is not None]
            steps[output] = max(before) + (_FEWEST_STEPS if is_op(node, "Slice") else 1)
    found = []
    for value, source in sources.items():
        outside = any(use.node.outputs[0] not in sources for use in value.uses())
        widened = _last(value) != 1 and value.dtype == ir.DataType.FLOAT
        if widened and (outside or value.is_graph_output()) and steps[value] >= _FEWEST_STEPS:
            found.append((value, source))
    return found


def _source(node: ir.Node, sources: dict[ir.Value, ir.Value]) -> ir.Value | None:
    """The one value [..., 1] that what `node` gives is a function of, None for any other node."""
    output, variable = (
        node.outputs[0],
        [v for v in node.inputs if v is not None and constant(v) is None],
    )
    if is_op(node, "Slice"):
        known = len(variable) == 1 and variable[0] in sources and _positions(node) is not None
        return sources[variable[0]] if known else None
    if not is_elementwise(node) or not variable or _last(output) is None:
        return None
    found = {sources.get(v, v) for v in variable}
    source = found.pop()
    if found or _last(source) != 1 or source.dtype != ir.DataType.FLOAT:
        return None
    shapes = [(dims(v) or ())[:-1] for v in (source, output)]
    return source if shapes[0] == shapes[1] and None not in shapes[0][1:] else None


def _last(value: ir.Value) -> int | None:
    shape = dims(value)
    return shape[-1] if shape else None


def _positions(node: ir.Node) -> IntArray | None:
    """What a Slice along the last axis alone keeps of it, None for other slices."""
    shape, arrays = dims(node.inputs[0]), [constant(v) for v in node.inputs[1:]]
    if not shape or shape[-1] is None or len(arrays) < 3 or any(a is None for a in arrays):
        return None
    starts, ends, axes, *rest = ([int(n) for n in a] for a in arrays if a is not None)
    if [axis % len(shape) for axis in axes] != [len(shape) - 1]:
        return None
    step = rest[0][0] if rest else 1
    return np.arange(shape[-1])[slice(starts[0], ends[0], step)] if step > 0 else None


@dataclass(slots=True)
class _Widened:
    """Writes what a region gives as a function of `x`, the source repeated for every position.

    Attributes:
        flat: whether the last two axes of `x` are made one: the functions differ along both.
    """

    rewriter: Rewriter
    source: ir.Value
    x: ir.Value
    flat: bool
    _made: dict[tuple[ir.Value, bytes], ir.Value] = field(default_factory=dict)

    def at(self, value: ir.Value, positions: IntArray) -> ir.Value:
        """`value` at some positions of its last axis."""
        if value is self.source:
            return self.x
        key = value, positions.tobytes()
        if key not in self._made:
            self._made[key] = self._write(value, positions)
        return self._made[key]

    def _write(self, value: ir.Value, positions: IntArray) -> ir.Value:
        array = constant(value)
        if array is not None:
            return self._constant(value, array, positions)
        node = value.producer()
        assert node is not None
        if is_op(node, "Slice"):
            kept = _positions(node)
            assert node.inputs[0] is not None
            assert kept is not None
            return self.at(node.inputs[0], kept[positions])
        inputs = [None if v is None else self.at(v, _within(v, positions)) for v in node.inputs]
        return self.rewriter.emit(node.op_type, inputs, attributes_of(node))

    def _constant(self, value: ir.Value, array: Array, positions: IntArray) -> ir.Value:
        if array.size == 1:
            return value
        taken = _matrix(array).take(positions, axis=-1)
        if self.flat:
            assert self.source.shape is not None
            rows = self.source.shape[-2]
            assert isinstance(rows, int)
            taken = np.broadcast_to(taken, (rows, len(positions))).reshape(-1)
        else:
            taken = taken[0]
        return self.rewriter.constant("grid", np.ascontiguousarray(taken))


def _matrix(array: Array) -> Array:
    """A constant without the axes of length 1 before its last two."""
    return array.reshape(array.shape[-2:] if array.ndim > 1 else (1, -1))


def _matrix_size(array: Array) -> int:
    return int(np.prod(array.shape[-2:]))


def _within(value: ir.Value, positions: IntArray) -> IntArray:
    """The positions in an operand, which may be 1 long and broadcast."""
    array = constant(value)
    length = (array.shape[-1] if array.ndim else 1) if array is not None else _last(value)
    return np.zeros_like(positions) if length == 1 else positions


def _rewrite(model: ir.Model, root: ir.Value, source: ir.Value) -> None:
    shape, node = dims(root), root.producer()
    assert shape is not None
    assert node is not None
    width = shape[-1] or 0
    arrays = _constants(root, source)
    if any(array.ndim > len(shape) or array.size != _matrix_size(array) for array in arrays):
        return
    differ = any(np.any(_matrix(array) != _matrix(array)[:1]) for array in arrays)
    count = width * (shape[-2] or 0) if differ and len(shape) > 1 else width
    if (differ and len(shape) != 3) or count > _MOST_FUNCTIONS:
        return
    rewriter = Rewriter(model.graph, node)
    x = rewriter.emit("Concat", [source] * width, {"axis": len(shape) - 1})
    if differ:
        x = rewriter.emit("Reshape", [x, rewriter.integers("flat", [-1, count])])
    y = _Widened(rewriter, source, x, differ).at(root, np.arange(width, dtype=np.int64))
    if differ:
        back = [-1, *(extent or 0 for extent in shape[1:])]
        y = rewriter.emit("Reshape", [y, rewriter.integers("wide", back)])
    rewriter.finish(y)


def _constants(root: ir.Value, source: ir.Value) -> list[Array]:
    """The arrays that a region reads, but for what its slices are bounded by."""
    seen: set[ir.Value] = {source}
    arrays, queue = [], [root]
    while queue:
        value = queue.pop()
        if value in seen:
            continue
        seen.add(value)
        array, node = constant(value), value.producer()
        if array is not None:
            if array.size > 1:
                arrays.append(array)
        elif node is not None:
            data = node.inputs[:1] if is_op(node, "Slice") else node.inputs
            queue += [v for v in data if v is not None]
    return arrays
