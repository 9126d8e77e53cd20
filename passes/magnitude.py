"""The magnitude of two tensors, sqrt(a^2 + b^2): of spectra, of gradients.

In pieces its squares would need twice the digits of a and b to survive rounding; kept in
one piece it needs no more than they have.
"""

from __future__ import annotations

import onnx_ir as ir

from actc.ir.dialect import DOMAIN, VERSION
from actc.ir.graph import is_op, only_user, scalar
from actc.passes.rewriter import Rewriter


def magnitudes(model: ir.Model) -> None:
    """Sqrt(a * a + b * b [+ epsilon]) -> actc::Hypot."""
    for node in list(model.graph):
        found = _parts(node) if is_op(node, "Sqrt") else None
        if found is None:
            continue
        a, b, epsilon = found
        model.graph.opset_imports.setdefault(DOMAIN, VERSION)
        rewriter = Rewriter(model.graph, node)
        rewriter.finish(rewriter.emit("Hypot", [a, b], {"epsilon": epsilon}, domain=DOMAIN))


def _parts(root: ir.Node) -> tuple[ir.Value, ir.Value, float] | None:
    """(a, b, epsilon) of Sqrt(a * a + b * b + epsilon)."""
    total, epsilon = _without_constant(root.inputs[0])
    node = total.producer() if total is not None else None
    if node is None or not is_op(node, "Add") or epsilon < 0:
        return None
    squared = [_squared(value) for value in node.inputs]
    a, b = squared
    if a is None or b is None or a is b or a.shape != b.shape:
        return None
    return a, b, epsilon


def _without_constant(value: ir.Value | None) -> tuple[ir.Value | None, float]:
    node = value.producer() if value is not None else None
    if node is not None and is_op(node, "Add") and only_user(value) is not None:
        for data, other in ((0, 1), (1, 0)):
            number = scalar(node.inputs[other])
            if number is not None:
                return node.inputs[data], number
    return value, 0.0


def _squared(value: ir.Value | None) -> ir.Value | None:
    """x, when `value` is its square and nothing else reads that."""
    node = value.producer() if value is not None else None
    if node is None or only_user(value) is None:
        return None
    if is_op(node, "Pow") and scalar(node.inputs[1]) == 2:
        return node.inputs[0]
    return node.inputs[0] if is_op(node, "Mul") and node.inputs[0] is node.inputs[1] else None
