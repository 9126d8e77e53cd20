"""ONNX's elementwise operators on enclosures (:mod:`actc.bounds.interval`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from scipy import special

from actc.bounds import interval
from actc.bounds.interval import Span, add, constant, maximum, minimum, multiply, negate, smooth

Array = np.ndarray[Any, Any]
Attributes = Mapping[str, Any]
Operands = Sequence[Span | None]
Rule = Callable[[Operands, Attributes], Span]


class NotEnclosed(Exception):
    """An operator, or a use of it, that has no enclosure here."""


def _given(operand: Span | None) -> Span:
    if operand is None:
        raise NotEnclosed("a required input is absent")
    return operand


def _one(rule: Callable[[Span], Span]) -> Rule:
    return lambda operands, attributes: rule(_given(operands[0]))


def _two(rule: Callable[[Span, Span], Span]) -> Rule:
    return lambda operands, attributes: rule(_given(operands[0]), _given(operands[1]))


def _fold(rule: Callable[[Span, Span], Span]) -> Rule:
    def run(operands: Operands, attributes: Attributes) -> Span:
        found = _given(operands[0])
        for other in operands[1:]:
            found = rule(found, _given(other))
        return found

    return run


def _number(value: float) -> Span:
    return constant(np.array(float(value)))


def _sigmoid_slope(x: Array) -> Array:
    return np.asarray(special.expit(x) * special.expit(-x))


def sigmoid(a: Span) -> Span:
    """1 / (1 + exp(-a))."""
    return smooth(a, interval.rising(special.expit), interval.peaked(_sigmoid_slope))


def tanh(a: Span) -> Span:
    """tanh(a)."""
    return smooth(a, interval.rising(np.tanh), interval.peaked(lambda x: 1 / np.cosh(x) ** 2))


def erf(a: Span) -> Span:
    """The error function."""
    slope = interval.peaked(lambda x: 2 / math.sqrt(math.pi) * np.exp(-x * x))
    return smooth(a, interval.rising(special.erf), slope)


def exp(a: Span) -> Span:
    """e^a."""
    return smooth(a, interval.rising(np.exp), interval.rising(np.exp))


def _expm1(a: Span) -> Span:
    return smooth(a, interval.rising(np.expm1), interval.rising(np.exp))


def softplus(a: Span) -> Span:
    """log(1 + e^a)."""
    values = interval.rising(lambda x: np.logaddexp(0.0, x))
    return smooth(a, values, interval.rising(special.expit))


def _log(a: Span) -> Span:
    def slopes(low: Array, high: Array) -> interval.Pair:
        found = interval.outwards(1 / high, 1 / low)
        return found[0], np.where(low > 0, found[1], np.inf)

    return smooth(a, interval.rising(np.log), slopes)


def sqrt(a: Span) -> Span:
    """The square root."""

    def slopes(low: Array, high: Array) -> interval.Pair:
        found = interval.outwards(0.5 / np.sqrt(high), 0.5 / np.sqrt(np.maximum(low, 0.0)))
        return found[0], np.where(low > 0, found[1], np.inf)

    return smooth(a, interval.rising(np.sqrt), slopes, kernel=False)


def reciprocal(a: Span) -> Span:
    """1 / a."""

    def values(low: Array, high: Array) -> interval.Pair:
        ends = interval.outwards(1 / high, 1 / low)
        inside = (low <= 0) & (high >= 0)
        return np.where(inside, -np.inf, ends[0]), np.where(inside, np.inf, ends[1])

    def slopes(low: Array, high: Array) -> interval.Pair:
        ends = -1 / low**2, -1 / high**2
        found = interval.outwards(np.minimum(*ends), np.maximum(*ends))
        return np.where((low <= 0) & (high >= 0), -np.inf, found[0]), found[1]

    return smooth(a, values, slopes, kernel=False)


def _sin(a: Span) -> Span:
    return smooth(a, interval.waves(np.sin, np.pi / 2), interval.waves(np.cos, 0.0))


def _cos(a: Span) -> Span:
    slope = interval.waves(lambda x: -np.sin(x), -np.pi / 2)
    return smooth(a, interval.waves(np.cos, 0.0), slope)


def _atan(a: Span) -> Span:
    return smooth(a, interval.rising(np.arctan), interval.peaked(lambda x: 1 / (1 + x * x)))


def _absolute(a: Span) -> Span:
    return maximum(a, negate(a))


def subtract(a: Span, b: Span) -> Span:
    """a - b."""
    return add(a, negate(b))


def divide(a: Span, b: Span) -> Span:
    """a / b."""
    return multiply(a, reciprocal(b))


def relu(a: Span) -> Span:
    """max(a, 0)."""
    return maximum(a, _number(0.0))


def _clamped(a: Span, low: float, high: float) -> Span:
    return minimum(maximum(a, _number(low)), _number(high))


def _clip(operands: Operands, attributes: Attributes) -> Span:
    found = _given(operands[0])
    if len(operands) > 1 and operands[1] is not None:
        found = maximum(found, operands[1])
    if len(operands) > 2 and operands[2] is not None:
        found = minimum(found, operands[2])
    return found


def _bent(a: Span, slope: Span) -> Span:
    """a where a >= 0, slope * a elsewhere."""
    return add(relu(a), multiply(slope, minimum(a, _number(0.0))))


def _leaky(operands: Operands, attributes: Attributes) -> Span:
    return _bent(_given(operands[0]), _number(attributes.get("alpha", 0.01)))


def _exponential(a: Span, alpha: float, width: float = 1.0, gain: float = 1.0) -> Span:
    """gain * (a where a >= 0, alpha * expm1(a / width) elsewhere)."""
    inner = _expm1(multiply(minimum(a, _number(0.0)), _number(1 / width)))
    return multiply(_number(gain), add(relu(a), multiply(_number(alpha), inner)))


def _elu(operands: Operands, attributes: Attributes) -> Span:
    return _exponential(_given(operands[0]), attributes.get("alpha", 1.0))


def _celu(operands: Operands, attributes: Attributes) -> Span:
    alpha = attributes.get("alpha", 1.0)
    return _exponential(_given(operands[0]), alpha, width=alpha)


def _selu(operands: Operands, attributes: Attributes) -> Span:
    alpha = attributes.get("alpha", 1.67326319217681884765625)
    gamma = attributes.get("gamma", 1.05070102214813232421875)
    return _exponential(_given(operands[0]), alpha, gain=gamma)


def _gelu(operands: Operands, attributes: Attributes) -> Span:
    x = _given(operands[0])
    if attributes.get("approximate", "none") == "tanh":
        cubic = multiply(_number(0.044715), _whole_power(x, 3))
        inner = tanh(multiply(_number(math.sqrt(2 / math.pi)), add(x, cubic)))
    else:
        inner = erf(multiply(x, _number(1 / math.sqrt(2.0))))
    return multiply(multiply(_number(0.5), x), add(_number(1.0), inner))


def _swish(operands: Operands, attributes: Attributes) -> Span:
    x = _given(operands[0])
    return multiply(x, sigmoid(multiply(_number(attributes.get("alpha", 1.0)), x)))


def _hard_sigmoid(operands: Operands, attributes: Attributes) -> Span:
    slope, offset = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
    return _clamped(add(multiply(_number(slope), _given(operands[0])), _number(offset)), 0.0, 1.0)


def _hard_swish(a: Span) -> Span:
    line = add(multiply(a, _number(1 / 6)), _number(0.5))
    return multiply(a, _clamped(line, 0.0, 1.0))


def _thresholded(operands: Operands, attributes: Attributes) -> Span:
    x, alpha = _given(operands[0]), _number(attributes.get("alpha", 1.0))
    return interval.select(interval.below(alpha, x, strict=True), x, _number(0.0))


def _shrink(operands: Operands, attributes: Attributes) -> Span:
    x, bias = _given(operands[0]), _number(attributes.get("bias", 0.0))
    threshold = attributes.get("lambd", 0.5)
    right = interval.below(_number(threshold), x, strict=True)
    left = interval.below(x, _number(-threshold), strict=True)
    outer = interval.select(right, subtract(x, bias), _number(0.0))
    return interval.select(left, add(x, bias), outer)


def _whole_power(a: Span, exponent: int) -> Span:
    def power(low: Array, high: Array, n: int) -> interval.Pair:
        ends = low**n, high**n
        bottom, top = np.minimum(*ends), np.maximum(*ends)
        crossing = (low <= 0) & (high >= 0) & (n % 2 == 0)
        return interval.outwards(np.where(crossing, 0.0, bottom), top)

    if exponent == 0:
        return _number(1.0)

    def slopes(low: Array, high: Array) -> interval.Pair:
        factor = np.array(float(exponent))
        return interval.times((factor, factor), power(low, high, exponent - 1))

    return smooth(a, lambda low, high: power(low, high, exponent), slopes)


def _power(a: Span, b: Span) -> Span:
    if b.low.size != 1 or np.any(b.low != b.high) or np.any(b.error):
        raise NotEnclosed("Pow with an exponent that is no single constant")
    exponent = float(b.low.reshape(-1)[0])
    if exponent == round(exponent) and 0 <= exponent <= 64:
        return _whole_power(a, int(exponent))
    if exponent == round(exponent) and -64 <= exponent < 0:
        return reciprocal(_whole_power(a, -int(exponent)))
    if exponent == 0.5:
        return sqrt(a)
    return exp(multiply(_number(exponent), _log(a)))


def _cast(operands: Operands, attributes: Attributes) -> Span:
    to = ir.DataType(attributes["to"])
    x = _given(operands[0])
    if to in (ir.DataType.FLOAT, ir.DataType.DOUBLE):
        return x
    if to == ir.DataType.BOOL:
        return _not(interval.equal(x, _number(0.0)))
    raise NotEnclosed(f"Cast to {to.name.lower()}")


def _not(a: Span) -> Span:
    return Span(1 - a.high, 1 - a.low, a.steep, a.jump, a.error)


def _round(f: Callable[[Array], Array]) -> Rule:
    return _one(lambda a: interval.stairs(a, f))


def _compare(strict: bool, swapped: bool) -> Rule:
    def run(operands: Operands, attributes: Attributes) -> Span:
        a, b = _given(operands[0]), _given(operands[1])
        return interval.below(b, a, strict) if swapped else interval.below(a, b, strict)

    return run


RULES: dict[str, Rule] = {
    "Abs": _one(_absolute),
    "Add": _two(add),
    "And": _two(minimum),
    "Atan": _one(_atan),
    "Cast": _cast,
    "Ceil": _round(np.ceil),
    "Celu": _celu,
    "Clip": _clip,
    "Cos": _one(_cos),
    "Div": _two(divide),
    "Elu": _elu,
    "Equal": _two(interval.equal),
    "Erf": _one(erf),
    "Exp": _one(exp),
    "Floor": _round(np.floor),
    "Gelu": _gelu,
    "Greater": _compare(strict=True, swapped=True),
    "GreaterOrEqual": _compare(strict=False, swapped=True),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _one(_hard_swish),
    "Identity": _one(lambda a: a),
    "LeakyRelu": _leaky,
    "Less": _compare(strict=True, swapped=False),
    "LessOrEqual": _compare(strict=False, swapped=False),
    "Log": _one(_log),
    "Max": _fold(maximum),
    "Min": _fold(minimum),
    "Mish": _one(lambda a: multiply(a, tanh(softplus(a)))),
    "Mul": _two(multiply),
    "Neg": _one(negate),
    "Not": _one(_not),
    "Or": _two(maximum),
    "PRelu": _two(_bent),
    "Pow": _two(_power),
    "Reciprocal": _one(reciprocal),
    "Relu": _one(relu),
    "Round": _round(np.rint),
    "Selu": _selu,
    "Shrink": _shrink,
    "Sigmoid": _one(sigmoid),
    "Sign": _round(np.sign),
    "Sin": _one(_sin),
    "Softplus": _one(softplus),
    "Softsign": _one(lambda a: divide(a, add(_number(1.0), _absolute(a)))),
    "Sqrt": _one(sqrt),
    "Sub": _two(subtract),
    "Sum": _fold(add),
    "Swish": _swish,
    "Tanh": _one(tanh),
    "ThresholdedRelu": _thresholded,
    "Where": lambda operands, attributes: interval.select(
        _given(operands[0]), _given(operands[1]), _given(operands[2])
    ),
}
"""Operator type -> enclosure of its result."""
