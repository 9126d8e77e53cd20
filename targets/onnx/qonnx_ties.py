"""Ties of sums in QONNX models.

Golden rounds ties towards plus infinity, Quant to even. Where scales are powers of two,
sums lie on a grid of which the ties are points; half a step of that grid on top moves every
sum off them without moving any across one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.formats import narrow_parameters_of, parameters_of
from actc.ir.graph import constant, dims, is_op
from actc.numerics.quantization import QuantizationParameters
from actc.targets.onnx.qonnx_nodes import DOMAIN, MOVES

Array = np.ndarray[Any, Any]


def half_step(ratio: Array) -> Array:
    """What to add to sums, in their own steps, so that none is a tie: 0.5 or 0.

    Args:
        ratio: step of the sum over step of the result, any shape. Only where it is a
            power of two below 1 are ties points of the grid.
    """
    mantissa, _ = np.frexp(ratio)
    return np.where((mantissa == 0.5) & (np.asarray(ratio) < 1), 0.5, 0.0)


def between_ties(value: ir.Value, p: QuantizationParameters) -> float | None:
    """The number to add to a sum, product or mean of tensors; None for nothing.

    Args:
        p: the format that the result is rounded to.
    """
    unit = _unit(value) if value.producer() is not None else None
    half = 0.0 if unit is None else float(half_step(np.array(unit / p.scale)))
    return half * unit if unit is not None and half else None


def _unit(value: ir.Value) -> float | None:
    """The number of which every value that occurs is a multiple, None where not known."""
    node, array = value.producer(), constant(value)
    if is_op(node, "Quant", domain=DOMAIN) or is_op(node, *MOVES):
        parameters = narrow_parameters_of(value) or parameters_of(value)
        return None if parameters is None else parameters.scale
    if node is None or node.domain != "" or array is not None:
        return None
    if is_op(node, "GlobalAveragePool", "ReduceMean"):
        unit = None if node.inputs[0] is None else _unit(node.inputs[0])
        return None if unit is None else unit / _count(node)
    if not is_op(node, "Add", "Sub", "Mul", "MatMul"):
        return None
    factors = [_factor(source) for source in node.inputs if source is not None]
    units = [unit for unit in factors if unit is not None]
    if len(units) < len(factors):
        return None
    if is_op(node, "Mul", "MatMul"):
        return float(np.prod(units))
    # A sum lies on the finer grid only if that divides the other one.
    whole = float(max(units) / min(units))
    return min(units) if whole == round(whole) else None


def _factor(value: ir.Value) -> float | None:
    """The unit of an operand; a number that multiplies is its own."""
    array = constant(value)
    if array is not None:
        return float(array.item()) if array.size == 1 and float(array.item()) > 0 else None
    return _unit(value)


def _count(node: ir.Node) -> float:
    """How many numbers a mean is of; NaN where that is not known."""
    before, after = dims(node.inputs[0]), dims(node.outputs[0])
    if before is None or after is None or None in (*before[1:], *after[1:]):
        return float("nan")
    sizes = [np.prod([extent or 1 for extent in shape[1:]]) for shape in (before, after)]
    return float(sizes[0] / sizes[1])
