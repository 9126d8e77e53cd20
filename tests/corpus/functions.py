"""The activation functions of the export corpus, as torch modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn


class TwoParameters(nn.Module):
    """x * sigmoid(a * x + b) with two trained scalars."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(1.3))
        self.b = nn.Parameter(torch.tensor(-0.4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(self.a * x + self.b)


class Pade(nn.Module):
    """Safe Padé activation unit of degree 5/4 (Molina et al., ICLR 2020).

    P(x) / (1 + |Q(x)|), with coefficients near a leaky ReLU.
    """

    def __init__(self) -> None:
        super().__init__()
        numerator = [0.0298, 0.6184, 2.3234, 3.0520, 1.4855, 0.2510]
        denominator = [1.1420, 4.3932, 0.8715, 0.3472]
        self.p = nn.ParameterList([nn.Parameter(torch.tensor(c)) for c in numerator])
        self.q = nn.ParameterList([nn.Parameter(torch.tensor(c)) for c in denominator])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        numerator = horner(list(self.p), x)
        denominator = 1.0 + torch.abs(horner(list(self.q), x) * x)
        return numerator / denominator


def horner(coefficients: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Evaluate a polynomial, lowest coefficient first."""
    value = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


class Snake(nn.Module):
    """x + sin(x)^2 (Ziyin et al., NeurIPS 2020)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.sin(x) ** 2


class SnakePerChannel(nn.Module):
    """x + sin(alpha * x)^2 / alpha with one alpha per channel."""

    def __init__(self, channels: int, spatial: bool) -> None:
        super().__init__()
        shape = (1, channels, 1, 1) if spatial else (channels,)
        self.alpha = nn.Parameter(torch.linspace(0.5, 2.0, channels).reshape(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.sin(self.alpha * x) ** 2 / self.alpha


class GoLU(nn.Module):
    """x * exp(-exp(-x)) (Das et al., 2025)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.exp(-torch.exp(-x))


def make_prelu(channels: int, spatial: bool) -> nn.Module:
    """PReLU with a different slope in every channel."""
    module = nn.PReLU(channels)
    module.weight = nn.Parameter(torch.linspace(-0.1, 0.5, channels))
    return module


@dataclass(frozen=True)
class Function:
    """One activation of the corpus.

    Attributes:
        slug: stem of the file names.
        label: what actc calls it.
        make: makes the module from the number of channels and whether these are
            on axis 1 of four.
        per_channel: whether its constants differ between channels.
    """

    slug: str
    label: str
    make: Callable[[int, bool], nn.Module]
    per_channel: bool = False


def scalar(slug: str, label: str, make: Callable[[], nn.Module]) -> Function:
    """Describe a function without constants per channel."""
    return Function(slug, label, lambda _channels, _spatial: make())


FUNCTIONS: tuple[Function, ...] = (
    scalar("gelu", "GELU", nn.GELU),
    scalar("gelu_tanh", "TanhGELU", lambda: nn.GELU(approximate="tanh")),
    scalar("silu", "SiLU", nn.SiLU),
    scalar("mish", "Mish", nn.Mish),
    scalar("hardswish", "HardSwish", nn.Hardswish),
    scalar("softplus", "Softplus", nn.Softplus),
    scalar("elu", "ELU", nn.ELU),
    scalar("snake", "Snake", Snake),
    scalar("golu", "GoLU", GoLU),
    scalar("pade", "custom", Pade),
    scalar("two_parameters", "custom", TwoParameters),
    Function("snake_channels", "Snake", SnakePerChannel, per_channel=True),
    Function("prelu_channels", "PReLU", make_prelu, per_channel=True),
)
