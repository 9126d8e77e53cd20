"""Signs above a threshold of the sample's own."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

from actc.ir.spec.instances import instance_steps, numbers
from actc.torch.gradients import Gradients
from actc.torch.operators.shared import Array, Maker, integer, known

_NAMES = ("powers", "weights", "factor", "slope", "offset", "values")


class InstanceSteps(nn.Module):
    """values[1 + sign(slope * acc + offset + factor * T)], T a statistic of the sample.

    The result is the specification's, in integers of any size. Its gradient is that of a line
    from the first value to the last, over the accumulators within 1 of the threshold; the
    threshold's own, through the statistic, is in it.
    """

    rows: Tensor
    ratio: Tensor
    start: Tensor
    turned: Tensor

    def __init__(self, node: ir.Node, gradients: Gradients) -> None:
        super().__init__()
        self.shared = integer(node, "shared")
        self.held = {name: known(node, place) for place, name in enumerate(_NAMES, start=1)}
        slope, offset = (numbers(self.held[name]) for name in ("slope", "offset"))
        places, limbs = len(self.held["factor"]), self.held["slope"].shape[-1]
        factor = numbers(self.held["factor"].reshape(places, -1, limbs))
        weights = numbers(self.held["weights"])[..., 0]
        flat = slope == 0
        divisor = np.where(flat, 1, slope)
        gain = factor[0].reshape(1, -1, *([1] * (slope.ndim - 2)))
        scale = max(int(np.abs(weights).max(initial=1)), 1)
        self._hold("rows", np.moveaxis(weights / scale, -1, 0))
        self._hold("ratio", np.where(flat, 0, gain * scale / divisor))
        self._hold("start", offset / divisor)
        values = self.held["values"].astype(np.float64)
        half = (values[2] - values[0]) / 2
        self._hold("turned", np.where(flat, 0.0, np.where(slope > 0, half, -half)))

    def _hold(self, name: str, array: Array) -> None:
        self.register_buffer(name, torch.from_numpy(array.astype(np.float64)), False)

    def forward(self, acc: Tensor, *constants: Tensor) -> Tensor:
        """Codes of accumulators [N, C, ...]."""
        whole = acc.detach().to(torch.int64).cpu().numpy()
        codes = instance_steps(whole, *self.held.values(), shared=self.shared)
        found = torch.from_numpy(codes.astype(np.float64)).to(acc.device)
        if not acc.requires_grad:
            return found
        positions = list(range(2, acc.ndim))
        statistic = torch.zeros((), dtype=acc.dtype, device=acc.device)
        for row, power in zip(self.rows, self.held["powers"].tolist(), strict=True):
            sums = acc**power
            if positions:
                sums = sums.sum(positions, keepdim=True)
            statistic = statistic + row * sums
        if self.shared:
            statistic = statistic.sum(1, keepdim=True)
        distance = acc + self.start + self.ratio * statistic
        line = distance.clamp(-1, 1) * self.turned
        return found + (line - line.detach())


OPERATORS: dict[str, Maker] = {"InstanceSteps": InstanceSteps}
