"""Building blocks of the networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def batch_norm(c: int, dim: int = 2) -> nn.Module:
    layer = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}[dim](c)
    with torch.no_grad():
        layer.weight.uniform_(0.6, 1.4)
        layer.bias.uniform_(-0.3, 0.3)
        layer.running_mean.uniform_(-0.3, 0.3)
        layer.running_var.uniform_(0.5, 1.5)
    return layer


class BasicBlock(nn.Module):
    def __init__(self, a: int, b: int, stride: int, act: Any = nn.ReLU) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(a, b, 3, stride, 1, bias=False)
        self.b1 = batch_norm(b)
        self.c2 = nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.b2 = batch_norm(b)
        self.act = act()
        self.short = (
            nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), batch_norm(b))
            if stride > 1 or a != b
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Any:
        y = self.act(self.b1(self.c1(x)))
        y = self.b2(self.c2(y))
        return self.act(y + self.short(x))


class SqueezeExcite(nn.Module):
    def __init__(self, c: int, gate: Any) -> None:
        super().__init__()
        self.a = nn.Conv2d(c, max(4, c // 4), 1)
        self.b = nn.Conv2d(max(4, c // 4), c, 1)
        self.gate = gate()

    def forward(self, x: Tensor) -> Any:
        s = F.adaptive_avg_pool2d(x, 1)
        return x * self.gate(self.b(F.relu(self.a(s))))


class SqueezeExciteLinear(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(c, 4, bias=False), nn.ReLU(), nn.Linear(4, c, bias=False), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Any:
        b, c, _, _ = x.shape
        y = F.adaptive_avg_pool2d(x, 1).view(b, c)
        return x * self.fc(y).view(b, c, 1, 1).expand_as(x)


class InvertedResidual(nn.Module):
    def __init__(self, a: int, b: int, e: int, k: int, s: int, act: Any, gate: Any = None) -> None:
        super().__init__()
        h = a * e
        layers = [
            nn.Conv2d(a, h, 1, bias=False),
            batch_norm(h),
            act(),
            nn.Conv2d(h, h, k, s, k // 2, groups=h, bias=False),
            batch_norm(h),
            act(),
        ]
        if gate:
            layers.append(SqueezeExcite(h, gate))
        layers += [nn.Conv2d(h, b, 1, bias=False), batch_norm(b)]
        self.f = nn.Sequential(*layers)
        self.res = s == 1 and a == b

    def forward(self, x: Tensor) -> Any:
        return x + self.f(x) if self.res else self.f(x)


class MixerBlock(nn.Module):
    def __init__(self, t: int, c: int) -> None:
        super().__init__()
        self.n1 = nn.LayerNorm(c)
        self.n2 = nn.LayerNorm(c)
        self.t = nn.Sequential(nn.Linear(t, 2 * t), nn.GELU(), nn.Linear(2 * t, t))
        self.c = nn.Sequential(nn.Linear(c, 2 * c), nn.GELU(), nn.Dropout(), nn.Linear(2 * c, c))
        with torch.no_grad():
            for n in (self.n1, self.n2):
                n.weight.uniform_(0.5, 1.5)
                n.bias.uniform_(-0.2, 0.2)

    def forward(self, x: Tensor) -> Any:
        x = x + self.t(self.n1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.c(self.n2(x))


def shuffle(x: Tensor, g: int) -> Tensor:
    b, c, h, w = x.shape
    return x.view(b, g, c // g, h, w).transpose(1, 2).reshape(b, c, h, w)


class Snake(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.rand(1, c, 1) + 0.5)

    def forward(self, x: Tensor) -> Any:
        return x + torch.sin(self.a * x) ** 2 / self.a
