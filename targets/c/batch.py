"""Transposes that move the batch axis, as exporters write them for queries, keys and values.

What is behind them mostly takes one place along the axis that came to the front. The same
elements are taken before the transpose, which then leaves the batch axis where it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir


def taken_first(model: ir.Model) -> ir.Model:
    """The model, or a copy in which single places are taken before the batch axis moves."""
    if not any(_moves(node) for node in model.graph):
        return model
    copy = ir.from_proto(ir.to_proto(model))
    for node in list(copy.graph):
        if _moves(node):
            _rewrite(copy, node)
    return copy


def _perm(node: ir.Node) -> list[int]:
    found = node.attributes.get("perm")
    return [int(p) for p in found.as_ints()] if found else []


def _moves(node: ir.Node) -> bool:
    """Whether a node moves the batch axis to the second place."""
    perm = _perm(node) if node.domain == "" and node.op_type == "Transpose" else []
    return len(perm) > 1 and perm[0] != 0 and perm[1] == 0


def _rewrite(model: ir.Model, node: ir.Node) -> None:
    value, perm = node.outputs[0], _perm(node)
    slices = [use.node for use in value.uses()]
    ends = [_squeezed(one) for one in slices]
    if value.is_graph_output() or not slices or None in ends:
        return
    front = perm[0]
    rest = [p - (p > front) for p in perm[1:]]
    for one, end in zip(slices, ends, strict=True):
        assert end is not None
        one.replace_input_with(0, node.inputs[0])
        result = end.outputs[0]
        before = ir.Value(name=f"{result.name}.taken", type=result.type)
        if result.shape is not None:
            extents: list[int | ir.SymbolicDim] = [0] * len(rest)
            for place, axis in enumerate(rest):
                extents[axis] = result.shape[place]
            before.shape = ir.Shape(extents)
        one.outputs[0].shape = None
        axes = [_axes(model, f"{result.name}.axis{number}", front) for number in (0, 1)]
        one.replace_input_with(3, axes[0])
        squeeze = ir.Node(
            "", "Squeeze", [one.outputs[0], axes[1]], name=f"{end.name}.taken", outputs=[before]
        )
        transpose = ir.Node(
            "", "Transpose", [before], [ir.AttrInt64s("perm", rest)], name=f"{node.name}.{end.name}"
        )
        graph = model.graph
        graph.insert_after(one, [squeeze, transpose])
        kept = transpose.outputs[0]
        kept.name, kept.type, kept.shape = f"{result.name}.moved", result.type, result.shape
        if result.is_graph_output():
            kept.name, result.name = result.name, f"{result.name}.before"
            graph.outputs[list(graph.outputs).index(result)] = kept
        ir.convenience.replace_all_uses_with(result, kept)
        graph.remove(end, safe=True)
    model.graph.remove(node, safe=True)


def _axes(model: ir.Model, name: str, axis: int) -> ir.Value:
    """An initializer of one axis."""
    tensor = ir.tensor(np.array([axis], np.int64), name=name)
    value = ir.Value(
        name=name, const_value=tensor, shape=ir.Shape([1]), type=ir.TensorType(ir.DataType.INT64)
    )
    model.graph.register_initializer(value)
    return value


def _squeezed(node: ir.Node) -> ir.Node | None:
    """The Squeeze that alone reads a Slice of one place along the first axis."""
    if (node.domain, node.op_type) != ("", "Slice") or len(node.inputs) < 4:
        return None
    bounds = [_numbers(value) for value in node.inputs[1:]]
    steps = bounds[3] if len(bounds) > 3 else [1]
    if None in bounds or bounds[2] != [0] or steps != [1]:
        return None
    (start,), (end,) = bounds[0] or [0], bounds[1] or [0]
    uses = list(node.outputs[0].uses())
    if end - start != 1 or len(uses) != 1 or node.outputs[0].is_graph_output():
        return None
    user = uses[0].node
    fits = (user.domain, user.op_type) == ("", "Squeeze") and len(user.inputs) == 2
    return user if fits and _numbers(user.inputs[1]) == [0] else None


def _numbers(value: ir.Value | None) -> Sequence[int] | None:
    if value is None or value.const_value is None:
        return None
    return [int(v) for v in value.const_value.numpy().reshape(-1)]
