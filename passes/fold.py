"""Evaluate nodes whose inputs are all constants."""

from __future__ import annotations

import onnx_ir as ir

from actc.ir.execute import run_nodes
from actc.ir.graph import constant, has_graphs

_LARGEST = 64 << 20
_RANDOM = frozenset(
    {
        "RandomNormal",
        "RandomUniform",
        "RandomNormalLike",
        "RandomUniformLike",
        "Bernoulli",
        "Multinomial",
    }
)


def fold_constants(model: ir.Model) -> None:
    """Replace every node of constant inputs (and no sub-graph) by its value.

    The values are computed by onnxruntime, one session for the whole set, so
    that folding never differs from running. Results above 64 MiB stay nodes.
    """
    foldable = _foldable(model.graph)
    if not foldable:
        return
    wanted = _frontier(foldable)
    arrays = run_nodes(model, foldable, {}, wanted)
    for value, array in zip(wanted, arrays, strict=True):
        if array.nbytes > _LARGEST:
            continue
        name = value.name
        value.name = None
        folded = ir.Value(
            name=name,
            shape=ir.Shape(array.shape),
            type=ir.TensorType(ir.DataType.from_numpy(array.dtype)),
            const_value=ir.tensor(array, name=name),
        )
        model.graph.register_initializer(folded)
        ir.convenience.replace_all_uses_with(value, folded, replace_graph_outputs=False)
    for node in reversed(foldable):
        if not any(o.uses() or o.is_graph_output() for o in node.outputs):
            model.graph.remove(node, safe=True)


def _foldable(graph: ir.Graph) -> list[ir.Node]:
    known: set[ir.Value] = set()
    nodes = []
    for node in graph:
        plain = node.domain == "" and node.op_type not in _RANDOM
        inputs = [value for value in node.inputs if value is not None]
        constant_inputs = all(value in known or constant(value) is not None for value in inputs)
        is_output = any(output.is_graph_output() for output in node.outputs)
        if plain and constant_inputs and not has_graphs(node) and not is_output:
            nodes.append(node)
            known.update(node.outputs)
    return nodes


def _frontier(nodes: list[ir.Node]) -> list[ir.Value]:
    """Outputs of `nodes` that a node outside uses."""
    inside = set(nodes)
    return [
        value
        for node in nodes
        for value in node.outputs
        if any(use.node not in inside for use in value.uses())
    ]
