"""Constants that are repeated over the batch: a class token, the embedding of one token type.

Exporters expand them to the batch's size, which is not known before the network
runs. One row is enough where broadcasting repeats it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.elementwise import is_elementwise
from actc.ir.graph import add_constant, constant, dims, is_op, unique_name

Array = np.ndarray[Any, Any]


def one_row(series: list[Array]) -> Array | None:
    """The row, 1 long on one axis, whose copies along it all arrays of `series` consist of.

    None when there is none: the arrays differ along several axes, or in what they hold.
    """
    first = series[0]
    if any(array.ndim != first.ndim for array in series):
        return None
    shapes = np.array([array.shape for array in series])
    grown = np.flatnonzero((shapes != shapes[0]).any(axis=0))
    if len(grown) != 1:
        return None
    row = first.take([0], axis=int(grown[0]))
    repeated = all(np.array_equal(array, np.broadcast_to(row, array.shape)) for array in series)
    return row if repeated else None


def put_row(model: ir.Model, node: ir.Node, position: int, row: Array) -> bool:
    """Let input `position` of `node`, copies of `row` over the batch, be a constant.

    Returns:
        False where nothing else that `node` reads says how large the batch is.
    """
    output = dims(node.outputs[0])
    if output is None or len(output) != row.ndim:
        return False
    others = [v for v in node.inputs if v is not node.inputs[position] and constant(v) is None]
    if is_elementwise(node) and any(_covers(v, output, row) for v in others):
        name = f"{node.name}_row"
        node.replace_input_with(position, add_constant(model.graph, name, row))
        return True
    if is_op(node, "Concat") and row.dtype == np.float32:
        parts = [v for v in others if v is not None and len(dims(v) or ()) == row.ndim]
        parts = [v for v in parts if row.shape[0] == 1 and (dims(v) or ("",))[0] == output[0]]
        return bool(parts) and _join(model, node, position, row, parts[0])
    return False


def _covers(value: ir.Value | None, output: tuple[int | None, ...], row: Array) -> bool:
    """Whether `value` is as long as `output` on every axis on which `row` is shorter."""
    shape = dims(value)
    if shape is None or len(shape) > len(output):
        return False
    aligned = (1,) * (len(output) - len(shape)) + shape
    return all(
        have == wanted
        for have, wanted, given in zip(aligned, output, row.shape, strict=True)
        if given == 1 and wanted != 1
    )


def _join(
    model: ir.Model, node: ir.Node, position: int, row: Array, other: ir.Value | None
) -> bool:
    """Concat([row for every sample, other]) -> the row is a part of `other` times 0 plus `row`."""
    shape, axis = dims(other), node.attributes["axis"].as_int() % row.ndim
    if shape is None or axis == 0 or shape[axis] is None or (shape[axis] or 0) < row.shape[axis]:
        return False
    graph, base = model.graph, str(node.name)

    def integers(what: str, number: int) -> ir.Value:
        return add_constant(graph, f"{base}_{what}", np.array([number]))

    bounds = [integers("start", 0), integers("end", row.shape[axis]), integers("axis", axis)]
    cut = ir.node("Slice", [other, *bounds], name=unique_name(graph, f"{base}_part"))
    zero = add_constant(graph, f"{base}_zero", np.array(0, np.float32))
    nothing = ir.node("Mul", [cut.outputs[0], zero], name=unique_name(graph, f"{base}_nothing"))
    rows = add_constant(graph, f"{base}_row", row)
    added = ir.node("Add", [nothing.outputs[0], rows], name=unique_name(graph, f"{base}_rows"))
    for step in (cut, nothing, added):
        step.outputs[0].name = str(step.name)
    graph.insert_before(node, [cut, nothing, added])
    node.replace_input_with(position, added.outputs[0])
    return True
