"""The quantized model as float operators between QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import inliner

from actc.ir.dialect import DOMAIN, add_bodies
from actc.ir.formats import parameters_of
from actc.ir.graph import add_constant, constant, is_op, remove_dead
from actc.numerics.weights import quantize_weights

Array = np.ndarray[Any, Any]


def quantize_dequantize(model: ir.Model) -> onnx.ModelProto:
    """The QDQ variant of a quantized model.

    Args:
        model: the float model with formats on its values (behind pass `quantize`);
            not changed.

    Returns:
        a model of standard operators: each value with a format passes a
        QuantizeLinear and a DequantizeLinear, weights of Conv and MatMul are int8
        behind a DequantizeLinear per channel. Functions are inlined.
    """
    result = ir.from_proto(ir.to_proto(model))
    graph = result.graph
    for node in list(graph):
        if is_op(node, "Conv", "MatMul"):
            _weights(graph, node)
    for value in [*graph.inputs, *(v for node in list(graph) for v in node.outputs)]:
        _pair(graph, value)
    remove_dead(graph)
    add_bodies(result)
    proto = inliner.inline_local_functions(ir.to_proto(result))
    keep = [entry for entry in proto.opset_import if entry.domain != DOMAIN]
    del proto.opset_import[:]
    proto.opset_import.extend(keep)
    return proto


def _pair(graph: ir.Graph, value: ir.Value) -> None:
    parameters = parameters_of(value)
    users = [use for use in value.uses() if use.node.op_type != "DequantizeLinear"]
    if parameters is None or not users:
        return
    name = str(value.name)
    scale = add_constant(graph, f"{name}_scale", np.array(parameters.scale, np.float32))
    zero = add_constant(graph, f"{name}_zero_point", np.array(parameters.zero_point, parameters.dtype))
    quantize = ir.node("QuantizeLinear", [value, scale, zero], name=f"{name}_q")
    quantize.outputs[0].name = f"{name}_q"
    dequantize = ir.node("DequantizeLinear", [quantize.outputs[0], scale, zero], name=f"{name}_dq")
    dequantize.outputs[0].name = f"{name}_dq"
    producer = value.producer()
    if producer is None:
        graph.insert_before(graph[0], [quantize, dequantize])
    else:
        graph.insert_after(producer, [quantize, dequantize])
    for use in users:
        use.node.replace_input_with(use.idx, dequantize.outputs[0])


def _weights(graph: ir.Graph, node: ir.Node) -> None:
    weight = constant(node.inputs[1])
    if weight is None or (node.op_type == "MatMul" and weight.ndim != 2):
        return
    axis = 0 if node.op_type == "Conv" else 1
    rows = np.moveaxis(weight, axis, 0)
    codes, _, scales = quantize_weights(rows, np.zeros(len(rows)), 1.0)
    name = str(node.name or node.outputs[0].name)
    held = add_constant(graph, f"{name}_w_int8", np.ascontiguousarray(np.moveaxis(codes, 0, axis)))
    scale = add_constant(graph, f"{name}_w_scale", scales.astype(np.float32))
    dequantize = ir.node("DequantizeLinear", [held, scale], {"axis": axis}, name=f"{name}_w_dq")
    dequantize.outputs[0].name = f"{name}_w_dq"
    graph.insert_before(node, dequantize)
    node.replace_input_with(1, dequantize.outputs[0])
