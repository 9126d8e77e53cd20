"""What LSTM and GRU steps share: formats, and the errors of their pieces.

A step is elementwise: the matrix products in front of the gates are exact in integers
and no part of it. All pieces of a step share q fraction bits; sigmoids and tanhs lie
within -1..1, and so do their pieces, because faithful gates do not leave the codes around
the function.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from actc.approx.fixed_point import FixedPoint
from actc.approx.function import Float64Array
from actc.approx.gates import FixedFit
from actc.approx.structured.decomposition import magnitude, outward
from actc.approx.structured.glu import activation
from actc.approx.structured.pieces import (
    MAX_PIECE_BITS,
    MAX_PIECE_FRACTION,
    Fitter,
    Piece,
    table_size,
)


class Drift(NamedTuple):
    """Errors after some steps, as real numbers: of the cell (0 for GRU) and the output."""

    cell: float
    hidden: float


def sigmoid(x: float) -> float:
    """Of one number."""
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def top(format: FixedPoint) -> float:
    """Largest magnitude of a value."""
    return magnitude(format) * format.ulp


def activation_error(fit: FixedFit[Any], name: str) -> float:
    """Largest error of a fit of a catalogue function."""
    return activation(name, fit.gates.input, fit.gates.output).fitted(fit)


def sigmoid_format(fraction: int) -> FixedPoint:
    """0 to 1, 1 included."""
    return FixedPoint(False, fraction + 1, fraction)


def tanh_format(fraction: int) -> FixedPoint:
    """-1 to 1, 1 included."""
    return FixedPoint(True, fraction + 2, fraction)


def logistic(x: Float64Array) -> Float64Array:
    """The sigmoid, without overflow."""
    return np.asarray((1 + np.tanh(x / 2)) / 2, np.float64)


def inner_format(bits: int, reach: float, output: FixedPoint) -> FixedPoint:
    """So many bits, over the range of the argument or until tanh is 1 to 1/16 ulp."""
    whole = 0
    while 2.0**whole <= reach and 1 - math.tanh(2.0**whole) > output.ulp / 16:
        whole += 1
    return FixedPoint(True, bits, bits - 1 - whole)


def argument_error(inner: FixedPoint, reach: float) -> float:
    """What tanh may change if its argument, up to `reach`, is rounded to a format.

    An argument rounds by half a unit, or else ends at the format's last value I, where
    tanh changes by at most 1 - tanh(I), and by at most the distance.
    """
    end = inner.high * inner.ulp
    lost = min(1 - math.tanh(end), max(reach - end, 0.0))
    return max(inner.ulp / 2, lost) + 2.0**-50


def cheapest_first(input: FixedPoint) -> list[tuple[int, int]]:
    """All (q, bits of the inner format), by the size of a step's three tables."""
    found = itertools.product(range(2, MAX_PIECE_FRACTION - 1), range(4, MAX_PIECE_BITS + 1))

    def size(widths: tuple[int, int]) -> float:
        q, bits = widths
        return 2 * table_size(input.bits, q + 1) + table_size(bits, q + 2)

    return sorted(found, key=size)


def worst(pieces: Mapping[str, Piece]) -> dict[str, float]:
    """Errors of any fits within the gates."""
    return {role: piece.worst for role, piece in pieces.items()}


def fit_all(pieces: Mapping[str, Piece], fitter: Fitter) -> dict[str, FixedFit[Any]]:
    """The fits."""
    return {role: fitter(piece.gates) for role, piece in pieces.items()}


def total(terms: Mapping[str, float]) -> float:
    """Sum of terms, rounded up as a decomposition rounds its bound."""
    return outward(outward(sum(terms.values())))
