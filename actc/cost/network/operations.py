"""Logic cells of the operations of an unrolled integer network, one result each.

Sums and products with constants are those of `actc.cost.network.sums`, fitted to
synthesis; activation units are those of `actc.cost`, fitted likewise. Requantizations,
saturation and maxima follow from how they are built, stated at each.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from actc.approx.candidates import Variant, candidates
from actc.approx.fixed_point import FixedPoint
from actc.approx.function import ScalarFunction
from actc.approx.gates import FixedFit, make_gates
from actc.cost.model import estimate
from actc.cost.network.sums import Rows, cells, matrix_rows, product_rows, sum_rows

Array = np.ndarray[Any, Any]

_FORMS = ("table", "compressed", "bipartite", "tree")
_SEARCHED_BITS = 8
"""Inputs up to which steps are an option: they are too many beyond."""
_GUARD_BITS = 2
_DIGIT_DENSITY = 1 / 3
"""Share of the non-adjacent form's digits that are not 0, of random numbers (Reitwiesner)."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The cheapest exact form of an integer function.

    Attributes:
        form: "table", "compressed", "bipartite", "thresholds" or "tree".
        cells: logic cells, estimated.
    """

    form: str
    cells: int


def matrix_cells(codes: Array, input_bits: int, family: str) -> float:
    """Of ``codes @ x``, all outputs.

    Args:
        codes: integers [outputs, inputs].
        input_bits: of each x, unsigned.
        family: a name of :data:`actc.cost.FAMILIES`.
    """
    return cells(matrix_rows(codes, input_bits), family)


def requantize_cells(width: int, bits: int, family: str) -> float:
    """Of a number of `width` bits, multiplied, shifted, rounded and saturated to `bits`.

    The multiplier has two bits more than the result, of which a third are signed digits
    that are not 0. Saturation takes a table per bit of the result, and one for every
    three bits above it.
    """
    digits = max(1, math.ceil((bits + _GUARD_BITS) * _DIGIT_DENSITY))
    above = max(width - bits, 0)
    return cells(sum_rows([width] * digits), family) + bits + above / 3


def add_cells(widths: Sequence[int], family: str) -> float:
    """Of a sum of variables of so many bits."""
    return cells(sum_rows(widths), family)


def product_cells(first: int, second: int, family: str) -> float:
    """Of a product of two variables; a partial product is inside the table that adds it."""
    return cells(product_rows(first, second), family)


def maximum_cells(bits: int, family: str) -> float:
    """Of the larger one of two numbers: a carry chain to compare, a table per bit to choose."""
    return cells(Rows(adder_bits=bits), family) + bits


def unit_cells(values: Array, output_bits: int, family: str) -> Unit:
    """The cheapest form that gives exactly these codes.

    Args:
        values: int64 [2**input bits], output codes, by input code.
        output_bits: bits of the output codes, unsigned.
        family: a name of :data:`actc.cost.FAMILIES`.
    """
    codes = np.ascontiguousarray(values, np.int64)
    return _unit(codes.tobytes(), output_bits, family)


@functools.lru_cache(maxsize=4096)
def _unit(codes: bytes, output_bits: int, family: str) -> Unit:
    values = np.frombuffer(codes, np.int64)
    bits = len(values).bit_length() - 1
    function = ScalarFunction("codes", lambda x: values[x.astype(np.int64)].astype(np.float64))
    source, target = FixedPoint(False, bits, 0), FixedPoint(False, output_bits, 0)
    gates = make_gates(function, source, target, "correctly_rounded")
    forms = [*_FORMS, "thresholds"] if bits <= _SEARCHED_BITS else _FORMS
    found = []
    for candidate in candidates(gates, [Variant(form) for form in forms]):
        if isinstance(candidate.found, FixedFit):
            cost = estimate(candidate.found.form, family).total
            found.append(Unit(candidate.variant.form, cost))
    return min(found, key=lambda unit: unit.cells)
