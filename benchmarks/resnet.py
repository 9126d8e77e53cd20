"""A network like ResNet-18 (He et al., 2016) with random weights, made with torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

SIDE = 224


def export(path: Path) -> None:
    """Write the network for one image of 224 x 224; needs torch and onnxscript."""
    import torch
    from torch import nn

    class Block(nn.Module):
        """Two convolutions and the way around them."""

        def __init__(self, inner: int, outer: int, stride: int) -> None:
            super().__init__()
            self.ways = nn.Sequential(
                nn.Conv2d(inner, outer, 3, stride, 1, bias=False),
                nn.BatchNorm2d(outer),
                nn.ReLU(),
                nn.Conv2d(outer, outer, 3, 1, 1, bias=False),
                nn.BatchNorm2d(outer),
            )
            around = [nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)]
            self.around = nn.Sequential(*(around if stride != 1 or inner != outer else []))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.ways(x) + self.around(x))

    torch.manual_seed(0)
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    inner = 64
    for outer, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Block(inner, outer, stride), Block(outer, outer, 1)]
        inner = outer
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inner, 1000)]
    network = nn.Sequential(*layers).eval()
    sample = (torch.zeros(1, 3, SIDE, SIDE),)
    torch.onnx.export(
        network, sample, path, dynamo=True, input_names=["image"], external_data=False,
        verbose=False,
    )  # fmt: skip


def make_data(count: int, seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Random images."""
    rng = np.random.default_rng(seed)
    return {"image": rng.normal(size=(count, 3, SIDE, SIDE)).astype(np.float32)}
