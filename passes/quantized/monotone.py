"""Whether a function is monotone, decided on its operators."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant

RISING = frozenset(
    {
        "Atan", "Cast", "Ceil", "Clip", "Elu", "Erf", "Floor", "HardSigmoid", "Identity",
        "LeakyRelu", "PRelu", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Softplus", "Softsign",
        "Tanh", "ThresholdedRelu",
    }
)  # fmt: skip
"""Operators that never fall in their first input, the others being constants."""
_SUMS = frozenset({"Add", "Max", "Mean", "Min", "Sum"})
"""Operators that rise in each input."""
COMPARISONS = {"Greater": 1, "GreaterOrEqual": 1, "Less": -1, "LessOrEqual": -1}
"""Operators that rise (1) or fall (-1) in their first input, and the other way in their second."""

_EITHER = math.inf
"""Rises in some channels and falls in others."""
_UNKNOWN = math.nan


def is_monotone(body: ir.Function) -> bool:
    """Whether a site's function rises or falls throughout, in every channel.

    Decided forwards: each value rises, falls, or does one of them in every channel; what
    joins such values may do so too. What is not decided counts as not monotone.
    """
    known: dict[ir.Value, float] = {body.inputs[0]: 1.0}
    for node in body:
        if node.op_type != "Constant":
            known[node.outputs[0]] = _direction(node, known)
    return abs(known.get(body.outputs[0], _UNKNOWN)) in (1.0, _EITHER)


def _direction(node: ir.Node, known: dict[ir.Value, float]) -> float:
    """1 where the result rises, -1 where it falls, 0 for a constant; else _EITHER or _UNKNOWN."""
    values = [value for value in node.inputs if value is not None]
    inputs = [known.get(v, 0.0 if constant(v) is not None else _UNKNOWN) for v in values]
    op = node.op_type
    if op in _SUMS:
        return _joined(inputs)
    if op == "Sub":
        return _joined([inputs[0], -inputs[1]])
    if op in COMPARISONS:
        return COMPARISONS[op] * _joined([inputs[0], -inputs[1]])
    if op in ("Neg", "Not"):
        return -inputs[0]
    if op == "Where":
        return _chosen(values, inputs)
    if op in ("Mul", "Div"):
        return _scaled(op, values, inputs)
    rises = op in RISING and not any(inputs[1:]) and has_rising_parameters(node)
    return inputs[0] if rises else _UNKNOWN


def _joined(directions: list[float]) -> float:
    """Of a sum."""
    moving = {abs(d) if math.isinf(d) else d for d in directions if d != 0}
    if len(moving) > 1 or any(math.isnan(d) for d in moving):
        return _UNKNOWN
    (direction,) = moving or {0.0}
    several = math.isinf(direction) and sum(d != 0 for d in directions) > 1
    return _UNKNOWN if several else direction


def _scaled(op: str, values: list[ir.Value], inputs: list[float]) -> float:
    """Of a product, or a quotient by a constant (1 / x jumps at 0)."""
    moving = [index for index, direction in enumerate(inputs) if direction != 0]
    if len(moving) != 1 or (op == "Div" and moving == [1]):
        return _UNKNOWN
    factor = constant(values[1 - moving[0]])
    if factor is None:
        return _UNKNOWN
    direction = inputs[moving[0]]
    if np.all(factor >= 0):
        return direction
    return -direction if np.all(factor <= 0) else direction * _EITHER


def _chosen(values: list[ir.Value], directions: list[float]) -> float:
    """Of a condition that chooses between constants."""
    first, second = (constant(value) for value in values[1:])
    if first is None or second is None:
        return _UNKNOWN
    if np.all(first >= second):
        return directions[0]
    return -directions[0] if np.all(first <= second) else directions[0] * _EITHER


def has_rising_parameters(node: ir.Node) -> bool:
    """Whether slopes and the like let an operator rise that rises with positive ones."""
    if node.op_type in ("LeakyRelu", "Elu", "Selu", "HardSigmoid", "ThresholdedRelu"):
        numbers = [a.as_float() for a in node.attributes.values() if isinstance(a, ir.Attr)]
        return all(number >= 0 for number in numbers)
    if node.op_type == "PRelu":
        slopes = constant(node.inputs[1])
        return slopes is not None and bool((slopes >= 0).all())
    return True
