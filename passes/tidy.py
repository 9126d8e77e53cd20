"""Remove operators that do nothing."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant, dims, is_op


def drop_no_ops(model: ir.Model) -> None:
    """Remove Identity, inference Dropout, Casts to the same type, and Slice, Reshape,
    Expand, Pad and Transpose that leave their input as it is."""
    for node in list(model.graph):
        if _does_nothing(node):
            source, result = node.inputs[0], node.outputs[0]
            assert source is not None
            if result.is_graph_output() and (source.is_graph_input() or source.is_graph_output()):
                continue
            if result.is_graph_output():
                _take_output_name(source, result)
            ir.convenience.replace_all_uses_with(result, source, replace_graph_outputs=True)
            model.graph.remove(node, safe=True)


def _take_output_name(source: ir.Value, result: ir.Value) -> None:
    name = result.name
    result.name = None
    source.name = name


def _does_nothing(node: ir.Node) -> bool:
    if node.domain != "":
        return False
    if node.op_type == "Identity":
        return True
    if node.op_type == "Dropout":
        return _inference_dropout(node)
    if node.op_type == "Cast":
        source = node.inputs[0]
        return source is not None and source.dtype == node.outputs[0].dtype is not None
    if node.op_type == "Transpose":
        order = node.attributes.get("perm")
        return order is not None and list(order.as_ints()) == sorted(order.as_ints())
    if node.op_type == "Slice":
        return _full_slice(node)
    if is_op(node, "Reshape", "Expand"):
        before, after = dims(node.inputs[0]), dims(node.outputs[0])
        return before is not None and before == after and before[1:].count(None) == 0
    if node.op_type == "Pad":
        widths = constant(node.inputs[1])
        return widths is not None and not np.any(widths)
    return False


def _inference_dropout(node: ir.Node) -> bool:
    training = node.inputs[2] if len(node.inputs) > 2 else None
    flag = constant(training)
    off = training is None or (flag is not None and not bool(flag))
    return off and not (len(node.outputs) > 1 and node.outputs[1].uses())


def _full_slice(node: ir.Node) -> bool:
    arrays = [constant(value) for value in node.inputs[1:]]
    shape = dims(node.inputs[0])
    if shape is None or any(a is None for a in arrays) or len(arrays) < 3:
        return False
    starts, ends, axes = ([int(v) for v in a] for a in arrays[:3] if a is not None)
    steps = [int(v) for v in arrays[3]] if len(arrays) > 3 and arrays[3] is not None else []
    if any(step != 1 for step in steps) or any(start != 0 for start in starts):
        return False
    huge = 10**9  # exporters write "to the end" as some huge number
    extents = [shape[axis] for axis in axes]
    return all(
        end >= huge or (extent is not None and end >= extent)
        for end, extent in zip(ends, extents, strict=True)
    )
