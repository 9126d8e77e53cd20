"""ONNX's shape inference on a model that stays as it is, but for what was found."""

from __future__ import annotations

import onnx
import onnx_ir as ir

from actc.ir.graph import has_graphs, is_op

_SHAPED_AS_INPUT = ("GroupNormalization", "MeanVarianceNormalization")
"""Whose shapes ONNX (1.23) does not infer: functions that reshape by what they compute."""
_LARGE = 1000
"""Bytes; of larger constants inference gets the shapes alone, as no shape follows from them."""


def infer_shapes(model: ir.Model) -> None:
    """Fill in types and shapes by ONNX's own inference, with data propagation.

    It does what `ShapeInferencePass` of onnx_ir does, in about half the time: of the model that
    inference returns, it reads the values that became known alone.
    """
    _infer(model)
    while _shape_functions(model):
        _infer(model)


def _shape_functions(model: ir.Model) -> bool:
    """Whether an output got the shape of its node's input, by a rule that ONNX lacks."""
    changed = False
    for node in model.graph:
        if is_op(node, *_SHAPED_AS_INPUT):
            x, y = node.inputs[0], node.outputs[0]
            if x is not None and x.shape is not None and y.shape is None:
                y.shape, changed = x.shape.copy(), True
    return changed


def _infer(model: ir.Model) -> None:
    graph = model.graph
    if any(has_graphs(node) for node in graph):
        common = ir.passes.common
        common.ShapeInferencePass(check_type=True, strict_mode=False, data_prop=True)(model)
        return
    given = _described(model)
    try:
        found = onnx.shape_inference.infer_shapes(
            given, check_type=True, strict_mode=False, data_prop=True
        )
    except Exception:  # what it cannot read it leaves as it is
        return
    before = {info.name: info for info in (*given.graph.value_info, *given.graph.output)}
    values = {value.name: value for node in graph for value in node.outputs}
    for info in (*found.graph.value_info, *found.graph.output):
        value = values.get(info.name)
        if value is not None and before.get(info.name) != info:
            _take(value, ir.from_proto(info))


def _take(value: ir.Value, inferred: ir.Value) -> None:
    if inferred.shape is not None and value.shape != inferred.shape:
        value.shape = inferred.shape
    if inferred.dtype is not None and value.dtype != inferred.dtype:
        value.dtype = inferred.dtype


def _described(model: ir.Model) -> onnx.ModelProto:
    """The model with its constants as inputs, also; the large ones only so."""
    proto, graph = onnx.ModelProto(ir_version=model.ir_version), model.graph
    for domain, version in model.opset_imports.items():
        proto.opset_import.add(domain=domain, version=version)
    for function in model.functions.values():
        ir.serde.serialize_function_into(proto.functions.add(), function)
    proto.graph.name = graph.name or ""
    inputs = dict.fromkeys(graph.inputs)
    for constant in graph.initializers.values():
        _hold(constant, proto.graph)
        inputs[constant] = None
    for value in inputs:
        ir.serde.serialize_value_into(proto.graph.input.add(), value)
    for node in graph:
        ir.serde.serialize_node_into(proto.graph.node.add(), node)
        for value in node.outputs:
            known = value.shape is not None or value.type is not None
            if known and value.name and not value.is_graph_output():
                ir.serde.serialize_value_into(proto.graph.value_info.add(), value)
    for value in graph.outputs:
        ir.serde.serialize_value_into(proto.graph.output.add(), value)
    return proto


def _hold(constant: ir.Value, graph: onnx.GraphProto) -> None:
    """Its shape and type, and in the graph itself where it is small."""
    tensor = constant.const_value
    if tensor is None:
        return
    if constant.shape is None:
        constant.shape = ir.Shape(tensor.numpy().shape)
    if constant.dtype is None:
        constant.dtype = tensor.dtype
    if tensor.nbytes <= _LARGE:
        held = graph.initializer.add()
        ir.serde.serialize_tensor_into(held, tensor)
        held.name = constant.name or ""
