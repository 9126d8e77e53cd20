"""Image classifiers after published ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.blocks import (
    BasicBlock,
    InvertedResidual,
    SqueezeExciteLinear,
    batch_norm,
    shuffle,
)


class ResNet(nn.Module):
    def __init__(self, act: Any = nn.ReLU) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 7, 2, 3, bias=False), batch_norm(16), act(), nn.MaxPool2d(3, 2, 1)
        )
        self.body = nn.Sequential(
            BasicBlock(16, 16, 1, act), BasicBlock(16, 32, 2, act), BasicBlock(32, 48, 2, act)
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(torch.flatten(self.pool(self.body(self.stem(x))), 1))


class PreActResNet(nn.Module):
    """BN-ReLU before the convolution, residual not normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 1, 1)
        self.b1 = batch_norm(16)
        self.c1 = nn.Conv2d(16, 16, 3, 1, 1)
        self.b2 = batch_norm(16)
        self.c2 = nn.Conv2d(16, 16, 3, 1, 1)
        self.b3 = batch_norm(16)
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        y = self.c1(F.silu(self.b1(x)))
        x = x + self.c2(F.silu(self.b2(y)))
        return self.fc(F.silu(self.b3(x)).mean((2, 3)))


class MobileNetV2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        A = nn.ReLU6
        self.f = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False),
            batch_norm(8),
            A(),
            InvertedResidual(8, 8, 2, 3, 1, A),
            InvertedResidual(8, 16, 3, 3, 2, A),
            InvertedResidual(16, 16, 3, 3, 1, A),
            nn.Conv2d(16, 64, 1, bias=False),
            batch_norm(64),
            A(),
        )
        self.c = nn.Sequential(nn.Dropout(0.2), nn.Linear(64, 10))

    def forward(self, x: Tensor) -> Any:
        return self.c(self.f(x).mean([2, 3]))


class MobileNetV3(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        A = nn.Hardswish
        self.f = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False),
            batch_norm(8),
            A(),
            InvertedResidual(8, 8, 2, 3, 1, nn.ReLU, nn.Hardsigmoid),
            InvertedResidual(8, 16, 3, 5, 2, A, nn.Hardsigmoid),
            InvertedResidual(16, 16, 3, 5, 1, A),
            nn.Conv2d(16, 64, 1, bias=False),
            batch_norm(64),
            A(),
        )
        self.c = nn.Sequential(nn.Linear(64, 32), A(), nn.Dropout(0.2), nn.Linear(32, 10))

    def forward(self, x: Tensor) -> Any:
        return self.c(F.adaptive_avg_pool2d(self.f(x), 1).flatten(1))


class EfficientNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        A = nn.SiLU
        self.f = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False),
            batch_norm(8),
            A(),
            InvertedResidual(8, 8, 2, 3, 1, A, nn.Sigmoid),
            SqueezeExciteLinear(8),
            InvertedResidual(8, 16, 3, 5, 2, A, nn.Sigmoid),
            nn.Conv2d(16, 32, 1),
            A(),
        )
        self.c = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Any:
        return self.c(F.adaptive_avg_pool2d(self.f(x), (1, 1)).view(-1, 32))


class DenseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, 1, 1)
        self.layers = nn.ModuleList(
            [
                nn.Sequential(
                    batch_norm(12 + 6 * i), nn.ReLU(), nn.Conv2d(12 + 6 * i, 6, 3, 1, 1, bias=False)
                )
                for i in range(3)
            ]
        )
        self.trans = nn.Sequential(batch_norm(30), nn.ReLU(), nn.Conv2d(30, 16, 1), nn.AvgPool2d(2))
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return self.fc(F.adaptive_avg_pool2d(F.relu(self.trans(x)), 1).flatten(1))


class ConvNeXt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 4, 4)
        self.dw = nn.Conv2d(16, 16, 7, padding=3, groups=16)
        self.n = nn.LayerNorm(16, eps=1e-06)
        self.p1 = nn.Linear(16, 64)
        self.p2 = nn.Linear(64, 16)
        self.gamma = nn.Parameter(torch.rand(16))
        self.h = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        y = self.n(self.dw(x).permute(0, 2, 3, 1))
        y = self.gamma * self.p2(F.gelu(self.p1(y)))
        x = x + y.permute(0, 3, 1, 2)
        return self.h(x.mean([-2, -1]))


class ShuffleNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), batch_norm(16), nn.ReLU())
        self.b = nn.Sequential(
            nn.Conv2d(8, 8, 1, bias=False),
            batch_norm(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False),
            batch_norm(8),
            nn.Conv2d(8, 8, 1, bias=False),
            batch_norm(8),
            nn.ReLU(),
        )
        self.h = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        a, b = x.chunk(2, 1)
        return self.h(shuffle(torch.cat([a, self.b(b)], 1), 2).mean([2, 3]))


class ShuffleNetV1(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 12, 3, 1, 1)
        self.b = nn.Conv2d(12, 12, 1, groups=3)
        self.h = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Any:
        return self.h(F.relu(self.b(shuffle(F.relu(self.a(x)), 3))).mean([2, 3]))
