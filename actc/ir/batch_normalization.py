"""Batch normalization whose parameters do not fit what it reads.

Old converters wrote such models: OnnxMLTools 1.3 put a Transpose without `perm` in front of the
normalization of a vector, and one behind, so that the channels lie along the batch's axis. Old
opsets are checked for types only; a runtime would say less about it.
"""

from __future__ import annotations

import onnx

from actc.diagnostics import Diagnostic, DiagnosticSink, Place

_OPERATOR = "BatchNormalization"


def check(proto: onnx.ModelProto, name: str, sink: DiagnosticSink) -> None:
    """Report each batch normalization of another number of channels than axis 1 has.

    Args:
        proto: a model with all weights inside.
        name: file name for diagnostics.
        sink: gets one diagnostic per problem.
    """
    nodes = [
        node
        for node in proto.graph.node
        if node.op_type == _OPERATOR and not node.domain and len(node.input) > 1
    ]
    if not nodes:
        return
    shapes = _shapes(proto)
    for node in nodes:
        shape, count = shapes.get(node.input[0], ()), shapes.get(node.input[1], ())
        if len(shape) < 2 or len(count) != 1 or not shape[1] or not count[0]:
            continue
        if shape[1] != count[0]:
            sink.add(_problem(node, shape, count[0], name))


def _problem(node: onnx.NodeProto, shape: tuple[int, ...], count: int, name: str) -> Diagnostic:
    turned = shape[0] == count
    return Diagnostic(
        "ACT0007",
        f"the model is not valid ONNX: {_OPERATOR} has parameters of {count} channels, which lie "
        f"along axis 1, but what it reads has the shape {list(shape)}"
        + (f", {count} long along axis 0, the batch" if turned else ""),
        place=Place(name, node.name or node.output[0], _OPERATOR),
        help="take out the Transpose in front of it and the one behind it, which OnnxMLTools 1.3 "
        "wrote by mistake, or export the model again"
        if turned
        else "export the model again",
    )


def _shapes(proto: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Name -> known shape; 0 for what is not known of it."""
    try:
        graph = onnx.shape_inference.infer_shapes(proto).graph
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError, TypeError):
        graph = proto.graph  # it is not valid elsewhere: the checker, which comes next, says where
    found = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        if value.name not in found and kind.HasField("shape"):
            found[value.name] = tuple(dim.dim_value for dim in kind.shape.dim)
    return found
