"""Weights of a float model that are a few integers times one scale per output channel."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant, is_op
from actc.numerics.weights import Granularity, QuantizedWeights, WeightFormat

Array = np.ndarray[Any, Any]

LAYERS = ("Conv", "Gemm", "MatMul")
_MOST = 127
_TERNARY = 1
_NOISE = 2.0**-21
_LEAST = 2.0**-12
"""Weights below this are compared exactly."""


def weight_rows(layer: ir.Node) -> Array | None:
    """The constant weights of a layer, output channels first; None where there are none."""
    weights = constant(layer.inputs[1])
    if weights is None or weights.dtype.kind != "f":
        return None
    if layer.op_type == "Conv":
        return weights
    if weights.ndim != 2 or _flag(layer, "transA"):
        return None
    return weights if _flag(layer, "transB") else np.ascontiguousarray(weights.T)


def exact_weights(layer: ir.Node) -> QuantizedWeights | None:
    """The weights of a layer as integers, where they are that exactly; else None.

    Binary and ternary weights are -1, 0 and 1 times a scale, but for the rounding of numbers of
    size 1 in float32, which a straight-through estimator leaves; others are integers of 8 bits.
    """
    rows = weight_rows(layer) if is_op(layer, *LAYERS) else None
    if rows is None or rows.size == 0 or not np.all(np.isfinite(rows)):
        return None
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    scales = np.abs(flat).max(axis=1)
    noise = np.where(scales > _LEAST, _NOISE * np.maximum(scales, 1.0), 0.0)[:, None]
    if not np.all((flat == 0) | (np.abs(np.abs(flat) - scales[:, None]) <= noise)):
        found = [_unit(row) for row in flat]
        if any(unit is None for unit in found):
            return None
        scales = np.array([unit or 0.0 for unit in found])
    scales = np.where(scales == 0, 1.0, scales)
    codes = np.rint(flat / scales[:, None])
    alpha = layer.attributes["alpha"].as_float() if "alpha" in layer.attributes else 1.0
    if alpha <= 0:
        return None
    held = codes.astype(np.int8).reshape(rows.shape)
    weights = QuantizedWeights(held, scales, np.zeros(len(scales)), _form(codes, scales))
    return weights if alpha == 1.0 else weights.scaled(np.full(len(scales), alpha))


def _unit(row: Array) -> float | None:
    """The largest number of which all weights are multiples, by integers of 8 bits."""
    sizes = np.unique(np.abs(row[row != 0]))
    if not len(sizes):
        return 0.0
    if len(sizes) > _MOST:
        return None
    unit = Fraction(float(sizes[-1]))
    largest = unit
    for size in sizes[::-1]:
        number = Fraction(float(size))
        below = unit.denominator * number.denominator
        above = math.gcd(unit.numerator * number.denominator, number.numerator * unit.denominator)
        unit = Fraction(above, below)
        if largest > _MOST * unit:
            return None
    return float(unit)


def _form(codes: Array, scales: Array) -> WeightFormat:
    most = int(np.abs(codes).max(initial=0))
    granularity: Granularity = "tensor" if np.all(scales == scales[:1]) else "channel"
    if most <= _TERNARY:
        return WeightFormat(2, True, granularity)
    return WeightFormat(min(max(most.bit_length() + 1, 3), 8), False, granularity)


def _flag(node: ir.Node, name: str) -> bool:
    return name in node.attributes and node.attributes[name].as_int() != 0
