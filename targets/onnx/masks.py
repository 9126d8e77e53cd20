"""Masked softmax as an addition and the standard operator, which a runtime has kernels for."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.graph import add_constant, is_op, replace_node

_ADDED = {0: float(np.finfo(np.float32).min), 1: -1e4}
"""What hides a score, by MaskedSoftmax's `empty`, so that a row in which everything is hidden comes
out uniform (0: no score is left beside float32's lowest number) or as without the mask (1: the
same is added to all). In other rows exp of either is 0."""


def add_masks(graph: ir.Graph) -> None:
    """Write each actc::MaskedSoftmax as Softmax of the scores plus a mask of floats.

    The operator's body selects three times over all scores, 15 percent of a BERT's time in
    onnxruntime; the mask of floats is as small as the mask of bytes, and layers share it. Where
    hidden rows must be zero (`empty` 2) the body stays.
    """
    made: dict[tuple[ir.Value, int], ir.Value] = {}
    for node in list(graph):
        if is_op(node, "MaskedSoftmax", domain=DOMAIN):
            empty = node.attributes["empty"].as_int()
            if empty in _ADDED:
                _replace(graph, node, empty, made)


def _replace(
    graph: ir.Graph, node: ir.Node, empty: int, made: dict[tuple[ir.Value, int], ir.Value]
) -> None:
    scores, hidden = node.inputs
    assert hidden is not None
    before: list[ir.Node] = []
    if (hidden, empty) not in made:
        before = _floats(graph, hidden, empty)
        made[hidden, empty] = before[-1].outputs[0]
    added = ir.node("Add", [scores, made[hidden, empty]], name=f"{node.name}_hide")
    axis = node.attributes["axis"].as_int()
    weights = ir.node("Softmax", added.outputs, {"axis": axis}, name=node.name)
    for part in (*before, added):
        part.outputs[0].name = part.name
    metadata = dict(node.outputs[0].metadata_props)
    replace_node(node, [*before, added, weights], weights.outputs[0])
    weights.outputs[0].metadata_props.update(metadata)


def _floats(graph: ir.Graph, hidden: ir.Value, empty: int) -> list[ir.Node]:
    """Nodes that make floats to add of bytes, which are 1 where a score is hidden."""
    name = f"{hidden.name}_added_{empty}"
    ends = [
        add_constant(graph, f"{name}_{what}", np.array(number, np.float32))
        for what, number in (("low", _ADDED[empty]), ("none", 0.0))
    ]
    flags = ir.node("Cast", [hidden], {"to": int(ir.DataType.BOOL)}, name=f"{name}_flags")
    return [flags, ir.node("Where", [flags.outputs[0], *ends], name=name)]
