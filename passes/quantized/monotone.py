"""Whether a function is monotone, decided on its operators."""

from __future__ import annotations

import onnx_ir as ir

from actc.ir.graph import constant

_MONOTONE = frozenset(
    {
        "Add", "Atan", "Cast", "Ceil", "Clip", "Div", "Elu", "Erf", "Floor", "Greater",
        "GreaterOrEqual", "HardSigmoid", "Identity", "LeakyRelu", "Less", "LessOrEqual", "Max",
        "Min", "Mul", "Neg", "Not", "PRelu", "Relu", "Round", "Selu", "Sigmoid", "Sign",
        "Softplus", "Softsign", "Sub", "Tanh", "ThresholdedRelu",
    }
)  # fmt: skip
"""Operators that rise or fall throughout in the one operand that is not a constant."""


def is_monotone(body: ir.Function) -> bool:
    """Whether a site's function rises or falls throughout, in every channel.

    A chain of monotone operators is monotone; what is not such a chain is not decided
    and counts as not monotone.
    """
    current = body.inputs[0]
    for node in body:
        if node.op_type == "Constant":
            continue
        variable = [v for v in node.inputs if v is not None and constant(v) is None]
        if variable != [current] or not _rises_or_falls(node):
            return False
        current = node.outputs[0]
    return current is body.outputs[0]


def _rises_or_falls(node: ir.Node) -> bool:
    if node.op_type not in _MONOTONE:
        return False
    if node.op_type == "Div":  # 1 / x jumps at 0
        return constant(node.inputs[1]) is not None
    if node.op_type in ("LeakyRelu", "Elu", "Selu", "HardSigmoid", "ThresholdedRelu"):
        numbers = [a.as_float() for a in node.attributes.values() if isinstance(a, ir.Attr)]
        return all(number >= 0 for number in numbers)
    if node.op_type == "PRelu":
        slopes = constant(node.inputs[1])
        return slopes is not None and bool((slopes >= 0).all())
    return True
