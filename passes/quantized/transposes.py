"""Transpositions between a layer and its quantizer, moved behind the quantizer."""

from __future__ import annotations

import onnx_ir as ir

from actc.ir.elementwise import is_elementwise
from actc.ir.graph import constant, is_op, only_user


def sink_transposes(graph: ir.Graph) -> None:
    """Swap every Transpose with the elementwise operator or quantizer that alone reads it.

    Models with their channels last hold Transposes around every layer. Behind the
    quantizer they move codes, and those of neighbouring layers meet and cancel.
    """
    changed = True
    while changed:
        changed = False
        for node in list(graph):
            if node.graph is None or not _permutes(node):
                continue
            user = only_user(node.outputs[0])
            if user is None:
                continue
            if _permutes(user):
                _merge(graph, node, user)
                changed = True
            elif _takes_any_axes(user, node.outputs[0]):
                _swap(graph, node, user)
                changed = True


def _permutes(node: ir.Node) -> bool:
    return is_op(node, "Transpose") and "perm" in node.attributes


def _takes_any_axes(node: ir.Node, value: ir.Value) -> bool:
    """Whether `node` treats all elements of its one operand `value` alike."""
    quantizer = is_op(node, "QuantizeLinear", "DequantizeLinear")
    if not (quantizer or is_elementwise(node)) or len(node.outputs) != 1:
        return False
    others = [v for v in node.inputs if v is not None and v is not value]
    arrays = [constant(v) for v in others]
    alone = sum(v is value for v in node.inputs) == 1
    return alone and all(array is not None and array.size == 1 for array in arrays)


def _merge(graph: ir.Graph, first: ir.Node, second: ir.Node) -> None:
    """Two in a row become one, or none."""
    source, output = first.inputs[0], second.outputs[0]
    assert source is not None
    axes = permutation(first)
    both = [axes[axis] for axis in permutation(second)]
    if both == sorted(both) and not output.is_graph_output():
        ir.convenience.replace_all_uses_with(output, source)
        graph.remove([second, first], safe=True)
        return
    second.attributes["perm"] = ir.AttrInt64s("perm", both)
    second.replace_input_with(0, source)
    graph.remove(first, safe=True)


def permutation(node: ir.Node) -> list[int]:
    """The axes of a Transpose that names them, in their new order."""
    return [int(axis) for axis in node.attributes["perm"].as_ints()]


def _swap(graph: ir.Graph, transpose: ir.Node, node: ir.Node) -> None:
    """node(transpose(x)) -> transpose(node(x)); the result keeps its name."""
    source, output = transpose.inputs[0], node.outputs[0]
    moved = ir.node("Transpose", [output], dict(transpose.attributes), name=transpose.name)
    result = moved.outputs[0]
    result.type, result.shape = output.type, output.shape
    assert source is not None
    output.shape = source.shape
    ir.convenience.replace_all_uses_with(output, result, replace_graph_outputs=True)
    moved.replace_input_with(0, output)
    for position, value in enumerate(node.inputs):
        if value is transpose.outputs[0]:
            node.replace_input_with(position, source)
    graph.insert_after(node, moved)
    result.name, output.name = output.name, f"{output.name}_before"
    graph.remove(transpose, safe=True)
