"""Models that say little and mean much: found before anything expands, allocates or loops."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import onnx
from onnx import numpy_helper

from actc.diagnostics import Diagnostic, DiagnosticSink, Place
from actc.ir.files import MOST_BYTES

MOST_NODES = 100_000
"""With the bodies of functions in the place of their calls."""
MOST_ROUNDS = 1_000_000
"""Of a loop whose number is a constant."""
_DEEPEST = 100
"""Of calls of functions; as onnx's checker has it."""
_SHOWN = 8
"""Axes of a shape in a message."""


def all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes, and those of their sub-graphs."""
    for node in nodes:
        yield node
        for graph in _graphs(node):
            yield from all_nodes(graph.node)


def _graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def check_work(proto: onnx.ModelProto, name: str, sink: DiagnosticSink) -> None:
    """Report a model of too many nodes, written out, or with too many rounds of a loop.

    Args:
        proto: the model.
        name: file name for diagnostics.
        sink: gets ACT0061, one for the nodes and one per loop.
    """
    count = _Expansion(proto).nodes(proto.graph.node)
    if count > MOST_NODES:
        message = f"the model expands to {count:,} nodes; up to {MOST_NODES:,} are taken"
        if math.isinf(count):
            message = f"functions of the model call each other more than {_DEEPEST} deep"
        sink.add(
            Diagnostic(
                "ACT0061",
                message,
                place=Place(name),
                help="export the model without functions, or in parts",
            )
        )
        return
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in all_nodes(proto.graph.node):
        rounds = _rounds(node, constants)
        if rounds > MOST_ROUNDS:
            sink.add(
                Diagnostic(
                    "ACT0061",
                    f"the loop runs {rounds:,} rounds; up to {MOST_ROUNDS:,} are taken",
                    place=Place(name, node.name or next(iter(node.output), ""), node.op_type),
                    help="export the model with a loop that ends",
                )
            )


class _Expansion:
    """Counts nodes as if each call were written out, without writing any out."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self._bodies = {(f.domain, f.name): f.node for f in proto.functions}
        self._known: dict[tuple[str, str], float] = {}

    def nodes(self, nodes: Iterable[onnx.NodeProto], depth: int = 0) -> float:
        """Their number; infinite where calls are nested too deeply, or without end."""
        count: float = 0
        for node in all_nodes(nodes):
            count += 1 + self._called((node.domain, node.op_type), depth)
            if math.isinf(count):  # a function that calls itself twice would take for ever
                break
        return count

    def _called(self, key: tuple[str, str], depth: int) -> float:
        if key not in self._bodies:
            return 0
        if key not in self._known:
            if depth >= _DEEPEST:
                return math.inf
            found = self.nodes(self._bodies[key], depth + 1)
            if math.isinf(found):
                return found  # how deep depends on who calls: not remembered
            self._known[key] = found
        return self._known[key]


def _rounds(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> int:
    """How often a Loop runs, 0 where that is no constant."""
    if node.op_type != "Loop" or not node.input or node.input[0] not in constants:
        return 0
    try:
        array = numpy_helper.to_array(constants[node.input[0]])
    except (KeyError, TypeError, ValueError):  # the check of weights says so
        return 0
    return int(array.flat[0]) if array.size == 1 and array.dtype.kind in "iu" else 0


def check_sizes(proto: onnx.ModelProto, name: str, sink: DiagnosticSink) -> None:
    """Report values that are larger than any file can hold, by ONNX's inference of shapes.

    Args:
        proto: a valid model.
        name: file name for diagnostics.
        sink: gets one ACT0060 per value.
    """
    graph = onnx.shape_inference.infer_shapes(proto, data_prop=True).graph
    for value in (*graph.input, *graph.value_info, *graph.output):
        size = _size(value.type.tensor_type)
        if size > MOST_BYTES:
            shown = _shape(value.type.tensor_type)
            sink.add(
                Diagnostic(
                    "ACT0060",
                    f"'{value.name}' has the shape [{shown}], which takes more than 2 GiB",
                    place=Place(name, value.name),
                    help="check the shapes of the network",
                )
            )


def _shape(tensor: onnx.TypeProto.Tensor) -> str:
    dims = [str(d.dim_value) if d.HasField("dim_value") else "?" for d in tensor.shape.dim]
    return ", ".join(dims[:_SHOWN]) + (", ..." if len(dims) > _SHOWN else "")


def _size(tensor: onnx.TypeProto.Tensor) -> int:
    """Bytes at least, with 1 in the place of unknown axes (some exporters write them as -1)."""
    count: int = math.prod(int(d.dim_value) for d in tensor.shape.dim if _is_known(d))
    kind = tensor.elem_type
    if kind not in onnx.TensorProto.DataType.values() or kind in (0, onnx.TensorProto.STRING):
        return count
    return count * int(onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize)


def _is_known(dim: onnx.TensorShapeProto.Dimension) -> bool:
    return bool(dim.HasField("dim_value")) and dim.dim_value >= 0
