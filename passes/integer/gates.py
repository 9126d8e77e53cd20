"""Numbers of a recurrent layer in fixed point: tables, multipliers, the cell's format.

The sizes are measured (benchmarks/recurrent.py): tables of 1024 pieces with straight
lines between their entries give the accuracy of tables of 65536 entries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from actc.diagnostics import Diagnostic
from actc.errors import ModelError
from actc.numerics.requantize import EXACT_LIMIT, MAX_SHIFT

Array = np.ndarray[Any, Any]

STATE_BITS = 15
"""Fraction bits of the states of LSTM and RNN, and of what a matrix reads."""
FINE_BITS = 23
"""Fraction bits of the state of a GRU, which is its memory."""
GATE_REACH, CELL_REACH = 16, 8
"""A sigmoid differs from 0 or 1 by 2^-23 at +-16, tanh from +-1 by 2^-22 at +-8."""
CELL_WIDTH = 24
"""The cell is less than 2^24 in magnitude: float32 holds it exactly between two calls."""
_MOST_CELL_BITS, _LEAST_CELL_BITS = 19, 15
_SMALLEST_SHIFT = STATE_BITS
_LARGEST_MULTIPLIER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Tables:
    """Sigmoid and tanh: 2^table_bits pieces, 2^step_bits steps in each.

    Attributes:
        table_bits: of the number of pieces.
        step_bits: of the steps between two entries, which a straight line serves.
    """

    table_bits: int = 10
    step_bits: int = 6

    @property
    def gate_step(self) -> float:
        """Step of a pre-activation that a sigmoid follows."""
        return float(np.ldexp(2.0 * GATE_REACH, -self.table_bits - self.step_bits))

    @property
    def cell_step(self) -> float:
        """Step of a pre-activation, or of a cell, that tanh follows."""
        return float(np.ldexp(2.0 * CELL_REACH, -self.table_bits - self.step_bits))

    def gates(self) -> Array:
        """Sigmoid over [-16, 16], rounded to fractions of 2^15: uint16 [2^table_bits + 1]."""
        return self._table(lambda x: (1 + np.tanh(x / 2)) / 2, GATE_REACH, 0).astype(np.uint16)

    def cells(self) -> Array:
        """Tanh over [-8, 8], rounded to fractions of 2^15: int16 [2^table_bits + 1]."""
        return self._table(np.tanh, CELL_REACH, 1).astype(np.int16)

    def cell_shift(self, bits: int) -> int:
        """From a cell with `bits` fraction bits to steps."""
        return bits + int(np.rint(np.log2(self.cell_step)))

    def _table(self, function: Callable[[Array], Array], reach: int, below: int) -> Array:
        x = np.linspace(-reach, reach, 2**self.table_bits + 1)
        largest = 2**STATE_BITS - below
        return np.asarray(np.clip(np.rint(function(x) * 2**STATE_BITS), -largest, largest))


TABLES = Tables()


def cell_bits(reach: float) -> int:
    """Fraction bits of a cell that reached `reach` on data, with a factor of four to spare.

    Raises:
        ModelError: ACT0109, it leaves what 25 bits hold with 15 fraction bits.
    """
    room = CELL_WIDTH - int(np.ceil(np.log2(max(4 * reach, 1.0))))
    if reach >= 2.0 ** (CELL_WIDTH - _LEAST_CELL_BITS) / 2:
        raise ModelError(
            Diagnostic(
                "ACT0109",
                f"its cell reaches {reach:.3g} on the data",
                help="scale the data down, or check the checkpoint: trained cells stay below 100",
            )
        )
    return int(np.clip(room, _LEAST_CELL_BITS, _MOST_CELL_BITS))


@dataclass(frozen=True, eq=False, slots=True)
class Scaling:
    """Factors that bring both sums of a gate to the steps of its table.

    Attributes:
        x_multiplier, h_multiplier: int32 [G*H].
        shift: of both.
    """

    x_multiplier: Array
    h_multiplier: Array
    shift: int


def scaling(x_factor: Array, h_factor: Array, x_bound: Array, h_bound: Array) -> Scaling:
    """The largest shift at which both scaled sums are exact in float64 together.

    Args:
        x_factor, h_factor: float64 [G*H], real factors to steps of the tables.
        x_bound, h_bound: int64 [G*H], largest magnitudes of the sums.

    Raises:
        ModelError: ACT0301, the factors are too large.
    """
    for shift in range(MAX_SHIFT, _SMALLEST_SHIFT - 1, -1):
        x, h = (np.rint(np.ldexp(factor, shift)) for factor in (x_factor, h_factor))
        total = float((x * x_bound + h * h_bound).max(initial=0.0)) + 2.0 ** (shift - 1)
        largest = max(float(x.max(initial=0.0)), float(h.max(initial=0.0)))
        if largest <= _LARGEST_MULTIPLIER and total < EXACT_LIMIT:
            return Scaling(x.astype(np.int32), h.astype(np.int32), shift)
    raise ModelError(
        Diagnostic(
            "ACT0301",
            "the weights of a recurrent layer are too large for its gates",
            help="check the model for extreme weights and the calibration data for outliers",
        )
    )
