"""Layers whose weights are powers of two: one adder each, rounded by leaving out bits.

Weights are 0, or plus or minus a power of two (Miyashita, Lee and Murmann, "Convolutional
Neural Networks using Logarithmic Data Representation", 2016), with a straight-through
gradient. Activations are ReLU, clipped and rounded (Choi et al., "PACT", 2018). As all steps
are powers of two as well, rounding a sum leaves out its low bits.
"""

from __future__ import annotations

import torch
from few_bits import Stage, rounded
from torch import Tensor, nn

_NEAREST = 4 / 3
"""|w| from 3/4 to 3/2 of a power of two is nearest to it."""


class PowerLinear(nn.Linear, Stage):
    """A linear layer with weights of 0 and of `octaves` powers of two, some of them pruned.

    Attributes:
        octaves: powers of two that a row (in the last layer the matrix) has, up to its largest.
        given: step of its inputs.
        centre: of its inputs, to train around.
        last: whether nothing rounds its sums.
        mask: which weights are left.
    """

    mask: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        octaves: int,
        given: float,
        keep: float,
        *,
        centre: float = 0.0,
        last: bool = False,
    ) -> None:
        super().__init__(inputs, outputs)
        self.octaves, self.given, self.centre, self.last = octaves, given, centre, last
        self.keep, self.quantized = keep, False
        self.register_buffer("mask", torch.ones(outputs, inputs))

    def powers(self) -> tuple[Tensor, Tensor]:
        """Weights [outputs, inputs], and the smallest power of each row [outputs, 1]."""
        weight = self.weight * self.mask
        size = weight.detach().abs()
        largest = size.amax().expand(len(size), 1) if self.last else size.amax(1, keepdim=True)
        top = _power(largest.clamp(min=2.0**-12))
        least = top * 2.0 ** (1 - self.octaves)
        nearest = torch.minimum(_power(size.clamp(min=2.0**-20)), top)
        codes = torch.where(nearest < least, torch.zeros_like(size), nearest) * weight.sign()
        return weight + (codes - weight).detach(), least

    def prune(self, part: float) -> None:
        """Keep the largest `part` of all weights."""
        size = self.weight.detach().abs()
        dropped = int((1 - part) * size.numel())
        self.mask.copy_(size >= size.flatten().sort().values[dropped])

    def rounded(self) -> tuple[Tensor, Tensor]:
        """Weights [outputs, inputs] and biases [outputs] as the integer network has them.

        A bias is a whole number of steps of the sum; where the sum is rounded, a quarter
        above it, off the middle between two codes.
        """
        weight, least = self.powers()
        step = least.squeeze(1) * self.given
        bias = self.bias - self.centre * weight.detach().sum(1)
        whole = ((bias / step).floor() + (0.0 if self.last else 0.25)) * step
        return weight, bias + (whole - bias).detach()

    def forward(self, x: Tensor) -> Tensor:
        """x [N, inputs] to [N, outputs]."""
        if not self.quantized:
            return nn.functional.linear(x - self.centre, self.weight * self.mask, self.bias)
        weight, bias = self.rounded()
        # the value is that of x @ weight + bias, the gradient that of centred inputs
        moved = self.centre * (weight.detach().sum(1) - weight.sum(1))
        return nn.functional.linear(x, weight, bias) + moved


class FewBitRelu(nn.Module, Stage):
    """ReLU, clipped to 0 .. (2^bits - 1) * step and rounded to multiples of `step`."""

    def __init__(self, bits: int, step: float) -> None:
        super().__init__()
        self.bits, self.step, self.quantized = bits, step, False

    def forward(self, x: Tensor) -> Tensor:
        """`x`, element by element."""
        clipped = x.clamp(0.0, (2**self.bits - 1) * self.step)
        return rounded(clipped, self.step) if self.quantized else clipped


def _power(size: Tensor) -> Tensor:
    """The powers of two nearest to positive numbers."""
    return torch.exp2(torch.floor(torch.log2(size * _NEAREST)))
