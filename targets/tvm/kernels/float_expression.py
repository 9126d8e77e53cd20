"""ONNX's elementwise operators as TIR expressions of float32 lanes.

Values follow ONNX's reference: NaN passes through Relu, Clip, Min and Max,
comparisons with NaN are false, Round takes ties to even. Integers are float32
numbers without a fraction; comparisons give truth values, which TVM can neither
bind nor store, so that whoever uses one twice repeats it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import onnx_ir as ir
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.kernels import float_circular as circular
from actc.targets.tvm.kernels import float_math as m
from actc.targets.tvm.kernels.conv_vector import Expr

Rule: TypeAlias = Callable[[ir.Node, "list[Expr]"], Expr]
"""From the node (attributes, which inputs are absent) and the operands that are there."""


def _is_truth(value: Expr) -> bool:
    return str(value.ty.dtype).startswith("bool")


def _number(value: Expr) -> Expr:
    """A truth value as 1 or 0."""
    return T.Select(value, m.f32(1, value), m.f32(0, value)) if _is_truth(value) else value


def _as_truth(value: Expr) -> Expr:
    return value if _is_truth(value) else tirx.NE(value, m.f32(0, value))


def _attribute(node: ir.Node, name: str, default: float) -> float:
    found = node.attributes.get(name)
    return default if found is None else float(found.value)


def _unary(function: Callable[[Expr], Expr]) -> Rule:
    return lambda node, operands: function(_number(operands[0]))


def _binary(function: Callable[[Expr, Expr], Expr]) -> Rule:
    return lambda node, operands: function(_number(operands[0]), _number(operands[1]))


def _logical(function: Callable[[Expr, Expr], Expr]) -> Rule:
    return lambda node, operands: function(_as_truth(operands[0]), _as_truth(operands[1]))


def _fold(function: Callable[[Expr, Expr], Expr]) -> Rule:
    """A variadic operator, from left to right."""

    def rule(node: ir.Node, operands: list[Expr]) -> Expr:
        total = operands[0]
        for operand in operands[1:]:
            total = m.keep(function(total, operand))
        return total

    return rule


def _zero(x: Expr) -> Expr:
    return m.f32(0, x)


def _one(x: Expr) -> Expr:
    return m.f32(1, x)


def _bounded(x: Expr, low: Expr, high: Expr) -> Expr:
    """NaN stays, the upper bound wins."""
    raised = m.keep(T.Select(x < low, low, x))
    return T.Select(raised > high, high, raised)


def _clip(node: ir.Node, operands: list[Expr]) -> Expr:
    x, *bounds = operands
    given = [len(node.inputs) > k and node.inputs[k] is not None for k in (1, 2)]
    largest = float(np.finfo(np.float32).max)  # so an infinity becomes finite
    low = bounds.pop(0) if given[0] else m.f32(_attribute(node, "min", -largest), x)
    high = bounds.pop(0) if given[1] else m.f32(_attribute(node, "max", largest), x)
    return _bounded(x, low, high)


def _exponential_unit(x: Expr, alpha: float, width: float = 1.0) -> Expr:
    """``alpha * (exp(x / width) - 1)`` below 0."""
    power = m.exp(m.keep(x / m.f32(width, x)))
    return T.Select(x < _zero(x), m.f32(alpha, x) * (power - _one(x)), x)


def _celu(node: ir.Node, operands: list[Expr]) -> Expr:
    alpha = _attribute(node, "alpha", 1)
    return _exponential_unit(operands[0], alpha, alpha)


def _selu(node: ir.Node, operands: list[Expr]) -> Expr:
    x = operands[0]
    alpha = _attribute(node, "alpha", 1.67326319217681884765625)
    gamma = m.f32(_attribute(node, "gamma", 1.05070102214813232421875), x)
    return gamma * m.keep(_exponential_unit(x, alpha))


def _hard_sigmoid(x: Expr, alpha: float, beta: float) -> Expr:
    line = m.keep(m.f32(alpha, x) * x)
    return _bounded(m.keep(line + m.f32(beta, x)), _zero(x), _one(x))


def _gelu(node: ir.Node, operands: list[Expr]) -> Expr:
    x = operands[0]
    half = m.keep(m.f32(0.5, x) * x)
    form = node.attributes.get("approximate")
    if form is not None and form.value == "tanh":
        cube = m.keep(m.f32(0.044715, x) * x * x * x)
        bend = m.tanh(m.keep(m.f32(np.sqrt(2 / np.pi), x) * (x + cube)))
    else:
        bend = m.erf(m.keep(x * m.f32(np.sqrt(0.5), x)))
    return half * (_one(x) + bend)


def _leaky(x: Expr, slope: Expr) -> Expr:
    return T.Select(x < _zero(x), slope * x, x)


def _cast(node: ir.Node, operands: list[Expr]) -> Expr:
    value, wanted = operands[0], ir.DataType(node.attributes["to"].as_int())
    if wanted == ir.DataType.BOOL:
        return _as_truth(value)
    number = _number(value)
    if wanted not in (ir.DataType.INT32, ir.DataType.INT64):
        return number
    whole = m.rounded("trunc", m.keep(number))
    edge = 2.0 ** (31 if wanted == ir.DataType.INT32 else 63)
    inside = T.And(whole >= m.f32(-edge, whole), whole < m.f32(edge, whole))
    return T.Select(inside, whole, m.f32(-edge, whole))  # as x86 converts, NaN too


def _sign(x: Expr) -> Expr:
    other = T.Select(m.is_nan(x), x, _zero(x))
    return T.Select(x > _zero(x), _one(x), T.Select(x < _zero(x), m.f32(-1, x), other))


def _swish(node: ir.Node, operands: list[Expr]) -> Expr:
    x = operands[0]
    return x * m.sigmoid(m.keep(m.f32(_attribute(node, "alpha", 1), x) * x))


def _thresholded(node: ir.Node, operands: list[Expr]) -> Expr:
    x = operands[0]
    return T.Select(x > m.f32(_attribute(node, "alpha", 1), x), x, _zero(x))


def _where(node: ir.Node, operands: list[Expr]) -> Expr:
    condition, chosen, other = operands
    return T.Select(_as_truth(condition), _number(chosen), _number(other))


def _power(x: Expr, exponent: Expr) -> Expr:
    """Squares and cubes by multiplication."""
    value = exponent.value if isinstance(exponent, tirx.Broadcast) else exponent
    number = value.value if isinstance(value, tirx.FloatImm) else None
    if number == 2:
        return x * x
    return x * x * x if number == 3 else m.power(x, m.keep(exponent))


def _shrink(node: ir.Node, operands: list[Expr]) -> Expr:
    x = operands[0]
    bias, limit = _attribute(node, "bias", 0), _attribute(node, "lambd", 0.5)
    upper = T.Select(x > m.f32(limit, x), x - m.f32(bias, x), _zero(x))
    return T.Select(x < m.f32(-limit, x), x + m.f32(bias, x), upper)


def _is_infinite(node: ir.Node, operands: list[Expr]) -> Expr:
    x = operands[0]
    negative = bool(_attribute(node, "detect_negative", 1))
    positive = bool(_attribute(node, "detect_positive", 1))
    if negative == positive:
        return tirx.EQ(m.magnitude(x), m.f32(np.inf if positive else -1, x))
    return tirx.EQ(x, m.f32(np.inf if positive else -np.inf, x))


def _asin(x: Expr) -> Expr:
    """``2 atan(x / (1 + sqrt(1 - x**2)))``."""
    one = _one(x)
    leg = m.square_root(m.keep((one - x) * (one + x)))
    return m.f32(2, x) * m.atan(m.keep(x / (one + leg)))


def _acos(x: Expr) -> Expr:
    """``2 atan(sqrt((1 - x) / (1 + x)))``."""
    return m.f32(2, x) * m.atan(m.square_root(m.keep((_one(x) - x) / (_one(x) + x))))


def _log_of_double(x: Expr) -> Expr:
    return m.log(x) + m.f32(np.log(2), x)


def _asinh(x: Expr) -> Expr:
    one, size = _one(x), m.keep(m.magnitude(x))
    large = size > m.f32(2.0**30, x)
    small = m.keep(T.Select(large, one, size))
    square = m.keep(small * small)
    near = m.log1p(m.keep(small + square / (one + m.square_root(m.keep(square + one)))))
    value = m.keep(T.Select(large, _log_of_double(m.keep(T.Select(large, size, one))), near))
    return T.Select(m.is_nan(x), x, m.with_sign_of(value, x))


def _acosh(x: Expr) -> Expr:
    one = _one(x)
    large = x > m.f32(2.0**30, x)
    over = m.keep(T.Select(large, one, x) - one)
    near = m.log1p(m.keep(over + m.square_root(m.keep(over * (over + m.f32(2, x))))))
    value = T.Select(large, _log_of_double(m.keep(T.Select(large, x, one))), near)
    return T.Select(x < one, m.f32(np.nan, x), value)


def _atanh(x: Expr) -> Expr:
    size = m.keep(m.magnitude(x))
    ratio = m.keep((size + size) / m.keep(_one(x) - size))
    value = m.keep(m.f32(0.5, x) * m.log1p(ratio))
    return T.Select(size <= _one(x), m.with_sign_of(value, x), m.f32(np.nan, x))


def _sinh(x: Expr) -> Expr:
    """From exp(x) - 1 where that is accurate, from its series below 1."""
    size, half = m.keep(m.magnitude(x)), m.f32(0.5, x)
    # exp(size / 2) twice, because exp(size) itself overflows first.
    root = m.exp(m.keep(size * half))
    far = m.keep(m.keep(half * root) * root - m.keep(half / root) / root)
    square = m.keep(x * x)
    series = _one(x)
    for k in (72, 42, 20, 6):
        series = m.keep(series * square * m.f32(1 / k, x) + _one(x))
    return T.Select(size < _one(x), series * x, m.with_sign_of(far, x))


def _cosh(x: Expr) -> Expr:
    half = m.f32(0.5, x)
    root = m.exp(m.keep(m.magnitude(x) * half))
    return m.keep(half * root) * root + m.keep(half / root) / root


RULES: dict[str, Rule] = {
    "Abs": _unary(m.magnitude),
    "Acos": _unary(_acos),
    "Acosh": _unary(_acosh),
    "Add": _binary(lambda a, b: a + b),
    "And": _logical(lambda a, b: T.And(a, b)),
    "Asin": _unary(_asin),
    "Asinh": _unary(_asinh),
    "Atan": _unary(m.atan),
    "Atanh": _unary(_atanh),
    "Cast": _cast,
    "Ceil": _unary(lambda x: m.rounded("ceil", x)),
    "Celu": _celu,
    "Clip": _clip,
    "Cos": _unary(circular.cos),
    "Cosh": _unary(_cosh),
    "Div": _binary(lambda a, b: a / b),
    "Elu": lambda n, o: _exponential_unit(o[0], _attribute(n, "alpha", 1)),
    "Equal": _binary(lambda a, b: tirx.EQ(a, b)),
    "Erf": _unary(m.erf),
    "Exp": _unary(m.exp),
    "Floor": _unary(lambda x: m.rounded("floor", x)),
    "Gelu": _gelu,
    "Greater": _binary(lambda a, b: a > b),
    "GreaterOrEqual": _binary(lambda a, b: a >= b),
    "HardSigmoid": lambda n, o: _hard_sigmoid(
        o[0], _attribute(n, "alpha", 0.2), _attribute(n, "beta", 0.5)
    ),
    "HardSwish": _unary(lambda x: x * _hard_sigmoid(x, 1 / 6, 0.5)),
    "Identity": lambda n, o: o[0],
    "IsInf": _is_infinite,
    "IsNaN": _unary(m.is_nan),
    "LeakyRelu": lambda n, o: _leaky(o[0], m.f32(_attribute(n, "alpha", 0.01), o[0])),
    "Less": _binary(lambda a, b: a < b),
    "LessOrEqual": _binary(lambda a, b: a <= b),
    "Log": _unary(m.log),
    "Max": _fold(m.maximum),
    "Mean": lambda n, o: _fold(lambda a, b: a + b)(n, o) / m.f32(len(o), o[0]),
    "Min": _fold(m.minimum),
    "Mish": _unary(lambda x: x * m.tanh(m.softplus(x))),
    "Mul": _binary(lambda a, b: a * b),
    "Neg": _unary(m.negated),
    "Not": lambda n, o: T.Not(_as_truth(o[0])),
    "Or": _logical(lambda a, b: T.Or(a, b)),
    "PRelu": _binary(_leaky),
    "Pow": _binary(_power),
    "Reciprocal": _unary(lambda x: _one(x) / x),
    "Relu": _unary(lambda x: T.Select(x < _zero(x), _zero(x), x)),
    "Round": _unary(lambda x: m.rounded("roundeven", x)),
    "Selu": _selu,
    "Shrink": _shrink,
    "Sigmoid": _unary(m.sigmoid),
    "Sign": _unary(_sign),
    "Sin": _unary(circular.sin),
    "Sinh": _unary(_sinh),
    "Softplus": _unary(m.softplus),
    "Softsign": _unary(lambda x: x / (_one(x) + m.magnitude(x))),
    "Sqrt": _unary(m.square_root),
    "Sub": _binary(lambda a, b: a - b),
    "Sum": _fold(lambda a, b: a + b),
    "Swish": _swish,
    "Tan": _unary(circular.tan),
    "Tanh": _unary(m.tanh),
    "ThresholdedRelu": _thresholded,
    "Where": _where,
    "Xor": _binary(lambda a, b: tirx.NE(a, b)),
}
"""ONNX operator -> its expression."""
