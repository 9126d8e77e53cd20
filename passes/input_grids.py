"""Inputs whose data lie on a grid: multiples of one number, as pixels of k / 255 are."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.context import Context
from actc.ir.formats import annotate, parameters_of
from actc.numerics.quantization import QuantizationParameters

Array = np.ndarray[Any, Any]

_BITS = 8
_DIVISORS = (1, 2, 3, 4, 5)
_ROUNDING = 2.0**-21
"""Relative error of a number that float32 arithmetic gives for a multiple."""


def keep_grids(graph: ir.Graph, context: Context) -> list[str]:
    """Give every float input whose data lie on a grid the format of this grid.

    Returns:
        the names of the float inputs that lie on none.
    """
    rest = []
    for value in graph.inputs:
        array = getattr(context.dataset, "inputs", {}).get(str(value.name))
        if array is None or value.dtype != ir.DataType.FLOAT:
            continue
        found = grid_format(np.asarray(array))
        if found is None:
            rest.append(str(value.name))
        else:
            annotate(value, found)
    return rest


def grid_format(data: Array) -> QuantizationParameters | None:
    """The format of 8 bits that holds all numbers of `data` but for float32 rounding."""
    numbers = np.unique(np.append(data.reshape(-1), 0.0).astype(np.float64))
    if len(numbers) < 2 or not np.all(np.isfinite(numbers)):
        return None
    most = 2**_BITS - 1
    if len(numbers) > 4 * most:
        return None
    gaps = np.diff(numbers)
    size = np.abs(numbers).max()
    gap = float(gaps[gaps > size * _ROUNDING * 4].min(initial=size))
    for divisor in _DIVISORS:
        codes = np.rint(numbers / (gap / divisor))
        if np.ptp(codes) > most:
            return None
        largest = np.abs(codes).argmax()
        scale = float(np.float32(numbers[largest] / codes[largest]))
        if np.all(np.abs(codes * scale - numbers) <= _ROUNDING * np.abs(numbers)):
            return QuantizationParameters(scale, -int(codes.min()), bits=_BITS)
    return None


def keeps_grid(value: ir.Value | None) -> bool:
    """Whether `value` is an input with the format of its data's grid."""
    return value is not None and value.is_graph_input() and parameters_of(value) is not None
