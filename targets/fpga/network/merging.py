"""Merged tables: functions of one wire times weights, as one table per output.

A spline layer adds up ``w[o, g] * f_g(x)`` over many functions of the same input. Per output
that is again one function of x (a Kolmogorov-Arnold network has one per edge), and for a
narrow x its table costs less than the products.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range, Wire
from actc.targets.fpga.network.builder import Builder
from actc.targets.fpga.network.elements import Element
from actc.targets.fpga.network.estimate import signed_digits

Integers = npt.NDArray[np.int64]

WIDEST = 8
"""Bits of inputs whose tables are considered."""


def merged(
    builder: Builder, matrix: Integers, elements: Sequence[Element]
) -> tuple[Integers, list[Element]]:
    """A product that gives the same, with tables per output where they cost less.

    Returns:
        the matrix, with one column per element, and the elements.
    """
    columns: list[Integers] = []
    kept: list[Element] = []
    for members in _groups(elements):
        part, sources = matrix[:, members], [elements[index] for index in members]
        edges = _edges(part, sources)
        if edges is None or not _gains(part, sources, edges):
            columns += list(part.T)
            kept += sources
            continue
        for output, function in edges.items():
            column = np.zeros(len(matrix), np.int64)
            column[output] = 1
            columns.append(column)
            kept.append(builder.pending(sources[0].wire, builder.shared(function)))
    joined = np.array(columns, np.int64).reshape(len(columns), len(matrix)).T
    return joined, kept


def _groups(elements: Sequence[Element]) -> list[list[int]]:
    """Indices of elements of the same wire."""
    found: dict[int, list[int]] = {}
    for index, element in enumerate(elements):
        found.setdefault(element.wire.index, []).append(index)
    return list(found.values())


def _edges(matrix: Integers, elements: Sequence[Element]) -> dict[int, StepFunction] | None:
    """For each output that reads these elements, of one wire, their weighted sum."""
    wire = elements[0].wire
    if wire.value is not None or wire.width > WIDEST:
        return None
    if all(element.function is None for element in elements):
        return None
    values = np.array([_values(element, wire.range) for element in elements])
    sums = matrix @ values
    return {
        int(output): StepFunction.of(wire.range, sums[output])
        for output in np.flatnonzero(matrix.any(axis=1))
    }


def _values(element: Element, range: Range) -> Integers:
    inputs = np.arange(range.low, range.high + 1)
    inner = inputs if element.function is None else element.function.evaluate(inputs)
    return np.asarray(element.factor * inner + element.offset, np.int64)


def _gains(matrix: Integers, elements: Sequence[Element], edges: dict[int, StepFunction]) -> bool:
    wire: Wire = elements[0].wire
    tables = sum(_table_cost(wire.width, edge) + _width(edge) for edge in edges.values())
    functions = sum(
        _table_cost(wire.width, element.function)
        for element in elements
        if element.function is not None
    )
    widths = {output: _width(edge) for output, edge in edges.items()}
    terms = sum(
        int(signed_digits(matrix[output]).sum()) * width for output, width in widths.items()
    )
    return tables < functions + terms * _SHARED


_SHARED = 0.6
"""Adders that are left of those of single signed digits, by sharing."""


def _width(function: StepFunction) -> int:
    return (function.hull.plus(-function.hull.low)).width


def _table_cost(bits: int, function: StepFunction) -> float:
    """Four-input look-up tables of a table without structure."""
    return _width(function) * max(1.0, 1.5 * 2.0 ** (bits - 4) - 0.5)
