"""What a valid model may hold that actc does not take: found before any work is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import onnx
from onnx import defs, numpy_helper

from actc.diagnostics import Diagnostic, DiagnosticSink, Place
from actc.ir.limits import all_nodes

_MOST_AXES = 2**31 - 1
_MOST_VERSIONS = 2**31
RANDOM = frozenset(
    {
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)
"""Operators that draw random numbers."""
_CONTAINERS = frozenset(
    {
        "ConcatFromSequence",
        "Optional",
        "OptionalGetElement",
        "OptionalHasElement",
        "SequenceAt",
        "SequenceConstruct",
        "SequenceEmpty",
        "SequenceErase",
        "SequenceInsert",
        "SequenceLength",
        "SequenceMap",
        "SplitToSequence",
    }
)
"""Operators on values that are not tensors."""


def screen(proto: onnx.ModelProto, opset: int, name: str, sink: DiagnosticSink) -> None:
    """Report what actc does not take in a model.

    Args:
        proto: a model with all weights inside.
        opset: its version of the standard operators.
        name: file name for diagnostics.
        sink: gets one diagnostic per problem.
    """
    newest = defs.onnx_opset_version()
    if opset > newest:
        sink.add(
            Diagnostic(
                "ACT0008",
                f"opset {opset} is newer than the newest that is known here, {newest}",
                place=Place(name),
                help="upgrade onnx and onnxruntime, or export the model with an older opset",
            )
        )
    if not proto.graph.output:
        sink.add(Diagnostic("ACT0007", "the model has no output", place=Place(name)))
    for tensor in proto.graph.sparse_initializer:
        sink.add(_sparse(Place(name, tensor.values.name)))
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in _nodes(proto):
        place = Place(name, node.name or next(iter(node.output), ""), node.op_type)
        if any(a.HasField("sparse_tensor") for a in node.attribute):
            sink.add(_sparse(place))
        if node.domain not in ("", "ai.onnx"):
            continue
        if node.op_type in RANDOM or _trains(node, constants):
            sink.add(_random(place))
        if node.op_type in _CONTAINERS:
            sink.add(
                Diagnostic(
                    "ACT0014",
                    f"operator {node.op_type} works on sequences or optional values",
                    place=place,
                    help="export a network whose values are all tensors",
                )
            )


def check_declarations(proto: onnx.ModelProto, name: str, sink: DiagnosticSink) -> None:
    """Report what a model declares and cannot be: versions, types, names, axes.

    Args:
        proto: a model as it came.
        name: file name for diagnostics.
        sink: gets one diagnostic per problem.
    """
    _check_versions(proto, name, sink)
    graph = proto.graph
    for value in (*graph.input, *graph.output, *graph.value_info):
        kind = value.type.tensor_type.elem_type
        if kind not in onnx.TensorProto.DataType.values():
            text = f"'{value.name}' has the element type {kind}, which does not exist"
            sink.add(_invalid(text, Place(name, value.name)))
    for function in proto.functions:
        if function.domain in ("", "ai.onnx") and defs.has(function.name):
            text = f"function '{function.name}' has the name of an operator of ONNX"
            sink.add(_invalid(text, Place(name, function.name)))
    for node in all_nodes(graph.node):
        for attribute in node.attribute:
            if attribute.name == "axis" and abs(attribute.i) > _MOST_AXES:
                place = Place(name, node.name or next(iter(node.output), ""), node.op_type)
                sink.add(_invalid(f"there is no axis {attribute.i}", place))
    _check_references(graph.node, set(), name, sink)
    for function in proto.functions:
        known = {*function.attribute, *(attribute.name for attribute in function.attribute_proto)}
        _check_references(function.node, known, name, sink)


def _check_references(
    nodes: Iterable[onnx.NodeProto], known: set[str], name: str, sink: DiagnosticSink
) -> None:
    """Report attributes that stand for one of a function, and there is none: ONNX's own tools
    read them as if they were not given."""
    for node in all_nodes(nodes):
        for attribute in node.attribute:
            if attribute.ref_attr_name and attribute.ref_attr_name not in known:
                place = Place(name, node.name or next(iter(node.output), ""), node.op_type)
                text = f"'{attribute.name}' stands for the attribute '{attribute.ref_attr_name}'"
                sink.add(_invalid(f"{text} of a function, which has none of this name", place))


def _check_versions(proto: onnx.ModelProto, name: str, sink: DiagnosticSink) -> None:
    """Report versions of operators that do not exist, and domains with two of them."""
    for problem in _version_problems(proto.opset_import):
        sink.add(Diagnostic("ACT0062", problem, place=Place(name), help="export the model again"))
    for function in proto.functions:
        for problem in _version_problems(function.opset_import):
            place = Place(name, function.name)
            sink.add(Diagnostic("ACT0062", problem, place=place, help="export the model again"))


def _version_problems(imports: Iterable[onnx.OperatorSetIdProto]) -> Iterator[str]:
    versions: dict[str, set[int]] = {}
    for entry in imports:
        if not 0 < entry.version < _MOST_VERSIONS:
            text = f"version {entry.version} of the operators of '{_domain(entry.domain)}'"
            yield f"{text} does not exist"
        versions.setdefault(_domain(entry.domain), set()).add(entry.version)
    for domain, given in versions.items():
        if len(given) > 1:
            both = ", ".join(map(str, sorted(given)))
            yield f"the operators of '{domain}' are imported in several versions: {both}"


def _domain(domain: str) -> str:
    return domain or "ai.onnx"


def _invalid(reason: str, place: Place) -> Diagnostic:
    message = f"the model is not valid ONNX: {reason}"
    return Diagnostic("ACT0007", message, place=place, help="export the model again")


def _nodes(proto: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    yield from proto.graph.node
    for function in proto.functions:
        yield from function.node


def _trains(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> bool:
    """Whether a Dropout or BatchNormalization is in training mode."""
    if node.op_type == "BatchNormalization":
        return any(a.name == "training_mode" and a.i for a in node.attribute)
    if node.op_type != "Dropout" or len(node.input) < 3:
        return False
    flag = constants.get(node.input[2])
    return flag is not None and bool(np.any(numpy_helper.to_array(flag)))


def _sparse(place: Place) -> Diagnostic:
    return Diagnostic(
        "ACT0012",
        "the model holds a sparse tensor",
        place=place,
        help="export the model with dense weights",
    )


def _random(place: Place) -> Diagnostic:
    training = place.op not in RANDOM
    message = "is in training mode" if training else "draws random numbers"
    return Diagnostic(
        "ACT0013",
        f"operator {place.op} {message}",
        place=place,
        help="export the model for inference: call model.eval() before torch.onnx.export"
        if training
        else "export the model without it, or make its numbers an input",
    )


def number_equal_names(graph: onnx.GraphProto) -> None:
    """Give nodes that share a name a number behind it: onnxruntime wants each name once."""
    names = {node.name for node in graph.node}
    seen: set[str] = set()
    for node in graph.node:
        if node.name in seen:
            node.name = _free(node.name, names)
            names.add(node.name)
        seen.update({node.name} - {""})


def _free(name: str, taken: set[str]) -> str:
    count = 2
    while f"{name}_{count}" in taken:
        count += 1
    return f"{name}_{count}"
