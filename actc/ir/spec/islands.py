"""Float islands in the specification: onnxruntime computes them, one operator at a time.

An island has no integers to specify. Each of its operators runs on the values that the
specification itself computed, so every integer operator around it is still compared on
every bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx
from onnx.reference.op_run import OpRun

from actc.ir.dialect import DOMAIN, VERSION
from actc.ir.execute import Session
from actc.ir.islands import is_island
from actc.ir.spec.shared import Array


def hand_over(model: onnx.ModelProto, whole: onnx.ModelProto) -> list[type[OpRun]]:
    """Replace every operator of an island by one that onnxruntime computes.

    Args:
        model: a golden model without functions; changed.
        whole: the same with its functions.

    Returns:
        implementations of the new operators for onnx's reference evaluator.
    """
    operators: list[type[OpRun]] = []
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for index, node in enumerate(model.graph.node):
        if not is_island(node):
            continue
        names = [name for name in _read(node) if name not in constants]
        given = [constants[name] for name in _read(node) if name in constants]
        operator = f"Island{index}"
        operators.append(_operator(operator, _alone(whole, node, given), names))
        outputs = [name for name in node.output if name]
        stand_in = onnx.helper.make_node(operator, names, outputs, domain=DOMAIN)
        model.graph.node[index].CopyFrom(stand_in)
    if operators and all(entry.domain != DOMAIN for entry in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, VERSION))
    return operators


def _operator(name: str, piece: onnx.ModelProto, names: list[str]) -> type[OpRun]:
    held: list[Session] = []

    def run(self: OpRun, *arrays: Array) -> tuple[Array, ...]:
        feeds = dict(zip(names, arrays, strict=True))
        if not held:
            held.append(Session(_typed(piece, feeds), threads=1, optimize=False))
        return tuple(held[0].run(feeds).values())

    return type(name, (OpRun,), {"op_domain": DOMAIN, "_run": run})


def _alone(
    whole: onnx.ModelProto, node: onnx.NodeProto, constants: list[onnx.TensorProto]
) -> onnx.ModelProto:
    """A model of one operator; the types of its inputs are still open."""
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name]
    graph = onnx.helper.make_graph([node], "island", [], outputs, constants)
    piece = onnx.helper.make_model(graph, ir_version=whole.ir_version)
    del piece.opset_import[:]
    piece.opset_import.extend(whole.opset_import)
    piece.functions.extend(whole.functions)
    return piece


def _typed(piece: onnx.ModelProto, feeds: dict[str, Array]) -> onnx.ModelProto:
    """The model with inputs of the arrays' types and ranks."""
    for name, array in feeds.items():
        kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        info = onnx.helper.make_tensor_value_info(name, kind, [None] * array.ndim)
        piece.graph.input.append(info)
    return piece


def _read(node: onnx.NodeProto) -> list[str]:
    """Names of all values that a node depends on, those captured by sub-graphs too."""
    return list(dict.fromkeys([*(name for name in node.input if name), *_captured([node])]))


def _captured(nodes: Iterable[onnx.NodeProto]) -> Iterator[str]:
    for node in nodes:
        for attribute in node.attribute:
            graphs = [attribute.g] if attribute.HasField("g") else list(attribute.graphs)
            for graph in graphs:
                own = {value.name for value in graph.input}
                own |= {tensor.name for tensor in graph.initializer}
                own |= {name for inner in graph.node for name in inner.output}
                read = [name for inner in graph.node for name in inner.input if name]
                yield from (n for n in [*read, *_captured(graph.node)] if n not in own)
