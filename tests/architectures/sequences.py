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


class VisionTransformer(nn.Module):
    """A class token, learned positions, one projection for queries, keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Conv2d(3, 24, 4, 4)
        self.cls = nn.Parameter(torch.randn(1, 1, 24) * 0.2)
        self.pos = nn.Parameter(torch.randn(1, 17, 24) * 0.2)
        self.n1, self.n2 = nn.LayerNorm(24), nn.LayerNorm(24)
        self.qkv, self.o = nn.Linear(24, 72), nn.Linear(24, 24)
        self.f = nn.Sequential(nn.Linear(24, 48), nn.GELU(), nn.Linear(48, 24))
        self.h = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.p(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos
        q, k, v = self.qkv(self.n1(x)).reshape(-1, 17, 3, 4, 6).permute(2, 0, 3, 1, 4).unbind(0)
        a = F.scaled_dot_product_attention(q, k, v)
        x = x + self.o(a.transpose(1, 2).reshape(-1, 17, 24))
        return self.h((x + self.f(self.n2(x)))[:, 0])


class WindowAttention(nn.Module):
    """A learned bias per pair of positions, and a constant mask of -100, as in Swin."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(8, 8) for _ in range(4))
        self.bias = nn.Parameter(torch.randn(2, 6, 6) * 0.5)
        mask = torch.zeros(6, 6)
        mask[:3, 3:] = mask[3:, :3] = -100.0
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Any:
        q, k, v = (p(x).view(-1, 6, 2, 4).transpose(1, 2) for p in (self.q, self.k, self.v))
        a = torch.softmax(q * 0.5 @ k.transpose(-1, -2) + self.bias + self.mask, -1)
        return self.o((a @ v).transpose(1, 2).reshape(-1, 6, 8))


class MultiheadAttention(nn.Module):
    """torch's own module, with padding hidden where a token is 0, and the causal mask."""

    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.e = nn.Embedding(30, 16)
        self.a = nn.MultiheadAttention(16, 2, batch_first=True)
        self.h = nn.Linear(16, 4)
        mask = torch.triu(torch.full((12, 12), float("-inf")), 1) if causal else None
        self.register_buffer("mask", mask)

    def forward(self, i: Tensor) -> Any:
        x = self.e(i)
        if self.mask is not None:
            return self.h(self.a(x, x, x, attn_mask=self.mask)[0])
        return self.h(self.a(x, x, x, key_padding_mask=i == 0, need_weights=False)[0])


class Encoder(nn.Module):
    """BERT: three embeddings, padding masked by a large negative number."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.words, self.positions, self.types = (nn.Embedding(n, 16) for n in (30, 32, 2))
        self.register_buffer("ids", torch.arange(32)[None])
        self.n0, self.n1, self.n2 = nn.LayerNorm(16, 1e-12), nn.LayerNorm(16), nn.LayerNorm(16)
        self.q, self.k, self.v, self.o = (nn.Linear(16, 16) for _ in range(4))
        self.f = nn.Sequential(nn.Linear(16, 48), nn.GELU(), nn.Linear(48, 16))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        x = self.words(input_ids) + self.types(torch.zeros_like(input_ids))
        x = self.n0(x + self.positions(self.ids[:, : input_ids.shape[1]]))
        q, k, v = (p(x).view(*x.shape[:2], 4, 4).transpose(1, 2) for p in (self.q, self.k, self.v))
        y = self.attend(q, k, v, attention_mask[:, None, None, :])
        x = self.n1(x + self.o(y.transpose(1, 2).reshape(x.shape)))
        return self.n2(x + self.f(x))

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Any:
        if self.kind == "sdpa":
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask.bool())
        scores = q @ k.transpose(-1, -2) / math.sqrt(4)
        if self.kind == "fill":
            hidden = (mask == 0).expand_as(scores)
            return torch.softmax(scores.masked_fill(hidden, float("-inf")), -1) @ v
        lowest = {"add": torch.finfo(torch.float32).min, "old": -10000.0}[self.kind]
        return torch.softmax(scores + (1.0 - mask.float()) * lowest, -1) @ v


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
