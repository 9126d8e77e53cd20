"""From codes or accumulators to codes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

from actc.torch.functions import clamp, floor_through, lookup
from actc.torch.gradients import Gradients
from actc.torch.operators.shared import (
    Array,
    Lookup,
    Maker,
    Operator,
    known,
    number,
    table_slopes,
)

_BREAKPOINTS = 255


def requantize(node: ir.Node, gradients: Gradients) -> Operator:
    """clamp(floor(acc * multiplier / 2^shift + 1/2) + zero, low, high)."""
    shift, zero, low, high = (number(node, index) for index in range(2, 6))
    half, factor = 2.0 ** (shift - 1), 2.0**-shift
    margin = gradients.margin(low, high)

    def run(acc: Tensor, multiplier: Tensor, *constants: Tensor) -> Tensor:
        rounded = floor_through((acc * multiplier + half) * factor)
        return clamp(rounded + zero, low, high, margin)

    return run


def table(node: ir.Node, gradients: Gradients) -> Operator:
    """table[x]."""
    entries = known(node, 1)
    return Lookup(entries, table_slopes(node, entries, gradients), gradients)


class ChannelLookup(nn.Module):
    """table[x + offset], a table per channel."""

    def __init__(self, node: ir.Node, gradients: Gradients) -> None:
        super().__init__()
        entries = known(node, 1)
        size = len(entries) // known(node, 2).size
        rows = [table_slopes(node, row, gradients) for row in entries.reshape(-1, size)]
        self.lookup = Lookup(entries, np.concatenate(rows), gradients)

    def forward(self, x: Tensor, entries: Tensor, offset: Tensor) -> Tensor:
        """Look codes up in the table of their channel."""
        found: Tensor = self.lookup(x + offset)
        return found


class Steps(nn.Module):
    """values[offset + number of the channel's breakpoints that are <= acc].

    The slope at an accumulator is that of the staircase between the breakpoints around
    it, taken as a line through as many steps as hold two of its values.
    """

    values: Tensor
    slope: Tensor
    points: Tensor

    def __init__(self, node: ir.Node, gradients: Gradients) -> None:
        super().__init__()
        points, values = known(node, 1), known(node, 2)
        channels = values.size // (_BREAKPOINTS + 1)
        rows = zip(points.reshape(channels, -1), values.reshape(channels, -1), strict=True)
        found = np.concatenate([_step_slopes(p[:_BREAKPOINTS], v) for p, v in rows])
        self.register_buffer("values", torch.from_numpy(values.astype(np.float64)), False)
        self.register_buffer("slope", torch.from_numpy(found), False)
        shape = (channels, _BREAKPOINTS + 1)
        ends = torch.from_numpy(points.astype(np.float64)).reshape(shape)[:, :_BREAKPOINTS]
        self.register_buffer("points", ends.contiguous(), False)
        self.channels = channels

    def forward(self, acc: Tensor, points: Tensor, values: Tensor, offset: Tensor) -> Tensor:
        """Count the breakpoints passed, and take the value there."""
        if self.channels == 1:
            count = torch.searchsorted(self.points[0], acc.detach().contiguous(), right=True)
        else:
            moved = acc.detach().movedim(1, 0)
            flat = moved.reshape(self.channels, -1).contiguous()
            count = torch.searchsorted(self.points, flat, right=True)
            count = count.reshape(moved.shape).movedim(0, 1)
        # The index is found from acc: what comes back to it goes on to acc.
        index = count + offset + (acc - acc.detach())
        return lookup(index, self.values, self.slope)


def _step_slopes(points: Array, values: Array) -> Array:
    """Codes per unit of the accumulator, at each of the steps; float64 [256]."""
    x, y = points.astype(np.float64), values.astype(np.float64)
    centres = np.concatenate([x[:1] - 1, (x[:-1] + x[1:] - 1) / 2, x[-1:]])
    before, after = np.maximum(np.arange(len(y)) - 1, 0), np.minimum(np.arange(len(y)) + 1, 255)
    width = np.maximum(centres[after] - centres[before], 1.0)
    return np.asarray((y[after] - y[before]) / width)


def embed(node: ir.Node, gradients: Gradients) -> Operator:
    """Row i of the table, the last row where i is out of range."""

    def run(i: Tensor, rows: Tensor) -> Tensor:
        last = len(rows) - 1
        index = torch.where((i >= 0) & (i < last), i, float(last)).to(torch.int64)
        return rows[index]

    return run


OPERATORS: dict[str, Maker] = {
    "Requantize": requantize,
    "Table": table,
    "ChannelTable": ChannelLookup,
    "Steps": Steps,
    "IntEmbed": embed,
}
