"""Scalar pieces of structured functions: each on one octave, with its error.

A piece is asked for as gates and fitted by any fitter of fixed-point forms. Its error
is known before it is fitted: no form within the gates is worse than the worse of the
first and last admissible code at each input. So a search over widths needs no fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from actc.approx.bipartite import fit_bipartite
from actc.approx.compressed_table import fit_compressed_table
from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.fixed_table import fit_fixed_table
from actc.approx.function import Elementwise, Float64Array, ScalarFunction
from actc.approx.gates import MAX_INPUT_BITS, FixedFit, Gates, make_gates
from actc.approx.structured.decomposition import SLACK

Fitter = Callable[[Gates], FixedFit[Any]]
"""Fits a form within gates, such as :func:`smallest_table`."""

MAX_PIECE_BITS = MAX_INPUT_BITS
MAX_PIECE_FRACTION = 30
_COMPRESSED_INPUT, _COMPRESSED_OUTPUT = 10, 16


def smallest_table(gates: Gates) -> FixedFit[Any]:
    """The smallest of a bipartite, a compressed and a plain table.

    Compression searches over all parameters, whose number grows with the widths; it is
    tried where that takes well under a second.
    """
    found: list[FixedFit[Any]] = [fit_fixed_table(gates)]
    if gates.input.bits <= _COMPRESSED_INPUT and gates.output.bits <= _COMPRESSED_OUTPUT:
        found.append(fit_compressed_table(gates))
    bipartite = fit_bipartite(gates)
    if isinstance(bipartite, FixedFit):
        found.append(bipartite)
    return min(found, key=lambda fit: fit.form.storage_bits)


@dataclass(frozen=True, eq=False)
class Piece:
    """A scalar function on an interval of codes, with how its error is measured.

    Input code j stands for all arguments v in first[j]..last[j], between which the
    error is monotone: relative errors ``y * scale(v) - 1`` where the function is
    1/scale(v), or differences ``y - scale(v)``.

    Attributes:
        gates: what the form must keep to.
        first, last: float64 [n], ``scale`` at the ends of each interval.
        relative: which of the two errors.
    """

    gates: Gates
    first: Float64Array
    last: Float64Array
    relative: bool

    def error(self, outputs: Codes) -> float:
        """Largest error over all arguments if the codes have these outputs."""
        real = self.gates.output.to_real(outputs)
        largest = 0.0
        for end in (self.first, self.last):
            found = real * end - 1 if self.relative else real - end
            largest = max(largest, float(np.abs(found).max()))
        return largest + SLACK

    @property
    def worst(self) -> float:
        """Largest error of any form within the gates."""
        return max(self.error(self.gates.low), self.error(self.gates.high))

    def fitted(self, fit: FixedFit[Any]) -> float:
        """Largest error of a fit of this piece."""
        return self.error(fit.form.evaluate(self.gates.input.codes()))


def table_size(input_bits: int, output_bits: int) -> float:
    """Rough bits of a bipartite table: 2**(2/3 a) entries (Das Sarma and Matula, 1995)."""
    return output_bits * math.pow(2, 2 * input_bits / 3)


@lru_cache(maxsize=1024)
def exp2_piece(index: int, fraction: int) -> Piece:
    """2**-f for f = j * 2**-index in [0, 1), to `fraction` bits; 1 is exact."""
    source, result = FixedPoint(False, index, index), FixedPoint(False, fraction + 1, fraction)
    gates = _gates("2^-x", lambda f: np.exp2(-f), source, result)
    inverse = np.exp2(source.values())
    return Piece(gates, inverse, inverse, relative=True)


@lru_cache(maxsize=1024)
def reciprocal_piece(index: int, fraction: int) -> Piece:
    """1/v for v in [1, 2), of which the first `index` bits after the point are known."""
    source, result = FixedPoint(False, index, index), FixedPoint(False, fraction, fraction)
    half = source.ulp / 2
    gates = _gates("1/(1+x)", lambda f: 1 / (1 + f + half), source, result)
    first = 1 + source.values()
    return Piece(gates, first, first + source.ulp, relative=True)


@lru_cache(maxsize=1024)
def log_piece(index: int, fraction: int) -> Piece:
    """ln(v) for v in [1, 2), of which the first `index` bits after the point are known."""
    source, result = FixedPoint(False, index, index), FixedPoint(False, fraction, fraction)
    half = source.ulp / 2
    gates = _gates("log(1+x)", lambda f: np.log1p(f + half), source, result)
    first = source.values()
    return Piece(gates, np.log1p(first), np.log1p(first + source.ulp), relative=False)


@lru_cache(maxsize=1024)
def rsqrt_piece(index: int, fraction: int, numerator: float = 1.0) -> Piece:
    """sqrt(numerator/v) for v in [1, 4): input b + f stands for v = 2**b (1 + f).

    The input has one integer bit b, the parity of the exponent, and `index` bits f.
    `numerator` in [1, 4) is a factor of the argument, so that a division by it is free.
    """
    source = FixedPoint(False, index + 1, index)
    result = FixedPoint(False, fraction + 1, fraction)

    def mantissa(x: Float64Array, more: float) -> Float64Array:
        whole = np.floor(x)
        return np.exp2(whole) * (1 + (x - whole) + more)

    gates = _gates(
        "rsqrt", lambda x: np.sqrt(numerator / mantissa(x, source.ulp / 2)), source, result
    )
    first, last = (np.sqrt(mantissa(source.values(), e) / numerator) for e in (0.0, source.ulp))
    return Piece(gates, first, last, relative=True)


def activation_piece(
    name: str, function: Elementwise, input: FixedPoint, output: FixedPoint
) -> Piece:
    """An activation at every code of a format; the error is absolute, after saturation."""
    gates = make_gates(ScalarFunction(name, function), input, output, "faithful")
    exact = gates.target * output.ulp
    return Piece(gates, exact, exact, relative=False)


def _gates(name: str, function: Elementwise, source: FixedPoint, result: FixedPoint) -> Gates:
    return make_gates(ScalarFunction(name, function), source, result, "faithful")


def guard_for(constant: float, error: float, least: int) -> int:
    """Fewest fraction bits, at least `least`, that hold a constant to a relative error.

    Returns:
        g with round(constant * 2**g) >= 1 and within `error`; at most 61 - its exponent.
    """
    most = 61 - math.frexp(constant)[1]
    for g in range(least, most):
        if round(math.ldexp(constant, g)) >= 1 and constant_error(constant, g) <= error:
            return g
    return max(most, least)


def constant_error(constant: float, fraction: int) -> float:
    """Relative error of a constant held with so many fraction bits, rounded up."""
    held = math.ldexp(round(math.ldexp(constant, fraction)), -fraction)
    return abs(held / constant - 1) + 2.0**-50
