"""Operators that are written out: model-local functions, and ONNX's own by their definition.

Pure Python. What has neither a scheduled nor a generic kernel is replaced by the nodes of its
function, until all have kernels or nothing is left to write out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common
from onnx import inliner

from actc.targets.tvm.generic.folding import fold

_IR_VERSION = 10
_OWN_DOMAIN = "actc.definition"
_ROUNDS = 2
"""Of inference and folding: what depends on shapes may give shapes."""


def write_out(model: ir.Model, positions: Sequence[int]) -> ir.Model | None:
    """A copy of the model in which some nodes are replaced by their functions.

    Args:
        model: stays as it is.
        positions: of the nodes in the graph.

    Returns:
        None if none of the nodes has a function.
    """
    copy = model.clone()
    nodes = list(copy.graph)
    chosen = [nodes[position] for position in positions]
    local = {node.op_identifier() for node in chosen} & set(copy.functions)
    written = False
    for node in chosen:
        if node.op_identifier() not in local and node.domain in ("", "ai.onnx"):
            written |= _by_definition(copy, node)
    if local:
        common.InlinePass(lambda function: function.identifier() in local)(copy)
    if not local and not written:
        return None
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(copy)
    common.NameFixPass()(copy)
    for _ in range(_ROUNDS):
        common.ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)(copy)
        fold(copy)
    return copy


def _by_definition(model: ir.Model, node: ir.Node) -> bool:
    """Replace a node by the body that ONNX defines it with; whether there is one."""
    body = _body(model, node)
    if body is None:
        return False
    given = [value for value in node.inputs if value is not None]
    values = dict(zip(body.inputs, given, strict=True))
    nodes = list(body)
    results = list(body.outputs)
    body.outputs.clear()
    for inner in nodes:
        inner.name = f"{node.name}/{inner.name or inner.op_type}"
        for output in inner.outputs:
            if output not in results and output.name:
                output.name = f"{node.name}/{output.name}"
        for position, value in enumerate(inner.inputs):
            if value in values:
                inner.replace_input_with(position, values[value])
        body.remove(inner)
    old = [value for value in node.outputs if value.name]
    ir.convenience.replace_nodes_and_values(model.graph, node, [node], nodes, old, results)
    return True


def _body(model: ir.Model, node: ir.Node) -> ir.Graph | None:
    """ONNX's definition of a node as a graph of its own, inputs and outputs in the node's order."""
    opset = model.graph.opset_imports.get("", 21)
    schema: Any = onnx.defs.get_schema(node.op_type, opset, "")
    given = [value for value in node.inputs if value is not None]
    defined = schema.has_function or schema.has_context_dependent_function
    if not defined or any(value.dtype is None for value in given):
        return None
    proto = ir.serde.serialize_node(node)
    names = iter(f"x{i}" for i in range(len(given)))
    proto.input[:] = [next(names) if value is not None else "" for value in node.inputs]
    proto.output[:] = [f"y{i}" if value.name else "" for i, value in enumerate(node.outputs)]
    for name, attribute in schema.attributes.items():  # the inliner leaves defaults out
        if name not in node.attributes and attribute.default_value.name:
            proto.attribute.append(attribute.default_value)
    inputs = [_described(f"x{i}", value) for i, value in enumerate(given)]
    results = zip(proto.output, node.outputs, strict=True)
    outputs = [_described(name, value) for name, value in results if name]
    graph = onnx.helper.make_graph([proto], "node", inputs, outputs)
    tiny = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=_IR_VERSION
    )
    if schema.has_function:
        inlined = inliner.inline_selected_functions(tiny, [("", node.op_type)], False, True)
    else:
        inlined = _inlined_for(tiny, schema, opset)
    if any(inner.op_type == node.op_type for inner in inlined.graph.node):
        return None
    return ir.from_proto(inlined).graph


def _inlined_for(tiny: onnx.ModelProto, schema: Any, opset: int) -> onnx.ModelProto:
    """The one node of a model as the function that its types and attributes define.

    onnx's inliner itself fails where an optional input between others is absent.
    """
    (node,) = tiny.graph.node
    types = {value.name: value.type for value in tiny.graph.input}
    given = [types.get(name, onnx.TypeProto()).SerializeToString() for name in node.input]
    version = max(v for v in schema.context_dependent_function_opset_versions if v <= opset)
    function = onnx.FunctionProto()
    text = node.SerializeToString()
    function.ParseFromString(
        schema.get_context_dependent_function_with_opset_version(version, text, given)
    )
    function.domain = node.domain = _OWN_DOMAIN
    function.name = node.op_type
    tiny.functions.append(function)
    tiny.opset_import.append(onnx.helper.make_opsetid(_OWN_DOMAIN, 1))
    try:  # a definition of an older version is inlined only if it can be converted
        return inliner.inline_local_functions(tiny, convert_version=True)
    except RuntimeError:
        return tiny


def _described(name: str, value: ir.Value) -> onnx.ValueInfoProto:
    dtype = value.dtype.value if value.dtype is not None else 0
    shape = None if value.shape is None else [_extent(extent) for extent in value.shape]
    return onnx.helper.make_tensor_value_info(name, dtype, shape)


def _extent(extent: int | ir.SymbolicDim) -> int | str | None:
    return extent if isinstance(extent, int) else extent.value
