"""Straight-through estimators: what torch's detach() leaves in an exported graph.

Binary layers are trained as ``x + (sign(x) - x).detach()``: the value of the sign, the gradient of
x. ReActNet's activations and weights are written so. In exact arithmetic x cancels.
"""

from __future__ import annotations

import onnx_ir as ir

from actc.ir.graph import is_op

_BEGIN = ("Sign", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Round")
_FARTHEST = 24


def drop_estimators(graph: ir.Graph) -> None:
    """x + (s - x) becomes s, where s is computed by a sign, a comparison or a rounding."""
    for node in list(graph):
        if not is_op(node, "Add"):
            continue
        for difference, other in (node.inputs, reversed(node.inputs)):
            inner = difference.producer() if difference is not None else None
            if inner is None or not is_op(inner, "Sub") or inner.inputs[1] is not other:
                continue
            kept = inner.inputs[0]
            if kept is not None and _steps(kept):
                result = node.outputs[0]
                name, result.name = result.name, kept.name
                kept.name = name
                ir.convenience.replace_all_uses_with(result, kept, replace_graph_outputs=True)
                break


def _steps(value: ir.Value) -> bool:
    """Whether a sign or its like is among the operators that compute `value`."""
    seen: set[ir.Node] = set()
    rest = [value]
    while rest and len(seen) < _FARTHEST:
        node = rest.pop(0).producer()
        if node is None or node in seen:
            continue
        if is_op(node, *_BEGIN):
            return True
        seen.add(node)
        rest += [v for v in node.inputs if v is not None]
    return False
