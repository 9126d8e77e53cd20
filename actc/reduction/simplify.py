"""Models with simpler parts: inputs, constants, attributes, branches, names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper, inliner, numpy_helper

from actc.reduction import graphs
from actc.reduction.search import Search, minimize

_Simpler = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]
_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)


def fewer_inputs(search: Search) -> bool:
    """Make inputs constants."""

    def without(start: int, stop: int) -> bool:
        candidate = graphs.copied(search.model)
        graph = candidate.graph
        for value in graph.input[start:stop]:
            tensor = graphs.constant(value.name, value.type)
            if tensor is None:
                return False
            graph.initializer.append(tensor)
        del graph.input[start:stop]
        return len(graph.input) > 0 and search.attempt(candidate)

    return minimize(lambda: len(search.model.graph.input), without)


def simpler_constants(search: Search) -> bool:
    """Make constants 0, or 1, or multiples of 1/2."""
    changed = False
    for simple in (np.zeros_like, np.ones_like, lambda array: np.round(array * 2) / 2):
        changed |= _constants(search, simple)
    return changed


def _constants(
    search: Search,
    simple: _Simpler,
) -> bool:
    def found() -> list[int]:
        return [
            at
            for at, tensor in enumerate(search.model.graph.initializer)
            if tensor.data_type in _FLOATS and not _is_simple(tensor, simple)
        ]

    def without(start: int, stop: int) -> bool:
        candidate = graphs.copied(search.model)
        for at in found()[start:stop]:
            tensor = candidate.graph.initializer[at]
            array = numpy_helper.to_array(tensor)
            changed = simple(array).astype(array.dtype)
            tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))
        return search.attempt(candidate)

    return minimize(lambda: len(found()), without)


def _is_simple(
    tensor: onnx.TensorProto,
    simple: _Simpler,
) -> bool:
    array = numpy_helper.to_array(tensor)
    zero = not array.any()
    return zero or bool((array == 1).all()) or bool(np.array_equal(array, simple(array)))


def fewer_attributes(search: Search) -> bool:
    """Leave out attributes that have a default."""

    def found() -> list[tuple[int, int]]:
        nodes = search.model.graph.node
        return [(at, k) for at, node in enumerate(nodes) for k in range(len(node.attribute))]

    def without(start: int, stop: int) -> bool:
        candidate = graphs.copied(search.model)
        for at, k in reversed(found()[start:stop]):
            del candidate.graph.node[at].attribute[k]
        return search.attempt(candidate)

    return minimize(lambda: len(found()), without)


def fewer_operands(search: Search) -> bool:
    """Leave out inputs of nodes that are optional, as the bias of a Conv."""

    def found() -> list[tuple[int, int]]:
        nodes = search.model.graph.node
        every = ((at, k) for at, node in enumerate(nodes) for k in range(1, len(node.input)))
        return [(at, k) for at, k in every if nodes[at].input[k]]

    def without(start: int, stop: int) -> bool:
        candidate = graphs.copied(search.model)
        for at, k in found()[start:stop]:
            operands = candidate.graph.node[at].input
            operands[k] = ""
            while operands and not operands[-1]:
                del operands[-1]
        return search.attempt(candidate)

    return minimize(lambda: len(found()), without)


def branches_inlined(search: Search) -> bool:
    """Put a branch in the place of its If."""
    changed, at = False, 0
    while at < len(search.model.graph.node):
        taken = search.model.graph.node[at].op_type == "If" and any(
            search.attempt(_with_branch(search.model, at, branch))
            for branch in ("then_branch", "else_branch")
        )
        changed |= taken
        at = 0 if taken else at + 1
    return changed


def _with_branch(model: onnx.ModelProto, at: int, branch: str) -> onnx.ModelProto | None:
    result = graphs.copied(model)
    node = graphs.copied_node(result.graph.node[at])
    graph = next((a.g for a in node.attribute if a.name == branch), None)
    if graph is None:
        return None
    nodes = list(graph.node)
    for inner, outer in zip(graph.output, node.output, strict=True):
        nodes.append(helper.make_node("Identity", [inner.name], [outer]))
    rest = [graphs.copied_node(other) for other in result.graph.node]
    del result.graph.node[:]
    result.graph.node.extend([*rest[:at], *nodes, *rest[at + 1 :]])
    result.graph.initializer.extend(graph.initializer)
    return result


def functions_inlined(search: Search) -> bool:
    """Write the model's own functions out."""
    if not search.model.functions:
        return False
    return search.attempt(inliner.inline_local_functions(graphs.copied(search.model)))


def constants_lifted(search: Search) -> bool:
    """Make initializers of the nodes Constant that hold a tensor."""
    candidate = graphs.copied(search.model)
    graph = candidate.graph
    kept = []
    for node in graph.node:
        value = next((a.t for a in node.attribute if a.name == "value"), None)
        if node.op_type != "Constant" or value is None:
            kept.append(graphs.copied_node(node))
            continue
        tensor = graph.initializer.add()
        tensor.CopyFrom(value)
        tensor.name = node.output[0]
    del graph.node[:]
    graph.node.extend(kept)
    return len(kept) < len(search.model.graph.node) and search.attempt(candidate)


def no_remarks(search: Search) -> bool:
    """Leave out what means nothing to a tool: documentation, metadata, known shapes."""
    candidate = graphs.copied(search.model)
    graph = candidate.graph
    for field in ("doc_string", "producer_name", "producer_version", "domain", "model_version"):
        candidate.ClearField(field)
    del candidate.metadata_props[:]
    del graph.value_info[:]
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("doc_string")
        del part.metadata_props[:]
    return search.attempt(candidate)
