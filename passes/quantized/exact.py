"""Functions between a layer and a quantizer in exact rational arithmetic.

Float64 misses ties: (s - mean) * gamma / deviation + beta is zero at a sum s in exact arithmetic,
and 1e-17 in float64, where a sign decides which of two codes comes. Operators that are rational
are evaluated in fractions here; float32 constants count as exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.elementwise import attributes_of
from actc.ir.graph import constant
from actc.ir.sites import SiteFunction
from actc.numerics.quantization import QuantizationParameters
from actc.passes.quantized.rounding import Affine, Staircase

Array = np.ndarray[Any, Any]
Number = Fraction | bool
Operator = Callable[[list[Any], dict[str, Any]], Any]

_MOST_LEVELS = 16
"""Codes up to which every step is decided exactly."""
_MOST_POINTS = 2**16
"""Values up to which a function that is not monotone is evaluated exactly."""


def _sign(x: Fraction) -> Fraction:
    return Fraction((x > 0) - (x < 0))


def _clip(v: list[Any], attributes: dict[str, Any]) -> Fraction:
    low, high = [*v[1:], None, None][:2]
    x: Fraction = v[0] if low is None else max(v[0], low)
    return Fraction(x if high is None else min(x, high))


def _cast(v: list[Any], attributes: dict[str, Any]) -> Number:
    to = ir.DataType(attributes["to"])
    if to == ir.DataType.BOOL:
        return bool(v[0] != 0)
    x = Fraction(v[0])
    return x if to.is_floating_point() else Fraction(int(x))


def _leaky(v: list[Any], attributes: dict[str, Any]) -> Fraction:
    slope = Fraction(float(attributes.get("alpha", np.float32(0.01))))
    return Fraction(slope * v[0] if v[0] < 0 else v[0])


def _total(v: list[Any], attributes: dict[str, Any]) -> Fraction:
    return sum(v, Fraction(0))


_OPERATORS: dict[str, Operator] = {
    "Abs": lambda v, a: abs(v[0]),
    "Add": lambda v, a: v[0] + v[1],
    "And": lambda v, a: v[0] and v[1],
    "Cast": _cast,
    "Clip": _clip,
    "Div": lambda v, a: v[0] / v[1],
    "Equal": lambda v, a: v[0] == v[1],
    "Greater": lambda v, a: v[0] > v[1],
    "GreaterOrEqual": lambda v, a: v[0] >= v[1],
    "Identity": lambda v, a: v[0],
    "LeakyRelu": _leaky,
    "Less": lambda v, a: v[0] < v[1],
    "LessOrEqual": lambda v, a: v[0] <= v[1],
    "Max": lambda v, a: max(v),
    "Min": lambda v, a: min(v),
    "Mul": lambda v, a: v[0] * v[1],
    "Neg": lambda v, a: -v[0],
    "Not": lambda v, a: not v[0],
    "Or": lambda v, a: v[0] or v[1],
    "PRelu": lambda v, a: v[1] * v[0] if v[0] < 0 else v[0],
    "Relu": lambda v, a: max(v[0], Fraction(0)),
    "Round": lambda v, a: Fraction(round(v[0])),
    "Sign": lambda v, a: _sign(v[0]),
    "Sub": lambda v, a: v[0] - v[1],
    "Sum": _total,
    "Where": lambda v, a: v[1] if v[0] else v[2],
    "Xor": lambda v, a: v[0] != v[1],
}


class Exact:
    """A site's function of an accumulator's real numbers, in fractions."""

    def __init__(self, affine: Affine, function: SiteFunction) -> None:
        self._affine = affine
        self._slots: dict[ir.Value, int] = {function.body.inputs[0]: 0}
        self._constants: dict[int, Array] = {}
        self._steps: list[tuple[Operator, list[int | None], dict[str, Any]]] = []
        self.rational = all(map(self._took, function.body))
        self._result = self._slots.get(function.body.outputs[0], 0)

    def _took(self, node: ir.Node) -> bool:
        """Take a node in; False where fractions cannot compute it."""
        slot = self._slots[node.outputs[0]] = len(self._slots)
        if node.op_type == "Constant":
            array = constant(node.outputs[0])
            if array is None or not np.all(np.isfinite(array)):
                return False
            self._constants[slot] = array.reshape(-1)
            return True
        inputs = [None if v is None else self._slots[v] for v in node.inputs]
        if node.op_type == "Div":
            divisor = self._constants.get(inputs[1] or 0)
            if divisor is None or not np.all(divisor):
                return False
        if node.op_type in _OPERATORS:
            self._steps.append((_OPERATORS[node.op_type], [slot, *inputs], attributes_of(node)))
        return node.op_type in _OPERATORS

    def of_channel(self, channel: int, p: QuantizationParameters) -> Callable[[int], int]:
        """The code of a sum, ties to even, in one channel."""
        factor, offset = (
            Fraction(float(a[channel])) for a in (self._affine.factor, self._affine.offset)
        )
        held: list[Any] = [None] * len(self._slots)
        for slot, array in self._constants.items():
            number = array[channel if array.size > 1 else 0].item()
            held[slot] = number if isinstance(number, bool) else Fraction(number)
        unit = Fraction(p.scale)

        def code(total: int) -> int:
            values = held
            values[0] = factor * total + offset
            for operator, (result, *inputs), attributes in self._steps:
                arguments = [None if slot is None else values[slot] for slot in inputs]
                values[result or 0] = operator(arguments, attributes)
            level = round(Fraction(values[self._result]) / unit) + p.zero_point
            return min(max(level, p.low), p.high)

        return code


def decide(stairs: Staircase, exact: Exact, bound: int, p: QuantizationParameters) -> None:
    """Move the points that float64 missed, in place.

    Args:
        stairs: what bisection in float64 found of a function that is monotone per channel.
        bound: sums lie within -bound .. bound.
    """
    if p.high - p.low > _MOST_LEVELS or not exact.rational:
        return
    for channel, (points, codes) in enumerate(zip(stairs.points, stairs.codes, strict=True)):
        sign = 1 if codes[0] <= codes[-1] else -1
        code = exact.of_channel(channel, p)
        for index, wanted in enumerate(codes[1:].tolist()):
            point = int(points[index])
            while point > -bound and (code(point - 1) - wanted) * sign >= 0:
                point -= 1
            while point <= bound and (code(point) - wanted) * sign < 0:
                point += 1
            points[index] = point


def exact_codes(
    exact: Exact, sums: Array, channels: int, p: QuantizationParameters
) -> Array | None:
    """Codes of every sum, int64 [n, C]; None where fractions cannot tell, or would take long."""
    if len(sums) * channels > _MOST_POINTS or not exact.rational:
        return None
    rows = [[code(total) for total in sums.tolist()] for code in _codes(exact, channels, p)]
    return np.asarray(np.array(rows, np.int64).T)


def _codes(
    exact: Exact, channels: int, p: QuantizationParameters
) -> Iterator[Callable[[int], int]]:
    return (exact.of_channel(channel, p) for channel in range(channels))
