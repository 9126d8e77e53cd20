"""Networks on sequences: one-dimensional convolutions, mixers, attention, recurrence, tokens."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.blocks import MixerBlock, Snake, batch_norm


class Conv1dNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.f = nn.Sequential(
            nn.Conv1d(4, 16, 5, 2, 2),
            batch_norm(16, 1),
            nn.GELU(),
            nn.MaxPool1d(2),
            nn.Conv1d(16, 16, 3, 1, 2, dilation=2, groups=4),
            nn.ELU(),
            nn.Conv1d(16, 24, 3),
            nn.Mish(),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(24, 5),
        )

    def forward(self, x: Tensor) -> Any:
        return self.f(x)


class CausalConvolutions(nn.Module):
    """Causal convolutions (pad left)."""

    def __init__(self) -> None:
        super().__init__()
        self.c1 = nn.Conv1d(4, 16, 3, dilation=1)
        self.c2 = nn.Conv1d(16, 16, 3, dilation=2)
        self.r = nn.Conv1d(4, 16, 1)
        self.fc = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Any:
        y = F.relu(self.c1(F.pad(x, (2, 0))))
        y = F.relu(self.c2(F.pad(y, (4, 0))))
        return self.fc(F.relu(y + self.r(x))[:, :, -1])


class TanhSigmoidGate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.f = nn.Conv1d(4, 8, 3, padding=1)
        self.g = nn.Conv1d(4, 8, 3, padding=1)
        self.o = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        return self.o((torch.tanh(self.f(x)) * torch.sigmoid(self.g(x))).mean(-1))


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Conv2d(3, 24, 4, 4)
        self.b = nn.Sequential(MixerBlock(16, 24), MixerBlock(16, 24))
        self.n = nn.LayerNorm(24)
        self.h = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.p(x).flatten(2).transpose(1, 2)
        return self.h(self.n(self.b(x)).mean(1))


class ViT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Conv2d(3, 16, 4, 4)
        self.pos = nn.Parameter(torch.randn(1, 16, 16) * 0.1)
        self.q, self.k, self.v, self.o = (nn.Linear(16, 16) for _ in range(4))
        self.n = nn.LayerNorm(16)
        self.h = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.p(x).flatten(2).transpose(1, 2) + self.pos
        y = self.n(x)
        q, k, v = (part(y).view(-1, 16, 2, 8).transpose(1, 2) for part in (self.q, self.k, self.v))
        a = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(8), -1)
        return self.h((x + self.o((a @ v).transpose(1, 2).reshape(-1, 16, 16))).mean(1))


class TransformerLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.l = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, activation="gelu")
        self.h = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Any:
        return self.h(self.l(x)[:, 0])


class Recurrent(nn.Module):
    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.r = kind(4, 8, batch_first=True)
        self.h = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Any:
        return self.h(self.r(x)[0][:, -1])


class SnakeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.f = nn.Sequential(
            nn.Conv1d(2, 8, 5, padding=2),
            Snake(8),
            nn.Conv1d(8, 8, 5, padding=2),
            Snake(8),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(8, 4),
        )

    def forward(self, x: Tensor) -> Any:
        return self.f(x)


class EmbedConv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.e = nn.Embedding(30, 8)
        self.c = nn.Conv1d(8, 16, 3, padding=1)
        self.h = nn.Linear(16, 4)

    def forward(self, i: Tensor) -> Any:
        return self.h(F.gelu(self.c(self.e(i).transpose(1, 2))).amax(-1))


class EmbedBag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.e = nn.Embedding(30, 8)
        self.h = nn.Linear(8, 4)

    def forward(self, i: Tensor) -> Any:
        return self.h(torch.tanh(self.e(i)).mean(1))


class EmbedPos(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.e = nn.Embedding(30, 8)
        self.p = nn.Embedding(12, 8)
        self.n = nn.LayerNorm(8)
        self.h = nn.Linear(8, 4)

    def forward(self, i: Tensor) -> Any:
        x = self.e(i) + self.p(torch.arange(i.shape[1]))
        return self.h(self.n(x).mean(1))


class AttentionPooling(nn.Module):
    """Attention pooling without a product of two activations as matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(8, 16)
        self.s = nn.Linear(16, 1)
        self.h = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Any:
        y = torch.tanh(self.a(x))
        w = torch.softmax(self.s(y), 1)
        return self.h((w * y).sum(1))


class GraphConvolution(nn.Module):
    """Constant adjacency times features: MatMul with the constant on the left."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("A", torch.softmax(torch.randn(6, 6), -1))
        self.a = nn.Linear(4, 8)
        self.h = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Any:
        return self.h(torch.relu(self.A @ self.a(x)).mean(1))


class Upsampler(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.ConvTranspose1d(4, 8, 8, 4, 2)
        self.b = nn.ConvTranspose1d(8, 1, 3, 5)

    def forward(self, x: Tensor) -> Any:
        return torch.tanh(self.b(F.leaky_relu(self.a(x), 0.1)))


class ScoresAndFeatures(nn.Module):
    """Squeeze-excite over time; two outputs share a trunk, one passes through softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.l = nn.Linear(6, 8)
        self.h = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Any:
        z = torch.tanh(self.l(x))
        return (F.softmax(self.h(z), -1), z.flatten(1))
