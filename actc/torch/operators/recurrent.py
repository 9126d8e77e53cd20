"""Recurrent layers in fixed point, step by step, as `actc.ir.spec.recurrent` has them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

from actc.torch.functions import clamp, round_through, shifted
from actc.torch.gradients import Gradients
from actc.torch.operators.shared import Array, Maker, integers, known, number

_ONE = 15
_FINE = 23
_CELL = 2.0**24 - 1


class Interpolation(nn.Module):
    """A table with straight lines between its entries; saturates at its ends.

    The gradient is the slope of the line, and 0 beyond the ends.
    """

    table: Tensor
    rise: Tensor

    def __init__(self, table: Array, step_bits: int) -> None:
        super().__init__()
        values = table.astype(np.float64)
        self.register_buffer("table", torch.from_numpy(values), False)
        self.register_buffer("rise", torch.from_numpy(np.diff(values)), False)
        self.bits, self.steps = step_bits, float((len(table) - 1) << step_bits)

    def forward(self, p: Tensor) -> Tensor:
        """The value at `p` steps from the middle."""
        u = clamp(p + self.steps / 2, 0.0, self.steps - 1)
        at = torch.floor(u.detach() * 2.0**-self.bits)
        entry, part = at.to(torch.int64), u - at * 2.0**self.bits
        return self.table[entry] + shifted(self.rise[entry] * part, self.bits)


class Scan(nn.Module):
    """What the layers share: multipliers, shift, direction, tables.

    Args:
        node: the operator.
        first: position of x_multiplier among its inputs; h_multiplier, shift, the tables
            and step_bits follow.
        gates: whether there is a table of the gates before the one of the cell.
    """

    def __init__(self, node: ir.Node, first: int, gates: bool) -> None:
        super().__init__()
        tables = first + 3
        self.reverse = bool(integers(node, "directions")[0])
        self.shift = number(node, first + 2)
        step_bits = number(node, tables + 1 + gates)
        if gates:
            self.gate = Interpolation(known(node, tables), step_bits)
        self.cell = Interpolation(known(node, tables + gates), step_bits)

    def steps(self, acc: Tensor) -> range:
        """Positions in time, in the order of the recurrence."""
        last = len(acc) - 1
        return range(last, -1, -1) if self.reverse else range(last + 1)

    def stacked(self, found: dict[int, Tensor], acc: Tensor, hidden: int) -> Tensor:
        """Results of all positions, [T, N, H]."""
        if not found:
            return acc.new_zeros((0, acc.shape[1], hidden))
        return torch.stack([found[t] for t in range(len(acc))])


class Lstm(Scan):
    """One direction of an LSTM; gates in ONNX's order i, o, f, c."""

    def __init__(self, node: ir.Node, gradients: Gradients) -> None:
        super().__init__(node, 4, True)
        self.cell_bits, self.cell_shift = number(node, 10), number(node, 11)

    def forward(
        self, acc: Tensor, h0: Tensor, c0: Tensor, r: Tensor, x_multiplier: Tensor,
        h_multiplier: Tensor, *constants: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Y, the last h and the last c."""
        hidden = len(r)
        h, c = (state.expand(acc.shape[1], hidden) for state in (h0, c0))
        lift, found = 2.0 ** (self.cell_bits - _ONE), {}
        for t in self.steps(acc):
            p = shifted(acc[t] * x_multiplier + (h @ r) * h_multiplier, self.shift)
            i, o, f = self.gate(p[:, : 3 * hidden]).chunk(3, 1)
            g = self.cell(p[:, 3 * hidden :])
            c = clamp(shifted(f * c + i * g * lift, _ONE), -_CELL, _CELL)
            h = shifted(o * self.cell(shifted(c, self.cell_shift)), _ONE)
            found[t] = h
        return self.stacked(found, acc, hidden), h, c


class Gru(Scan):
    """One direction of a GRU; gates in ONNX's order z, r, h."""

    reset_after = True

    def __init__(self, node: ir.Node, gradients: Gradients) -> None:
        super().__init__(node, 4, True)

    def forward(
        self, acc: Tensor, h0: Tensor, r: Tensor, h_bias: Tensor, x_multiplier: Tensor,
        h_multiplier: Tensor, *constants: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Y and the last h."""
        hidden, one = len(r), 2.0**_ONE
        gates, cell = slice(0, 2 * hidden), slice(2 * hidden, None)
        state, found = h0.expand(acc.shape[1], hidden), {}
        for t in self.steps(acc):
            h = shifted(state, _FINE - _ONE)
            p = acc[t][:, gates] * x_multiplier[gates] + (h @ r[:, gates]) * h_multiplier[gates]
            z, reset = self.gate(shifted(p, self.shift)).chunk(2, 1)
            p = acc[t][:, cell] * x_multiplier[cell]
            if self.reset_after:
                inner = shifted((h @ r[:, cell] + h_bias) * h_multiplier[cell], self.shift)
                p = shifted(p, self.shift) + shifted(reset * inner, _ONE)
            else:
                product = shifted(reset * h, _ONE) @ r[:, cell] + h_bias
                p = shifted(p + product * h_multiplier[cell], self.shift)
            g = self.cell(p) * 2.0 ** (_FINE - _ONE)
            state = shifted(z * state + (one - z) * g, _ONE)
            found[t] = state
        return self.stacked(found, acc, hidden), state


class GruResetBefore(Gru):
    """As Gru; the reset gate multiplies the state, not what the matrix gives."""

    reset_after = False


class Rnn(Scan):
    """One direction of a plain recurrent layer."""

    def __init__(self, node: ir.Node, gradients: Gradients) -> None:
        super().__init__(node, 3, False)

    def forward(
        self, acc: Tensor, h0: Tensor, r: Tensor, x_multiplier: Tensor, h_multiplier: Tensor,
        *constants: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Y and the last h."""
        h, found = h0.expand(acc.shape[1], len(r)), {}
        for t in self.steps(acc):
            total = acc[t] * x_multiplier + (h @ r) * h_multiplier
            found[t] = h = self.cell(shifted(total, self.shift))
        return self.stacked(found, acc, len(r)), h


class FixedPoint(nn.Module):
    """clamp(rint(x * 2^bits), low, high), ties to even, NaN to 0."""

    def __init__(self, node: ir.Node, gradients: Gradients) -> None:
        super().__init__()
        self.factor = 2.0 ** number(node, 1)
        self.low, self.high = number(node, 2), number(node, 3)

    def forward(self, x: Tensor, *constants: Tensor) -> Tensor:
        """A float32 state in fixed point."""
        scaled = x.to(torch.float64) * self.factor
        numbers = torch.where(torch.isnan(scaled), 0.0, scaled)
        return clamp(round_through(numbers), self.low, self.high)


OPERATORS: dict[str, Maker] = {
    "FixedPoint": FixedPoint,
    "IntGru": Gru,
    "IntGruResetBefore": GruResetBefore,
    "IntLstm": Lstm,
    "IntRnn": Rnn,
}
