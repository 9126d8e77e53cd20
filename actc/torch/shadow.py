"""Trained weights: real numbers in the background, integers in the forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from actc.numerics.weights import WeightFormat
from actc.torch.functions import chosen_code, nearest_code, round_through
from actc.torch.gradients import WeightGradient

Array = np.ndarray[Any, Any]

_INSIDE = 0.5 - 2.0**-10
"""How far from a code its weights may start, in distances of codes: short of the next one."""
_TOP = 1 - 2.0**-10
"""Of a sine: where a code of the largest magnitude starts, short of the flat crest."""


class Choice(NamedTuple):
    """A staircase from real numbers to codes.

    Attributes:
        thresholds: float64 [n - 1], increasing: where the next code begins.
        codes: float64 [n], increasing.
    """

    thresholds: Tensor
    codes: Tensor


@dataclass(frozen=True, eq=False, slots=True)
class Trainable:
    """What can be trained of one linear operator of golden.

    Attributes:
        layer: name of its node in the float model.
        weight: golden's constant of its weights.
        bias: golden's constant of its bias; "" when it cannot be trained.
        form: the format of its weights.
        codes: integers [...], as golden has them.
        real: float64, the float model's weights in the same place.
        scales: float64, broadcast-ready: real = scales * code.
        factors: float64, broadcast-ready: what golden's codes are multiples of, in codes of
            the format; other than 1 where weights have groups.
        bias_codes: integers, as golden has them.
        bias_real: float64, the float model's bias.
        bias_scales: float64, the steps of the accumulator.
        axis: axis of the output channels of the weights.
        limit: int64 [O], the largest magnitude that a sum may have.
        ends: smallest and largest input less its zero point, the first <= 0 <= the second.
        first: the first channel that has a bias; all behind it have one.
    """

    layer: str
    weight: str
    bias: str
    form: WeightFormat
    codes: Array
    real: Array
    scales: Array
    factors: Array
    bias_codes: Array
    bias_real: Array
    bias_scales: Array
    axis: int
    limit: Array
    ends: tuple[int, int]
    first: int = 0


class Shadow(nn.Module):
    """The weights and the bias of one linear operator of golden.

    Attributes:
        layer: name of its node in the float model.
        weight: real weights, float64, laid out as golden's constant; the module computes
            with the nearest codes.
        bias: real bias, float64; None where it cannot be trained.
        choice: which code a weight gets in the place of the nearest one; see
            `actc.torch.hardware`.
    """

    weight: Tensor
    bias: Tensor | None
    choice: Choice | None
    scales: Tensor
    factors: Tensor
    bias_scales: Tensor
    limit: Tensor

    def __init__(self, found: Trainable, gradient: WeightGradient) -> None:
        """Start where golden is: rounding gives its codes.

        Args:
            found: what to train.
            gradient: how weights become codes.
        """
        super().__init__()
        self.layer, self.form, self.axis = found.layer, found.form, found.axis
        self.names = (found.weight, found.bias)
        self.gradient, self.ends, self.first = gradient, found.ends, found.first
        self.choice = None
        self.register_buffer("scales", _tensor(found.scales), False)
        self.register_buffer("factors", _tensor(found.factors), False)
        self.register_buffer("limit", _tensor(found.limit), False)
        self.weight = nn.Parameter(_tensor(self._start(found)))
        self.bias = None
        if found.bias:
            self.register_buffer("bias_scales", _tensor(found.bias_scales), False)
            start = _nearest(found.bias_real / found.bias_scales, found.bias_codes, 1)
            self.bias = nn.Parameter(_tensor(start * found.bias_scales))

    def codes(self) -> dict[str, Tensor]:
        """Golden's constants: name -> integers, with gradients to the real numbers."""
        weight, bias = self.names
        found = {weight: self._weight_codes()}
        if self.bias is not None:
            found[bias] = self._bias_codes(found[weight].detach())
        return found

    def real(self) -> dict[str, Array]:
        """The real numbers that the integers stand for: golden's names -> float64."""
        with torch.no_grad():
            codes = self.codes()
        weight, bias = self.names
        found = {weight: (codes[weight] * self.scales).cpu().numpy()}
        if self.bias is not None:
            found[bias] = (codes[bias] * self.bias_scales).cpu().numpy()
        return found

    def excess(self, bias: Array) -> int:
        """By how much the largest sum exceeds what golden has room for; 0: it fits.

        Args:
            bias: the integers of the bias.
        """
        with torch.no_grad():
            low, high = self._reach(self._weight_codes())
        offset = torch.zeros_like(low)
        offset[self.first :] = torch.from_numpy(bias.astype(np.float64)).flatten().to(low.device)
        ends = torch.stack([-low, high, offset + high, -(low + offset)])
        return max(int((ends.amax(0) - self.limit).max().item()), 0)

    def steps(self) -> Tensor:
        """The weights in units of codes, as far as the format reaches or further."""
        steps, largest = self.weight / (self.scales * self.factors), self.form.largest
        if self.gradient is WeightGradient.PERIODIC:
            steps = largest * torch.sin(steps / largest)
        return steps

    def settle(self) -> None:
        """Move each weight to the code it has, which is the nearest one from then on."""
        with torch.no_grad():
            codes, largest = self._weight_codes() / self.factors, self.form.largest
            if self.gradient is WeightGradient.PERIODIC:
                codes = torch.arcsin((codes / largest).clamp(-_TOP, _TOP)) * largest
            self.weight.copy_(codes * self.scales * self.factors)
        self.choice = None

    def _weight_codes(self) -> Tensor:
        if self.choice is not None:
            return chosen_code(self.steps(), *self.choice) * self.factors
        return nearest_code(self.steps(), self.form.largest, self.form.step) * self.factors

    def _bias_codes(self, weight: Tensor) -> Tensor:
        """The nearest integers at which no sum can leave the accumulator."""
        assert self.bias is not None
        low, high = self._reach(weight)
        upper = (self.limit - high).clamp(min=0)[self.first :]
        lower = (self.limit + low).clamp(min=0)[self.first :]
        rounded = round_through(self.bias / self.bias_scales)
        return torch.clamp(rounded.flatten(), -lower, upper).reshape(rounded.shape)

    def _reach(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """The smallest and the largest sum of each channel, without the bias: [O]."""
        rows = codes.movedim(self.axis, 0).flatten(1)
        positive, negative = rows.clamp(min=0).sum(1), rows.clamp(max=0).sum(1)
        low, high = self.ends
        return positive * low + negative * high, positive * high + negative * low

    def _start(self, found: Trainable) -> Array:
        unit, largest = found.scales * found.factors, found.form.largest
        steps = _nearest(found.real / unit, found.codes / found.factors, found.form.step)
        if self.gradient is WeightGradient.PERIODIC:
            steps = np.arcsin(np.clip(steps / largest, -_TOP, _TOP)) * largest
        return np.asarray(steps * unit)


def _nearest(steps: Array, codes: Array, step: int) -> Array:
    """The numbers nearest to `steps` that rounding makes `codes`, `step` apart."""
    reach = step * _INSIDE
    return np.clip(steps, codes - reach, codes + reach)


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.array(array, np.float64))
