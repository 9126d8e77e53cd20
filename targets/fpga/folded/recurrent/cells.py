"""What a recurrent layer computes in a step: constants, ranges and the exact reference.

The reference is the executable specification of the dialect (:mod:`actc.ir.spec.recurrent`),
which is integers from the first step to the last.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from actc.ir.spec.recurrent import int_gru, int_lstm
from actc.targets.fpga.hdl import Range

Integers: TypeAlias = npt.NDArray[np.int64]

ONE = 15
"""Fraction bits of gates, and of the states that the matrix reads."""
FINE = 23
"""Fraction bits of a GRU's state."""
CELL_BOUND = (1 << 24) - 1
"""To which the cell state of an LSTM is clamped."""


@dataclass(frozen=True, eq=False)
class Cell(ABC):
    """A step of a layer with some units; results of gate k are outputs k * units and on.

    Attributes:
        r: int64 [units, outputs], recurrent weights.
        x_multiplier, h_multiplier: int64 [outputs], >= 0, of ``x`` and of ``h @ r``.
        shift: of the scaled sums.
        gate_table, cell_table: int64 [2^k + 1], fractions of 2^15.
        step_bits: steps between two entries, as a power of two.
        h0: int64 [units], the first state.
    """

    r: Integers
    x_multiplier: Integers
    h_multiplier: Integers
    shift: int
    gate_table: Integers
    cell_table: Integers
    step_bits: int
    h0: Integers

    @property
    def units(self) -> int:
        """Elements of a state."""
        return len(self.r)

    @property
    def outputs(self) -> int:
        """Of the matrix, and channels of what is read in a step."""
        return int(self.r.shape[1])

    @property
    def gates(self) -> int:
        """Outputs of one unit; the last one is that of the new state."""
        return self.outputs // self.units

    @property
    def entry_bits(self) -> int:
        """Of the number of a table's entry, which has one more behind it."""
        return (len(self.gate_table) - 1).bit_length() - 1

    @property
    @abstractmethod
    def kind(self) -> str:
        """Of the layer."""

    @property
    @abstractmethod
    def bias(self) -> Integers:
        """What is added to ``h @ r``; int64 [outputs]."""

    @property
    @abstractmethod
    def result(self) -> Range:
        """Of the states that the layer gives."""

    @property
    @abstractmethod
    def operand(self) -> Range:
        """Of the states as the matrix reads them."""

    @property
    @abstractmethod
    def memory(self) -> Range:
        """Of what a unit keeps from step to step."""

    @property
    @abstractmethod
    def initial(self) -> tuple[Integers, Integers]:
        """What units keep at first, and what the matrix reads then; int64 [units] each."""

    @abstractmethod
    def states(self, x: Integers) -> Integers:
        """The state behind each step.

        Args:
            x: int64 [samples, steps, outputs].

        Returns:
            int64 [samples, steps, units].
        """

    @property
    def total(self) -> Range:
        """Of all ``h @ r``, exactly."""
        low, high = self.operand.low, self.operand.high
        least = np.minimum(self.r * low, self.r * high).sum(axis=0)
        most = np.maximum(self.r * low, self.r * high).sum(axis=0)
        return Range(int(least.min()), int(most.max()))


@dataclass(frozen=True, eq=False)
class GruCell(Cell):
    """A GRU whose reset gate multiplies ``h @ r + h_bias``; gates z, r, h.

    Attributes:
        h_bias: int64 [units], of the last gate.
    """

    h_bias: Integers

    @property
    def kind(self) -> str:
        """Of the layer."""
        return "GRU"

    @property
    def bias(self) -> Integers:
        """That of the last gate; zeros for the others."""
        return np.append(np.zeros(2 * self.units, np.int64), self.h_bias)

    @property
    def result(self) -> Range:
        """A state is a mean of the one before and of the table's values."""
        table = Range.of(self.cell_table.tolist()) << (FINE - ONE)
        return table.hull(Range.of(self.h0.tolist()))

    @property
    def operand(self) -> Range:
        """The upper bits of a state, rounded."""
        return self.result.plus(1 << (FINE - ONE - 1)) >> (FINE - ONE)

    @property
    def memory(self) -> Range:
        """The state."""
        return self.result

    @property
    def initial(self) -> tuple[Integers, Integers]:
        """The first state."""
        half = 1 << (FINE - ONE - 1)
        return self.h0, (self.h0 + half) >> (FINE - ONE)

    def states(self, x: Integers) -> Integers:
        """The state behind each step."""
        y, _ = int_gru(
            x.swapaxes(0, 1),
            self.h0[None],
            self.r,
            self.h_bias,
            self.x_multiplier,
            self.h_multiplier,
            np.array(self.shift),
            self.gate_table,
            self.cell_table,
            np.array(self.step_bits),
            directions=[0],
        )
        return np.asarray(y.swapaxes(0, 1), np.int64)


@dataclass(frozen=True, eq=False)
class LstmCell(Cell):
    """An LSTM; gates i, o, f, c.

    Attributes:
        c0: int64 [units], the first cell state.
        cell_bits: fraction bits of the cell state.
        cell_shift: from the cell state to steps of the table.
    """

    c0: Integers
    cell_bits: int
    cell_shift: int

    @property
    def kind(self) -> str:
        """Of the layer."""
        return "LSTM"

    @property
    def bias(self) -> Integers:
        """Zeros: it is part of what is read."""
        return np.zeros(self.outputs, np.int64)

    @property
    def result(self) -> Range:
        """A gate times a value of the table."""
        gate, value = (Range.of(t.tolist()) for t in (self.gate_table, self.cell_table))
        product = (gate * value).plus(1 << (ONE - 1)) >> ONE
        return product.hull(Range.of(self.h0.tolist()))

    @property
    def operand(self) -> Range:
        """The state."""
        return self.result

    @property
    def memory(self) -> Range:
        """The cell state."""
        return Range(-CELL_BOUND, CELL_BOUND).hull(Range.of(self.c0.tolist()))

    @property
    def initial(self) -> tuple[Integers, Integers]:
        """The first cell state and the first state."""
        return self.c0, self.h0

    def states(self, x: Integers) -> Integers:
        """The state behind each step."""
        y, _, _ = int_lstm(
            x.swapaxes(0, 1),
            self.h0[None],
            self.c0[None],
            self.r,
            self.x_multiplier,
            self.h_multiplier,
            np.array(self.shift),
            self.gate_table,
            self.cell_table,
            np.array(self.step_bits),
            np.array(self.cell_bits),
            np.array(self.cell_shift),
            directions=[0],
        )
        return np.asarray(y.swapaxes(0, 1), np.int64)
