"""Kolmogorov-Arnold networks of few bits: every edge a table, every node a sum.

A KAN (Liu et al., "KAN: Kolmogorov-Arnold Networks", ICLR 2025) has a learned function of one
number on each edge. Read in few bits such a function is a table of a few look-up tables, and
a layer is a sum of them (Hoang et al., KANELE, 2026). Functions are splines of degree one
here; edges whose functions vary least are pruned. All steps are powers of two, so that a
node is rounded by leaving out the low bits of its sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from few_bits import Stage, rounded
from torch import Tensor, nn

LEVELS = 16
"""That an edge reads: four bits, the inputs of one look-up table."""
_LARGEST_CODE = 127


@dataclass(frozen=True)
class Grid:
    """The numbers that an edge can read: `low`, `low + step`, ... of `count`."""

    low: float
    step: float
    count: int = LEVELS

    @property
    def high(self) -> float:
        """The largest number."""
        return self.low + (self.count - 1) * self.step

    def levels(self, count: int = 0) -> Tensor:
        """The numbers, or as many of another distance over the same range."""
        return torch.linspace(self.low, self.high, count or self.count)


class FewBitEdges(nn.Module, Stage):
    """A layer of edges: y[o] = sum over i of function[i, o](x[i]), a little shifted.

    Inputs are clipped to their grid and rounded to it. Functions are rounded to multiples of
    `step`, and each takes at most 2^bits of them in a row. The shift, a quarter of a step in
    front of another layer, keeps sums off the middle between two levels of its grid.

    Attributes:
        grid: of the inputs.
        step, bits: of the functions.
        shift: what is added to every sum.
        knots: values of the splines at their knots [knots, inputs, outputs].
        mask: which edges there are [inputs, outputs].
    """

    mask: Tensor
    levels: Tensor
    hats: Tensor
    seen: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        grid: Grid,
        knots: int,
        step: float,
        bits: int,
        keep: float,
        *,
        last: bool,
    ) -> None:
        super().__init__()
        self.grid, self.step, self.bits = grid, step, bits
        self.shift = 0.0 if last else step / 4
        self.keep, self.quantized = keep, False
        self.knots = nn.Parameter(torch.randn(knots, inputs, outputs) * 0.5 / inputs**0.5)
        levels = grid.levels()
        self.register_buffer("mask", torch.ones(inputs, outputs))
        self.register_buffer("levels", levels)
        self.register_buffer("hats", _hats(levels, grid.levels(knots)))
        self.register_buffer("seen", torch.full((inputs, grid.count), 1 / grid.count))

    def _mean(self, table: Tensor) -> Tensor:
        """The mean of functions [levels, inputs, outputs] over the inputs seen."""
        return torch.einsum("lio,il->io", table, self.seen)

    def table(self) -> Tensor:
        """The functions at the levels [levels, inputs, outputs], rounded where that is due."""
        table = torch.einsum("lk,kio->lio", self.hats, self.knots) * self.mask
        if not self.quantized:
            return table
        half = 2 ** (self.bits - 1)
        middle = ((table.detach().amin(0) + table.detach().amax(0)) / 2 / self.step).round()
        low = (middle - half).clamp(min=-_LARGEST_CODE)
        high = (middle + half - 1).clamp(max=_LARGEST_CODE)
        return rounded(table.clamp(low * self.step, high * self.step), self.step)

    def prune(self, part: float) -> None:
        """Keep the `part` of all edges whose functions vary most over the inputs seen."""
        table = torch.einsum("lk,kio->lio", self.hats, self.knots.detach())
        varies = self._mean((table - self._mean(table)) ** 2)
        dropped = int((1 - part) * varies.numel())
        self.mask.copy_(varies >= varies.flatten().sort().values[dropped])

    def forward(self, x: Tensor) -> Tensor:
        """x [N, inputs] to [N, outputs]."""
        share = _hats(x.clamp(self.grid.low, self.grid.high), self.levels)
        if self.training:
            self.seen.lerp_(share.detach().mean(0), 0.02)
        if self.quantized:
            nearest = nn.functional.one_hot(share.argmax(-1), self.grid.count).to(share.dtype)
            share = share + (nearest - share).detach()
        return share.flatten(1) @ self.table().transpose(0, 1).flatten(0, 1) + self.shift


def _hats(x: Tensor, places: Tensor) -> Tensor:
    """Splines of degree one on a uniform grid: [..., places], 1 at the own place."""
    step = places[1] - places[0]
    return torch.relu(1 - (x.unsqueeze(-1) - places).abs() / step)
