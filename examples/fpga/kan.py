"""Kolmogorov-Arnold networks of few bits: every edge a table, every node a sum.

A KAN (Liu et al., "KAN: Kolmogorov-Arnold Networks", ICLR 2025) has a learned function of one
number on each edge. Read in few bits such a function is a table of a few look-up tables, and
a layer is a sum of them (Hoang et al., KANELE, 2026). Functions are splines of degree one
here; edges whose functions vary least are pruned.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from few_bits import Stage, rounded
from torch import Tensor, nn

LEVEL_BITS = 4
LEVELS = 2**LEVEL_BITS
RANGE = (-2.0, 1.75)
"""What hidden nodes are clipped to: 16 levels, one of them zero."""


class FewBitEdges(nn.Module, Stage):
    """A layer of edges in training: y[o] = sum over i of function[i, o](x[i]).

    Inputs are clipped to `low`..`high` and rounded to 16 levels, functions to `bits` bits.

    Attributes:
        knots: values of the splines at their knots [knots, inputs, outputs].
        mask: which edges there are [inputs, outputs].
    """

    mask: Tensor
    levels: Tensor
    hats: Tensor
    seen: Tensor

    def __init__(
        self, inputs: int, outputs: int, span: tuple[float, float], knots: int, bits: int,
        keep: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.low, self.high = span
        self.bits, self.keep, self.quantized = bits, keep, False
        self.knots = nn.Parameter(torch.randn(knots, inputs, outputs) * 0.5 / inputs**0.5)
        levels = torch.linspace(self.low, self.high, LEVELS)
        places = torch.linspace(self.low, self.high, knots)
        self.register_buffer("mask", torch.ones(inputs, outputs))
        self.register_buffer("levels", levels)
        self.register_buffer("hats", _hats(levels, places))
        self.register_buffer("seen", torch.full((inputs, LEVELS), 1 / LEVELS))

    def table(self) -> Tensor:
        """The functions at the levels [levels, inputs, outputs], rounded to `bits` bits."""
        table = torch.einsum("lk,kio->lio", self.hats, self.knots) * self.mask
        if not self.quantized:
            return table
        low, high = (float(end) for end in table.detach().aminmax())
        scale = max((high - low) / (2**self.bits - 1), 1e-9)
        zero = round(-low / scale)
        return rounded(table, scale, -zero, 2**self.bits - 1 - zero)

    def prune(self, part: float) -> None:
        """Keep the `part` of all edges whose functions vary most over the inputs seen."""
        table = torch.einsum("lk,kio->lio", self.hats, self.knots.detach())
        mean = torch.einsum("lio,il->io", table, self.seen)
        varies = torch.einsum("lio,il->io", (table - mean) ** 2, self.seen)
        dropped = int((1 - part) * varies.numel())
        self.mask.copy_(varies >= varies.flatten().sort().values[dropped])

    def forward(self, x: Tensor) -> Tensor:
        """x [N, inputs] to [N, outputs]."""
        share = _hats(x.clamp(self.low, self.high), self.levels)
        if self.training:
            self.seen.lerp_(share.detach().mean(0), 0.02)
        if self.quantized:
            nearest = nn.functional.one_hot(share.argmax(-1), LEVELS).to(share.dtype)
            share = share + (nearest - share).detach()
        return torch.einsum("nil,lio->no", share, self.table())

    def plain(self) -> Edges:
        """The float layer of these splines."""
        return Edges(self.knots.detach() * self.mask, self.low, self.high)


class Edges(nn.Module):
    """A layer of edges as it is exported: sums of ramps, one function per edge."""

    def __init__(self, knots: Tensor, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high
        places = torch.linspace(low, high, len(knots), dtype=torch.float64)
        self.places = [float(place) for place in places[:-1]]
        slopes = knots.double().diff(dim=0) / (places[1] - places[0])
        turns = torch.cat([slopes[:1], slopes.diff(dim=0)])
        self.start = nn.Parameter(knots[0].float())
        self.turns = nn.Parameter(turns.float())

    def forward(self, x: Tensor) -> Tensor:
        """x [N, inputs] to [N, outputs]."""
        u = x.clamp(self.low, self.high).unsqueeze(-1)
        edges: Tensor = self.start
        for place, turn in zip(self.places, self.turns, strict=True):
            edges = edges + torch.relu(u - place) * turn
        return edges.sum(1)


def few_bit_kan(
    sizes: tuple[int, ...], span: tuple[float, float], knots: int, bits: int, keep: float
) -> nn.Sequential:
    """Layers of edges.

    Args:
        sizes: of the layers, the input first.
        span: smallest and largest input.
        knots: of each spline.
        bits: of what an edge gives.
        keep: the part of its edges that each layer keeps.
    """
    spans = [span] + [RANGE] * (len(sizes) - 2)
    return nn.Sequential(
        *(
            FewBitEdges(inputs, outputs, ends, knots, bits, keep)
            for (inputs, outputs), ends in zip(pairwise(sizes), spans, strict=True)
        )
    )


def _hats(x: Tensor, places: Tensor) -> Tensor:
    """Splines of degree one on a uniform grid: [..., places], 1 at the own place."""
    step = places[1] - places[0]
    return torch.relu(1 - (x.unsqueeze(-1) - places).abs() / step)
