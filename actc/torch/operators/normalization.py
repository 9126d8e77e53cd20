"""Softmax, its logarithm, and normalization."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

from actc.torch.functions import floor_through, lookup, round_through, shifted
from actc.torch.gradients import Gradients
from actc.torch.operators.shared import Array, Lookup, Maker, Operator, integer, known

_AS_IF_UNMASKED = 1
_NORMAL, _RMS = 2.0**12, 2.0**17
_MANTISSA, _INSIDE = 30, 22
"""Bits of a fraction of a sum, and of those between two entries of its table."""


class Exponentials(nn.Module):
    """The table of exponentials of distances, with the derivative of the exponential."""

    table: Tensor
    slope: Tensor

    def __init__(self, table: Array) -> None:
        super().__init__()
        powers = table.astype(np.float64)
        self.register_buffer("table", torch.from_numpy(powers), False)
        self.register_buffer("slope", torch.from_numpy(_decay(powers) * powers), False)

    def forward(self, below: Tensor) -> Tensor:
        """The exponential of -scale * below, in fixed point."""
        return lookup(below.clamp(max=len(self.table) - 1), self.table, self.slope)


def _decay(powers: Array) -> float:
    """The logarithm of the factor from one entry of a table of exponentials to the next."""
    if powers[0] <= 1:
        return 0.0
    # Rounding matters least where the table is large, and over a long way.
    last = int(np.flatnonzero(powers >= np.sqrt(powers[0]))[-1])
    return float(np.log(powers[last] / powers[0]) / last) if last else -float(np.log(powers[0]))


class Softmax(nn.Module):
    """Softmax of codes; float32, from one exact division."""

    def __init__(self, node: ir.Node, gradients: Gradients) -> None:
        super().__init__()
        self.exponentials = Exponentials(known(node, 1))
        self.axis = integer(node, "axis")

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        """Normalize along the axis."""
        powers = self.exponentials(x.amax(self.axis, keepdim=True) - x)
        ratio: Tensor = powers / powers.sum(self.axis, keepdim=True)
        return ratio.to(torch.float32)


class Probabilities(nn.Module):
    """Softmax of codes in units of 2^-bits, rounded half up; 1 is the largest code."""

    def __init__(self, node: ir.Node, gradients: Gradients) -> None:
        super().__init__()
        self.exponentials = Exponentials(known(node, 1))
        self.axis, self.codes = integer(node, "axis"), 2.0 ** integer(node, "bits")

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        """Normalize along the axis; the quotient is far enough from the next integer."""
        powers = self.exponentials(x.amax(self.axis, keepdim=True) - x)
        total = powers.sum(self.axis, keepdim=True)
        rounded = floor_through((2 * self.codes * powers + total) / (2 * total))
        return rounded.clamp(max=self.codes - 1)


class MaskedSoftmax(nn.Module):
    """Softmax over the entries that are not hidden."""

    def __init__(self, node: ir.Node, gradients: Gradients) -> None:
        super().__init__()
        self.exponentials = Exponentials(known(node, 2))
        self.axis, self.empty = integer(node, "axis"), integer(node, "empty")

    def forward(self, x: Tensor, hidden: Tensor, table: Tensor) -> Tensor:
        """Normalize along the axis."""
        covered = hidden != 0
        codes = x + torch.zeros_like(covered, dtype=x.dtype)
        covered = covered.expand(codes.shape)
        alone = covered.all(self.axis, keepdim=True)
        if self.empty == _AS_IF_UNMASKED:
            covered = covered & ~alone
        visible = codes.masked_fill(covered, -1.0)
        powers = self.exponentials(visible.amax(self.axis, keepdim=True) - visible)
        uniform = alone if self.empty == 0 else torch.zeros_like(alone)
        powers = powers.masked_fill(covered & ~uniform, 0.0)
        total = powers.sum(self.axis, keepdim=True)
        ratio: Tensor = powers / torch.where(total > 0, total, 1.0)
        return ratio.to(torch.float32)


def layer_norm(node: ir.Node, gradients: Gradients) -> Operator:
    """floor((count * x - sum) * 4096 / sqrt(variance + eps)) * gamma + beta."""
    axis, count = integer(node, "axis"), integer(node, "count")

    def run(x: Tensor, gamma: Tensor, beta: Tensor, eps: Tensor) -> Tensor:
        total = x.sum(axis, keepdim=True)
        d = count * x - total
        v = count * (x * x).sum(axis, keepdim=True) - total * total
        normal = floor_through(d * _NORMAL / torch.sqrt(v + eps))
        return normal * gamma + beta

    return run


def rms_norm(node: ir.Node, gradients: Gradients) -> Operator:
    """floor((x - x_zero) * 2^17 / sqrt(sum of squares + eps)) * gamma."""
    axis = integer(node, "axis")

    def run(x: Tensor, x_zero: Tensor, gamma: Tensor, eps: Tensor) -> Tensor:
        d = x - x_zero
        root = torch.sqrt((d * d).sum(axis, keepdim=True) + eps)
        return floor_through(d * _RMS / root) * gamma

    return run


class LogSoftmax(nn.Module):
    """-(levels[distance to the maximum] + the logarithm of the sum of exponentials)."""

    octaves: Tensor
    logarithms: Tensor

    def __init__(self, node: ir.Node, gradients: Gradients) -> None:
        super().__init__()
        self.axis = integer(node, "axis")
        self.exponentials = Exponentials(known(node, 1))
        levels, octaves = known(node, 2).astype(np.float64), known(node, 3).astype(np.float64)
        step = (levels[-1] - levels[0]) / (len(levels) - 1)
        self.levels = Lookup(levels, np.full(len(levels), step), Gradients())
        self.register_buffer("octaves", torch.from_numpy(octaves), False)
        fractions = torch.from_numpy(known(node, 4).astype(np.float64))
        self.register_buffer("logarithms", fractions, False)
        self.unit = float((octaves[-1] - octaves[0]) / (len(octaves) - 1) / np.log(2))

    def forward(self, x: Tensor, *constants: Tensor) -> Tensor:
        """Normalize along the axis."""
        below = x.amax(self.axis, keepdim=True) - x
        total = self.exponentials(below).sum(self.axis, keepdim=True)
        smooth = self.unit * torch.log(total)
        # Far less than one half is lost: rounding gives the logarithm of the table.
        logarithm = round_through(smooth + (self._logarithm(total.detach()) - smooth).detach())
        levels: Tensor = self.levels(below)
        return -(levels + logarithm)

    def _logarithm(self, total: Tensor) -> Tensor:
        """Of sums 2^k * (1 + f): octaves[k], and a line in the table of fractions."""
        octave = torch.frexp(total).exponent.to(torch.int64) - 1
        mantissa = total * torch.pow(2.0, (_MANTISSA - octave).to(total.dtype)) - 2.0**_MANTISSA
        index = torch.floor(mantissa * 2.0**-_INSIDE).to(torch.int64)
        low = self.logarithms[index]
        rise = self.logarithms[index + 1] - low
        part = shifted(rise * (mantissa - index * 2.0**_INSIDE), _INSIDE)
        logarithm: Tensor = self.octaves[octave] + low + part
        return logarithm


OPERATORS: dict[str, Maker] = {
    "IntLogSoftmax": LogSoftmax,
    "IntRmsNorm": rms_norm,
    "IntSoftmax": Softmax,
    "IntProbabilities": Probabilities,
    "IntMaskedSoftmax": MaskedSoftmax,
    "IntLayerNorm": layer_norm,
}
