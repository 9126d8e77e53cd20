"""Softmax and layer normalization."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

from actc.torch.functions import floor_through, lookup
from actc.torch.gradients import Gradients
from actc.torch.operators.shared import Array, Maker, Operator, integer, known

_AS_IF_UNMASKED = 1
_NORMAL = 4096.0


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
    """The logarithm of what one step divides a table of exponentials by, negative."""
    # Rounding is least where the table is large, and the logarithm best over a long way.
    usable = np.flatnonzero(powers >= np.sqrt(powers[0]))
    last = int(usable[-1])
    return float(np.log(powers[last] / powers[0]) / last) if last else -np.log(powers[0])


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


OPERATORS: dict[str, Maker] = {
    "IntSoftmax": Softmax,
    "IntMaskedSoftmax": MaskedSoftmax,
    "IntLayerNorm": layer_norm,
}
