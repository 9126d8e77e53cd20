"""Networks of dense layers: gates, learned activations, several inputs and outputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GatedLinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(12, 32)
        self.h = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Any:
        return self.h(F.glu(self.a(x), -1))


class SwishGated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Linear(12, 32)
        self.v = nn.Linear(12, 32)
        self.o = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Any:
        return self.o(F.silu(self.w(x)) * self.v(x))


class GeluGatedPacked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Linear(12, 64)
        self.o = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Any:
        a, b = self.w(x).chunk(2, -1)
        return self.o(F.gelu(a) * b)


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.i = nn.Conv2d(1, 8, 3, 2, 1)
        self.m = nn.Linear(5, 8)
        self.h = nn.Linear(16, 6)
        self.r = nn.Linear(16, 2)

    def forward(self, image: Tensor, meta: Tensor) -> Any:
        z = torch.cat([F.silu(self.i(image)).mean([2, 3]), torch.tanh(self.m(meta))], 1)
        return (self.h(z), torch.sigmoid(self.r(z)))


class SwishBeta(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.b = nn.Parameter(torch.tensor(1.7))
        self.c = nn.Parameter(torch.rand(16) + 0.5)
        self.l = nn.Linear(12, 16)
        self.m = nn.Linear(16, 16)
        self.h = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Any:
        x = self.l(x)
        x = x * torch.sigmoid(self.b * x)
        x = self.m(x)
        x = x * torch.sigmoid(self.c * x)
        return self.h(x)


class GaussianKan(nn.Module):
    """Gaussian radial basis KAN layer (FastKAN)."""

    def __init__(self) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.linspace(-2, 2, 8), requires_grad=False)
        self.w = nn.Linear(12 * 8, 6)
        self.base = nn.Linear(12, 6)
        self.h = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Any:
        b = torch.exp(-(((x[..., None] - self.g) / 0.57) ** 2))
        return self.h(self.w(b.view(x.shape[0], -1)) + self.base(F.silu(x)))


class SplineKan(nn.Module):
    """Efficient-KAN: Cox-de Boor order 2."""

    def __init__(self) -> None:
        super().__init__()
        g = torch.linspace(-3, 3, 9)
        self.register_buffer("g", g.repeat(6, 1))
        self.w = nn.Linear(6 * 6, 4)

    def forward(self, x: Tensor) -> Any:
        x = x.unsqueeze(-1)
        g = self.g
        b = ((x >= g[:, :-1]) & (x < g[:, 1:])).to(x.dtype)
        for k in (1, 2):
            b = (x - g[:, : -(k + 1)]) / (g[:, k:-1] - g[:, : -(k + 1)]) * b[:, :, :-1] + (
                g[:, k + 1 :] - x
            ) / (g[:, k + 1 :] - g[:, 1:-k]) * b[:, :, 1:]
        return self.w(b.reshape(x.size(0), -1))


class SineKan(nn.Module):
    """y_o = sum_i f_oi(x_i) with learned sine frequencies."""

    def __init__(self) -> None:
        super().__init__()
        self.f = nn.Parameter(torch.rand(5, 6) + 0.5)
        self.a = nn.Parameter(torch.randn(5, 6))

    def forward(self, x: Tensor) -> Any:
        return (self.a * torch.sin(x.unsqueeze(1) * self.f)).sum(-1)


class Perceptron(nn.Module):
    def __init__(self, act: Any, norm: Any = None) -> None:
        super().__init__()
        self.f = nn.Sequential(
            nn.Linear(12, 32),
            *([norm(32)] if norm else []),
            act(),
            nn.Dropout(),
            nn.Linear(32, 16),
            act(),
            nn.Linear(16, 4),
        )

    def forward(self, x: Tensor) -> Any:
        return self.f(x)


class SoftmaxHead(nn.Module):
    def __init__(self, log: bool = False) -> None:
        super().__init__()
        self.f = Perceptron(nn.GELU)
        self.log = log

    def forward(self, x: Tensor) -> Any:
        return F.log_softmax(self.f(x), -1) if self.log else F.softmax(self.f(x), -1)


class RmsNorm(nn.Module):
    def __init__(self, own: bool) -> None:
        super().__init__()
        self.a = nn.Linear(12, 16)
        self.h = nn.Linear(16, 4)
        self.own = own
        self.n = nn.RMSNorm(16)
        self.w = nn.Parameter(torch.rand(16) + 0.5)

    def forward(self, x: Tensor) -> Any:
        y = self.a(x)
        y = (
            y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-06) * self.w
            if self.own
            else self.n(y)
        )
        return self.h(y)


class OwnLayerNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(12, 16)
        self.h = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Any:
        y = self.a(x)
        m = y.mean(-1, keepdim=True)
        v = y.var(-1, keepdim=True, unbiased=False)
        return self.h((y - m) / torch.sqrt(v + 1e-05))


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.e = nn.Sequential(nn.Linear(12, 8), nn.Softplus(), nn.Linear(8, 3))
        self.d = nn.Sequential(nn.Linear(3, 8), nn.Softplus(), nn.Linear(8, 12), nn.Sigmoid())

    def forward(self, x: Tensor) -> Any:
        z = self.e(x)
        return (self.d(z), z)


class Highway(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.i = nn.Linear(12, 16)
        self.t = nn.Linear(16, 16)
        self.g = nn.Linear(16, 16)
        self.h = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Any:
        x = self.i(x)
        g = torch.sigmoid(self.g(x))
        return self.h(g * torch.relu(self.t(x)) + (1 - g) * x)


class Quotient(nn.Module):
    """Division of two activations, x / (1 + |y|)."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(12, 16)
        self.b = nn.Linear(12, 16)
        self.h = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Any:
        return self.h(self.a(x) / (1 + self.b(x).abs()))


class MaxOut(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(12, 16)
        self.b = nn.Linear(12, 16)
        self.h = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Any:
        return self.h(torch.maximum(self.a(x), self.b(x)))


class Dueling(nn.Module):
    """Dueling Q-network head."""

    def __init__(self) -> None:
        super().__init__()
        self.b = nn.Linear(12, 16)
        self.v = nn.Linear(16, 1)
        self.a = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Any:
        z = F.relu(self.b(x))
        a = self.a(z)
        return self.v(z) + a - a.mean(1, keepdim=True)


class Siren(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(2, 32)
        self.b = nn.Linear(32, 32)
        self.c = nn.Linear(32, 1)

    def forward(self, x: Tensor) -> Any:
        return self.c(torch.sin(6 * self.b(torch.sin(6 * self.a(x)))))


class Actor(nn.Module):
    """Continuous-control policy: tanh squashed mean and clamped log-std."""

    def __init__(self) -> None:
        super().__init__()
        self.f = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.m = nn.Linear(32, 3)
        self.s = nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Any:
        z = self.f(x)
        return (torch.tanh(self.m(z)) * 2.0, torch.exp(torch.clamp(self.s(z), -5, 2)))


class UnitLength(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(12, 16)
        self.h = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Any:
        return self.h(F.normalize(self.a(x), dim=1))


class IntFeatures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(6, 16)
        self.h = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Any:
        return self.h(F.gelu(self.a(torch.log1p(x.float()))))
