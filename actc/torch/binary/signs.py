"""Signs with a gradient: what stands in for the derivative of a step.

Everywhere here sign(0) is +1, and so it is for -0.0. Numbers that are none (NaN) give -1.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from actc.diagnostics import Diagnostic
from actc.errors import UsageError

_NEAR = 0.1
"""ReSTE: nearer to 0 than this, the slope is that of the chord; it would be infinite at 0."""
_FAR = 1.5
"""ReSTE: beyond this, no gradient passes."""
_LAST_DEGREE = 3.0
"""ReSTE: the root at the end of a training, as its authors found best."""


class Surrogate(Enum):
    """What the gradient of a sign is; all but SQUARE_WAVE are sign(x) in the forward pass.

    Attributes:
        STRAIGHT_THROUGH: one for |x| <= 1, else zero. (Hubara, Courbariaux et al.,
            "Binarized Neural Networks", NeurIPS 2016.)
        POLYNOMIAL: 2 - 2 |x| for |x| <= 1, else zero. (Liu et al., "Bi-Real Net",
            ECCV 2018.)
        PERIODIC: of sin(w x), on the half wave around 0, else zero.
        SQUARE_WAVE: sign(sin(w x)), with the gradient of sin(w x) everywhere: a number that
            goes on changes its sign again, and none is ever stuck. (Vargas et al., "BiPer:
            Binary Neural Networks using a Periodic Function", CVPR 2024.)
        RESTE: of sign(x) |x|^(1/d), for |x| <= 1.5; d grows from 1, which is straight
            through, to 3, which is near the step. (Wu et al., "Estimator Meets Equilibrium
            Perspective: A Rectified Straight Through Estimator for Binary Neural Networks
            Training", ICCV 2023.)
    """

    STRAIGHT_THROUGH = "straight-through"
    POLYNOMIAL = "polynomial"
    PERIODIC = "periodic"
    SQUARE_WAVE = "square-wave"
    RESTE = "reste"

    @classmethod
    def parse(cls, name: str | Surrogate) -> Surrogate:
        """A surrogate by its name.

        Raises:
            UsageError: ACT0385, there is none of this name.
        """
        try:
            return cls(name)
        except ValueError as error:
            known = ", ".join(choice.value for choice in cls)
            message = f"there is no surrogate '{name}' of a sign's gradient"
            raise UsageError(Diagnostic("ACT0385", message, help=f"choose of: {known}")) from error


class _Sign(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kind: Surrogate, frequency: float, degree: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.kind, ctx.frequency, ctx.degree = kind, frequency, degree
        wave = torch.sin(frequency * x) if kind is Surrogate.SQUARE_WAVE else x
        # as hard_sign, and several times as fast
        return (wave >= 0).to(x.dtype).mul_(2).sub_(1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (x,) = ctx.saved_tensors
        return gradient * slope(x, ctx.kind, ctx.frequency, ctx.degree), None, None, None


def hard_sign(x: Tensor) -> Tensor:
    """+1 where x >= 0, else -1; no gradient."""
    one = torch.ones((), dtype=x.dtype, device=x.device)
    return torch.where(x >= 0, one, -one)


def slope(x: Tensor, kind: Surrogate, frequency: float, degree: float) -> Tensor:
    """The derivative that stands in for that of the sign.

    Args:
        x: where.
        kind: which.
        frequency: w of PERIODIC and SQUARE_WAVE, radians per unit.
        degree: d of RESTE, at least 1.
    """
    far = x.abs()
    if kind is Surrogate.STRAIGHT_THROUGH:
        return (far <= 1).to(x.dtype)
    if kind is Surrogate.POLYNOMIAL:
        return (2 - 2 * far).clamp(min=0)
    if kind is Surrogate.RESTE:
        steep = far.clamp(min=_NEAR) ** (1 / degree - 1) / degree
        chord = _NEAR ** (1 / degree - 1)
        return torch.where(far < _NEAR, chord, steep) * (far <= _FAR)
    wave = frequency * torch.cos(frequency * x)
    if kind is Surrogate.SQUARE_WAVE:
        return wave
    return wave * (far <= math.pi / (2 * frequency))


class Sign(nn.Module):
    """The sign of a tensor, +1 or -1, with the gradient of a surrogate.

    Attributes:
        kind: the surrogate.
        frequency: of the periodic ones, radians per unit.
        degree: of ReSTE.
    """

    def __init__(
        self,
        surrogate: str | Surrogate = Surrogate.STRAIGHT_THROUGH,
        frequency: float = math.pi / 2,
    ) -> None:
        """Choose the gradient.

        Args:
            surrogate: by name or as it is.
            frequency: of the periodic ones: by default their half wave reaches from -1 to 1.

        Raises:
            UsageError: ACT0385, there is no such surrogate, or no such frequency.
        """
        super().__init__()
        self.kind, self.frequency, self.degree = Surrogate.parse(surrogate), frequency, 1.0
        if not (math.isfinite(frequency) and frequency > 0):
            message = f"a frequency is a positive number, not {frequency}"
            raise UsageError(Diagnostic("ACT0385", message))

    def progress(self, part: float) -> None:
        """Say how much of the training is over, 0 to 1: ReSTE nears the step by that."""
        self.degree = 1 + (_LAST_DEGREE - 1) * part

    def forward(self, x: Tensor) -> Tensor:
        """Signs of `x`, of its type."""
        if torch.is_grad_enabled() and x.requires_grad:
            signs: Tensor = _Sign.apply(x, self.kind, self.frequency, self.degree)  # type: ignore[no-untyped-call]
            return signs
        wave = self.kind is Surrogate.SQUARE_WAVE
        return hard_sign(torch.sin(self.frequency * x) if wave else x)

    def extra_repr(self) -> str:
        """The surrogate's name."""
        return self.kind.value
