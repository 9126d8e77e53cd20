"""Which values of a float model can only be one of a few numbers: signs, steps, square waves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.elementwise import EVALUATORS, attributes_of, is_elementwise
from actc.ir.graph import constant, is_op, scalar

Array = np.ndarray[Any, Any]
Few = frozenset[float]
"""The numbers that a value can be; False and True count as 0 and 1."""
Range = tuple[float, float]

MOST_VALUES = 16
_COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
_LOGIC = ("And", "Not", "Or", "Xor")
_BOUNDED = {"HardSigmoid": (0.0, 1.0), "Sigmoid": (0.0, 1.0), "Tanh": (-1.0, 1.0)}
_WHOLE = ("Ceil", "Floor", "Round")
_LARGEST_CODE = 127


def few_values(nodes: Iterable[ir.Node]) -> dict[ir.Value, Few]:
    """The computed values that can only be one of a few numbers, with these.

    Args:
        nodes: in topological order; a graph is one such.

    A sign or a comparison begins them, or the rounding of a number with two ends; operators
    without parameters per channel go on. The set may hold numbers that never come.
    """
    found: dict[ir.Value, Few] = {}
    ranges: dict[ir.Value, Range] = {}
    for node in nodes:
        number = _filled(node)
        if number is not None:
            found[node.outputs[0]] = frozenset((number,))
        if not is_elementwise(node):
            continue
        output = node.outputs[0]
        bounds = _range(node, ranges)
        if bounds is not None:
            ranges[output] = bounds
        few = _few(node, found, ranges)
        if few is not None and 0 < len(few) <= MOST_VALUES:
            found[output] = few
    return found


def grid_of(few: Few) -> tuple[float, int, int] | None:
    """A float32 scale of which all numbers are multiples, with the smallest and largest factor.

    Both factors' range holds zero. None where there is no such scale with factors of 8 bits.
    """
    sizes = [Fraction(abs(number)) for number in few if number]
    if not sizes or not all(math.isfinite(number) for number in few):
        return None
    denominator = math.lcm(*(size.denominator for size in sizes))
    numerator = math.gcd(*(int(size * denominator) for size in sizes))
    exact = float(Fraction(numerator, denominator))
    nearly = float(np.float32(min(float(size) for size in sizes)))
    for scale in (exact, nearly):
        factors = [round(number / scale) for number in few]
        small = all(abs(factor) <= _LARGEST_CODE for factor in factors)
        if small and float(np.float32(scale)) == scale and _meet(few, scale):
            return scale, min(0, *factors), max(0, *factors)
    return None


def uniform(value: ir.Value | None) -> float | None:
    """The number that all elements of a constant are; None if they differ."""
    number = scalar(value)
    if number is not None:
        return number
    array = constant(value)
    if array is None or array.size == 0:
        return None
    first = array.reshape(-1)[0]
    return float(first) if bool(np.all(array == first)) else None


def _filled(node: ir.Node) -> float | None:
    """The number that a tensor of some shape is filled with."""
    if is_op(node, "Expand"):
        return uniform(node.inputs[0])
    if not is_op(node, "ConstantOfShape"):
        return None
    attribute = node.attributes.get("value")
    return 0.0 if attribute is None else float(attribute.as_tensor().numpy().reshape(-1)[0])


def _meet(few: Few, scale: float) -> bool:
    """Whether float32 cannot tell the numbers from multiples of the scale."""
    return all(np.float32(round(x / scale) * scale) == np.float32(x) for x in few)


def _few(node: ir.Node, found: dict[ir.Value, Few], ranges: dict[ir.Value, Range]) -> Few | None:
    op = node.op_type
    sets = [_set(value, found) for value in node.inputs]
    if all(part is not None for part in sets):
        moving = any(value in found for value in node.inputs if value is not None)
        return _combined(node, [part for part in sets if part is not None]) if moving else None
    variable = [v for v in node.inputs if v is not None and constant(v) is None]
    if not variable or not all(_is_float(v) for v in variable if v not in found):
        return None
    if op == "Sign":
        return frozenset((-1.0, 0.0, 1.0))
    if op in _COMPARISONS:
        return frozenset((0.0, 1.0)) if len(variable) == 1 else None
    if op == "Where" and sets[1] is not None and sets[2] is not None:
        return None  # a condition from elsewhere
    if op in _WHOLE and variable[0] in ranges:
        low, high = (float(EVALUATORS[op]([np.array(e)], {})) for e in ranges[variable[0]])
        if high - low < MOST_VALUES:
            return frozenset(float(n) for n in range(int(low), int(high) + 1))
    return None


def _set(value: ir.Value | None, found: dict[ir.Value, Few]) -> Few | None:
    if value is None:
        return frozenset((math.nan,))
    if value in found:
        return found[value]
    number = uniform(value)
    return None if number is None else frozenset((number,))


def _is_float(value: ir.Value) -> bool:
    return value.dtype is None or value.dtype.is_floating_point()


def _combined(node: ir.Node, sets: list[Few]) -> Few | None:
    """What an operator makes of every combination."""
    if math.prod(map(len, sets)) > MOST_VALUES**2:
        return None
    op, results = node.op_type, set()
    for numbers in itertools.product(*map(sorted, sets)):
        inputs: list[Array | None] = [
            None if math.isnan(number) else np.array(number) for number in numbers
        ]
        flags = inputs if op in _LOGIC else inputs[:1] if op == "Where" else []
        for position, flag in enumerate(flags):
            inputs[position] = None if flag is None else flag.astype(bool)
        with np.errstate(all="ignore"):
            number = float(EVALUATORS[op](inputs, attributes_of(node)))
        if not math.isfinite(number):
            return None
        results.add(number + 0.0)
    return frozenset(results)


def _range(node: ir.Node, ranges: dict[ir.Value, Range]) -> Range | None:
    """Between which numbers a value lies, where its operator says so."""
    if node.op_type in _BOUNDED:
        return _BOUNDED[node.op_type]
    if node.op_type == "Clip" and len(node.inputs) > 2:
        low, high = scalar(node.inputs[1]), scalar(node.inputs[2])
        return None if low is None or high is None else (low, high)
    known = [value for value in node.inputs if value in ranges]
    if not is_op(node, "Add", "Sub", "Mul", "Div") or len(known) != 1:
        return None
    source = known[0]
    assert source is not None
    if len([v for v in node.inputs if v is not source]) != 1:
        return None
    if any(scalar(v) is None for v in node.inputs if v is not source):
        return None
    ends = []
    for end in ranges[source]:
        inputs = [np.array(end if v is source else scalar(v)) for v in node.inputs]
        with np.errstate(all="ignore"):
            ends.append(float(EVALUATORS[node.op_type](list(inputs), {})))
    return (min(ends), max(ends)) if all(map(math.isfinite, ends)) else None
