"""Constants in place of what depends on constants and on shapes alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.execute import ExecutionError, run_nodes
from actc.ir.graph import has_graphs

Array = np.ndarray[Any, Any]
_LARGEST = 64 << 20


def fold(model: ir.Model) -> None:
    """Evaluate what depends on constants and on shapes alone."""
    graph = model.graph
    for node in list(graph):
        if node.domain == "" and node.op_type in ("Shape", "Size"):
            array = _of_shape(node)
            if array is not None:
                _replace(graph, node, array)
    nodes = _foldable(graph)
    wanted = [value for node in nodes for value in node.outputs if value.name]
    try:
        arrays = run_nodes(model, nodes, {}, wanted) if nodes else []
    except ExecutionError:
        return  # kernels compute it
    found = dict(zip(wanted, arrays, strict=True))
    for node in nodes:
        if len(node.outputs) == 1 and found[node.outputs[0]].nbytes <= _LARGEST:
            _replace(graph, node, found[node.outputs[0]])


def _foldable(graph: ir.Graph) -> list[ir.Node]:
    """Nodes that constants alone decide."""
    nodes: list[ir.Node] = []
    known: set[ir.Value] = set()
    for node in graph:
        given = [value for value in node.inputs if value is not None]
        if node.domain or has_graphs(node) or not given or _is_random(node):
            continue
        if all(value in known or value.const_value is not None for value in given):
            nodes.append(node)
            known.update(node.outputs)
    return nodes


def _is_random(node: ir.Node) -> bool:
    return "Random" in node.op_type or node.op_type in ("Bernoulli", "Multinomial", "Dropout")


def _of_shape(node: ir.Node) -> Array | None:
    """What a Shape or Size node gives, where that is known."""
    value = node.inputs[0]
    if value is None or value.shape is None:
        return None
    extents = [extent for extent in value.shape if isinstance(extent, int)]
    if len(extents) != len(value.shape):
        return None
    if node.op_type == "Size":
        return np.asarray(math.prod(extents), np.int64)
    start, end = (
        node.attributes[name].as_int() if name in node.attributes else None
        for name in ("start", "end")
    )
    return np.asarray(extents[start:end], np.int64)


def _replace(graph: ir.Graph, node: ir.Node, array: Array) -> None:
    """Put a constant in the place of a node that gives one value."""
    old = node.outputs[0]
    if old.is_graph_output():
        return
    new = ir.Value(
        name=f"{old.name}/folded",
        shape=ir.Shape(array.shape),
        type=ir.TensorType(ir.DataType.from_numpy(array.dtype)),
        const_value=ir.tensor(array, name=f"{old.name}/folded"),
    )
    graph.register_initializer(new)
    ir.convenience.replace_all_uses_with(old, new)
    graph.remove(node, safe=True)
