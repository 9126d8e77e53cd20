"""Pieces of networks on images: pooling, padding, normalization, upsampling."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.blocks import batch_norm


class UNet(nn.Module):
    def __init__(self, up: str) -> None:
        super().__init__()
        self.d1 = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU())
        self.d2 = nn.Sequential(nn.Conv2d(8, 16, 3, 1, 1), nn.ReLU())
        self.up = {
            "transpose": lambda: nn.ConvTranspose2d(16, 8, 2, 2),
            "nearest": lambda: nn.Upsample(scale_factor=2, mode="nearest"),
            "bilinear": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
        }[up]()
        c = 16 if up == "transpose" else 24
        self.u = nn.Sequential(nn.Conv2d(c, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 2, 1))

    def forward(self, x: Tensor) -> Any:
        a = self.d1(x)
        b = self.d2(F.max_pool2d(a, 2))
        return self.u(torch.cat([self.up(b), a], 1))


class FeatureMaps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, 2, 1)
        self.b = nn.Conv2d(8, 8, 3, 1, 1)
        self.h = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        y = F.relu(self.a(x))
        z = F.hardswish(self.b(y))
        return (self.h(z.mean([2, 3])), y, z)


class AveragePools(nn.Module):
    def __init__(self, pad: int, include: bool, ceil: bool = False) -> None:
        super().__init__()
        self.f = nn.Sequential(
            nn.Conv2d(3, 8, 3, 1, 1),
            nn.SiLU(),
            nn.AvgPool2d(3, 2, pad, ceil, include),
            nn.Conv2d(8, 8, 3),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.LazyLinear(6),
        )
        self.f(torch.zeros(1, 3, 16, 16))

    def forward(self, x: Tensor) -> Any:
        return self.f(x)


class InceptionBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 1)
        self.b = nn.Conv2d(3, 8, 3, 1, 1)
        self.h = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Any:
        z = torch.cat([F.relu(self.a(F.avg_pool2d(x, 3, 1, 1))), F.relu(self.b(x))], 1)
        return self.h(F.adaptive_max_pool2d(z, 1).flatten(1))


class MaxHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3)
        self.h = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        return self.h(torch.amax(F.elu(self.a(x)), (2, 3)))


class ReshapeHead(nn.Module):
    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, 2, 1)
        self.h = nn.Linear(4 * 64, 4)
        self.kind = kind

    def forward(self, x: Tensor) -> Any:
        y = F.relu(self.a(x))
        y = {
            "flatten": lambda: torch.flatten(y, 1),
            "reshape": lambda: y.reshape(y.size(0), -1),
            "view": lambda: y.view(-1, 4 * 64),
            "unflat": lambda: y.permute(0, 2, 3, 1).reshape(y.shape[0], 256),
        }[self.kind]()
        return self.h(y)


class ParametricRelu(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.f = nn.Sequential(
            nn.Conv2d(3, 8, 3),
            nn.PReLU(8),
            nn.Conv2d(8, 8, 3),
            nn.PReLU(),
            nn.Flatten(),
            nn.LazyLinear(16),
            nn.PReLU(16),
            nn.Linear(16, 4),
        )
        self.f(torch.zeros(1, 3, 16, 16))
        with torch.no_grad():
            self.f[1].weight.uniform_(-0.3, 0.5)
            self.f[6].weight.uniform_(-0.3, 0.5)

    def forward(self, x: Tensor) -> Any:
        return self.f(x)


class Normalization(nn.Module):
    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 8, 3, 1, 1)
        self.n = norm()
        self.h = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        return self.h(F.silu(self.n(self.c(x))).mean([2, 3]))


class PixelShuffle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, 1, 1)
        self.b = nn.Conv2d(8, 12, 3, 1, 1)

    def forward(self, x: Tensor) -> Any:
        return F.pixel_shuffle(self.b(F.leaky_relu(self.a(x), 0.2)), 2)


class Padded(nn.Module):
    def __init__(self, mode: str) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3)
        self.h = nn.Linear(8, 4)
        self.mode = mode

    def forward(self, x: Tensor) -> Any:
        return self.h(F.silu(self.a(F.pad(x, (1, 1, 1, 1), self.mode))).mean([2, 3]))


class Normalised(nn.Module):
    """Input normalisation inside the network."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("m", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("s", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.a = nn.Conv2d(3, 8, 3, 2, 1)
        self.h = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        return self.h(F.silu(self.a((x - self.m) / self.s)).mean([2, 3]))


class Focus(nn.Module):
    """YOLOv5 focus slices, SPPF max pools."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(12, 8, 1)
        self.b = nn.Conv2d(32, 8, 1)
        self.h = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        x = torch.cat(
            [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1
        )
        x = F.silu(self.a(x))
        p = [x]
        for _ in range(3):
            p.append(F.max_pool2d(p[-1], 5, 1, 2))
        return self.h(F.silu(self.b(torch.cat(p, 1))).mean([2, 3]))


class TransposedConvolutions(nn.Module):
    """Strided, overlapping transposed convolutions with output padding, groups and BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, 2, 1)
        self.b = nn.ConvTranspose2d(8, 8, 3, 2, 1, output_padding=1, groups=2)
        self.n = batch_norm(8)
        self.c = nn.ConvTranspose2d(8, 4, 4, 2, 1)
        self.d = nn.ConvTranspose2d(4, 2, 3, 1, 1)

    def forward(self, x: Tensor) -> Any:
        return self.d(F.silu(self.c(F.silu(self.n(self.b(F.relu(self.a(x))))))))


class MinPool(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3)
        self.b = nn.Conv2d(3, 8, 3)
        self.h = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        return self.h(torch.amin(torch.minimum(F.silu(self.a(x)), self.b(x)), (2, 3)))


class PadInFrontOfPool(nn.Module):
    """Zero-padded shortcut, pad before max pool."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, 2, 1)
        self.b = nn.Conv2d(3, 8, 3)
        self.h = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        return self.h(F.max_pool2d(F.pad(F.relu(self.a(x)), (0, 1, 0, 1)), 3, 2).mean([2, 3]))


class Uint8Image(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, 2, 1)
        self.h = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Any:
        return self.h(
            F.silu(self.a((x.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25)).mean([2, 3])
        )


class NearestToSize(nn.Module):
    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.a = nn.Conv2d(3, 8, 3, 2, 1)
        self.b = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Any:
        return self.b(F.interpolate(F.silu(self.a(x)), size=self.size, mode="nearest"))


class LayerNormOverImage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, 2, 1)
        self.n = nn.LayerNorm((8, 8, 8))
        self.h = nn.Linear(8, 4)
        with torch.no_grad():
            self.n.weight.uniform_(0.5, 1.5)
            self.n.bias.uniform_(-0.3, 0.3)

    def forward(self, x: Tensor) -> Any:
        return self.h(F.gelu(self.n(self.a(x))).mean([2, 3]))
