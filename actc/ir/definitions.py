"""Operators that ONNX defines by others, written out: those too new for onnxruntime.

Each becomes a model-local function of its own, whose body depends on its attributes and on
which inputs it has.
"""

from __future__ import annotations

from typing import Any

import onnx
from onnx import defs

DOMAIN = "actc.definition"
PREVIEW = "ai.onnx.preview"
WRITTEN_OUT = frozenset(
    {
        ("", "CausalConvWithState"),
        ("", "LinearAttention"),
        ("", "SwiGLU"),
        (PREVIEW, "FlexAttention"),
    }
)
"""Operators that are written out, by domain and name."""


def is_written_out(node: onnx.NodeProto) -> bool:
    """Whether `write_out` replaces a node."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    return (domain, node.op_type) in WRITTEN_OUT


def write_out(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with functions in the place of the operators of `WRITTEN_OUT`.

    Raises:
        onnx.shape_inference.InferenceError: the types in the model do not fit.
    """
    if not any(map(is_written_out, proto.graph.node)):
        return proto
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    types = _types(proto)
    versions = {e.domain: int(e.version) for e in proto.opset_import}
    for node in filter(is_written_out, result.graph.node):
        given = [types.get(name, onnx.TypeProto()) for name in node.input]
        function = definition(node, versions.get(node.domain, 1), given)
        if function is not None:
            function.name = f"{node.op_type}_{len(result.functions)}"
            imported = {entry.domain for entry in function.opset_import}
            for domain in sorted(set(versions) - imported):
                function.opset_import.append(onnx.helper.make_opsetid(domain, versions[domain]))
            result.functions.append(function)
            node.op_type, node.domain = function.name, DOMAIN
            del node.attribute[:]
    result.opset_import.append(onnx.helper.make_opsetid(DOMAIN, 1))
    return result


def with_axes(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the default axes of MeanVarianceNormalization, [0, 2, 3], written down.

    onnx's checker does not run its function body without them.
    """

    def lacks(node: onnx.NodeProto) -> bool:
        normalizes = node.op_type == "MeanVarianceNormalization"
        return normalizes and not node.domain and not node.attribute

    if not any(map(lacks, proto.graph.node)):
        return proto
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    for node in filter(lacks, result.graph.node):
        node.attribute.append(onnx.helper.make_attribute("axes", [0, 2, 3]))
    return result


def definition(
    node: onnx.NodeProto, version: int, types: list[onnx.TypeProto]
) -> onnx.FunctionProto | None:
    """ONNX's definition of a node; None if it has none.

    Args:
        node: of a standard domain.
        version: of that domain.
        types: of its inputs, an empty one for what is absent.
    """
    schema: Any = defs.get_schema(node.op_type, version, node.domain)
    known = [v for v in schema.context_dependent_function_opset_versions if v <= version]
    if not known:
        return None
    text, given = node.SerializeToString(), [t.SerializeToString() for t in types]
    body = schema.get_context_dependent_function_with_opset_version(max(known), text, given)
    function = onnx.FunctionProto()
    function.ParseFromString(body)
    function.domain = DOMAIN
    del function.attribute[:]
    return function


def _types(proto: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    """Value -> type, by ONNX's inference."""
    graph = onnx.shape_inference.infer_shapes(proto).graph
    found = {value.name: value.type for value in [*graph.input, *graph.value_info, *graph.output]}
    for tensor in graph.initializer:
        found[tensor.name] = onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
    return found
