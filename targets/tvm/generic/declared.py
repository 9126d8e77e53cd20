"""The shapes that a model declares, also for values that inference left open. Pure Python."""

from __future__ import annotations

import onnx_ir as ir

# fmt: off
_SHAPE_KEEPING = frozenset(
    [
        "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cast", "CastLike", "Ceil",
        "Celu", "Clip", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid",
        "HardSwish", "Identity", "LeakyRelu", "Log", "Mish", "Neg", "Not", "Reciprocal", "Relu",
        "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus",
        "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu",
    ]
)
# fmt: on
"""Operators whose result has the shape of their first input."""

_BROADCASTING = frozenset(["Add", "Div", "Mul", "Pow", "Sub"])


def shape_of(value: ir.Value) -> ir.Shape | None:
    """The shape of a value: its own, or that of what is computed from it element by element.

    Args:
        value: of a graph.

    Returns:
        None where neither is known.
    """
    if value.shape is not None and all(isinstance(extent, int) for extent in value.shape):
        return value.shape
    for use in value.uses():
        node = use.node
        if node.domain or not _keeps_shape(node, use.idx):
            continue
        found = shape_of(node.outputs[0])
        if found is not None and all(isinstance(extent, int) for extent in found):
            return found
    return value.shape


def _keeps_shape(node: ir.Node, index: int) -> bool:
    if node.op_type in _SHAPE_KEEPING:
        return index == 0
    return node.op_type in _BROADCASTING and _is_number(node, 1 - index)


def _is_number(node: ir.Node, index: int) -> bool:
    """Whether an input is a constant without axes, which widens nothing."""
    value = node.inputs[index]
    return value is not None and value.shape is not None and len(value.shape) == 0
