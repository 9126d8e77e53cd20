"""One-hot codes times a matrix are a row lookup."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import add_constant, constant, dims, is_op, only_user, replace_node

Array = np.ndarray[Any, Any]


def embeddings(model: ir.Model) -> None:
    """MatMul(one_hot(i), W) -> Gather(W', row(i)).

    one_hot is Cast(Equal(Reshape/Expand/Unsqueeze(i), 0..V-1)) as jax and
    TensorFlow write it. An index outside the codes gives a row of zeros, as the
    one-hot form does: W' has such a row at its end.
    """
    for node in list(model.graph):
        if is_op(node, "MatMul"):
            weight = constant(node.inputs[1])
            index = (
                _one_hot_index(node.inputs[0], weight.shape[0])
                if weight is not None and weight.ndim == 2
                else None
            )
            if index is not None and weight is not None:
                _lookup(model.graph, node, index, weight)


def _one_hot_index(value: ir.Value | None, codes: int) -> ir.Value | None:
    node = value.producer() if value is not None else None
    if not is_op(node, "Cast"):
        return None
    assert node is not None
    equal = node.inputs[0].producer() if node.inputs[0] is not None else None
    if not is_op(equal, "Equal"):
        return None
    assert equal is not None
    for data, other in ((0, 1), (1, 0)):
        array = constant(equal.inputs[other])
        if array is None or array.shape[-1:] != (codes,) or array.size != codes:
            continue
        if np.array_equal(array.reshape(-1), np.arange(codes)):
            return _before_broadcast(equal.inputs[data])
    return None


def _before_broadcast(value: ir.Value | None) -> ir.Value | None:
    """The integer tensor whose last axis of size one was added for the comparison."""
    while value is not None:
        node = value.producer()
        if not is_op(node, "Expand", "Reshape", "Unsqueeze"):
            return None
        assert node is not None
        source = node.inputs[0]
        before, after = dims(source), dims(value)
        if before is None or after is None or source is None:
            return None
        if len(after) == len(before) + 1 and after[-1] == 1 and after[1:-1] == before[1:]:
            return source
        if before[1:] != after[1:]:
            return None
        value = source
    return None


def _lookup(graph: ir.Graph, node: ir.Node, index: ir.Value, weight: Array) -> None:
    if index.dtype not in (ir.DataType.INT32, ir.DataType.INT64):
        return
    codes = weight.shape[0]
    dtype = index.dtype.numpy()
    base = node.name or "embedding"
    rows = np.concatenate([weight, np.zeros_like(weight[:1])])
    table = add_constant(graph, f"{base}_rows", rows)
    low = add_constant(graph, f"{base}_first", np.array(0, dtype))
    high = add_constant(graph, f"{base}_unknown", np.array(codes, dtype))
    not_negative = ir.node("GreaterOrEqual", [index, low], name=f"{base}_not_negative")
    not_above = ir.node("Less", [index, high], name=f"{base}_not_above")
    known = ir.node("And", [not_negative.outputs[0], not_above.outputs[0]], name=f"{base}_known")
    row = ir.node("Where", [known.outputs[0], index, high], name=f"{base}_row")
    gather = ir.node("Gather", [table, row.outputs[0]], name=base)
    gather.metadata_props["actc.embedding"] = "1"
    for step in (not_negative, not_above, known):
        step.outputs[0].dtype = ir.DataType.BOOL
        step.outputs[0].shape = index.shape
    row.outputs[0].dtype = index.dtype
    row.outputs[0].shape = index.shape
    for step in (not_negative, not_above, known, row):
        step.outputs[0].name = str(step.name)
    replace_node(node, [not_negative, not_above, known, row, gather], gather.outputs[0])


def fold_into_rows(model: ir.Model) -> None:
    """Add, Sub, Mul, Div by a vector along the last axis of looked-up rows go into the table."""
    changed = True
    while changed:
        changed = False
        for node in list(model.graph):
            if is_op(node, "Add", "Sub", "Mul", "Div") and _fold_into_rows(model.graph, node):
                changed = True


def _fold_into_rows(graph: ir.Graph, node: ir.Node) -> bool:
    for data, other in ((0, 1), (1, 0)):
        value, array = node.inputs[data], constant(node.inputs[other])
        gather = row_lookup(value)
        if gather is None or array is None or value is None or only_user(value) is not node:
            continue
        rows = constant(gather.inputs[0])
        assert rows is not None
        if array.size not in (1, rows.shape[1]) or (
            array.shape[-1:] != (array.size,) and array.size > 1
        ):
            continue
        vector = array.reshape(-1).astype(np.float64)
        operands = [rows.astype(np.float64), vector]
        function = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}
        result = function[node.op_type](*(operands if data == 0 else operands[::-1]))
        replace_rows(graph, gather, result)
        name = node.outputs[0].name
        ir.convenience.replace_all_uses_with(node.outputs[0], value, replace_graph_outputs=True)
        graph.remove(node, safe=True)
        node.outputs[0].name = None
        value.name = name
        return True
    return False


def row_lookup(value: ir.Value | None) -> ir.Node | None:
    """The Gather of rows of a constant float matrix that produces `value`, if any."""
    node = value.producer() if value is not None else None
    if node is None or not is_op(node, "Gather"):
        return None
    rows = constant(node.inputs[0])
    axis = node.attributes.get("axis")
    on_rows = axis is None or axis.as_int() == 0
    return (
        node
        if rows is not None and rows.ndim == 2 and rows.dtype == np.float32 and on_rows
        else None
    )


def replace_rows(graph: ir.Graph, gather: ir.Node, rows: Array) -> None:
    """Give a lookup another table."""
    base = gather.name or "embedding"
    gather.replace_input_with(0, add_constant(graph, f"{base}_rows", rows.astype(np.float32)))
