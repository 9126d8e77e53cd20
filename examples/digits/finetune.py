"""Compile a digits network to few bits, fine-tune exactly what runs, and write it back.

    pip install "actc[cpu,torch]"
    python examples/digits/finetune.py --network cnn --weights ternary --activations 3

Compiles on the 1347 training samples, trains on them for some epochs and prints the
accuracy on the 450 test samples, which neither step sees. Writes the compiled plan, the
trained golden.onnx and the trained float.onnx into a folder of their own.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from torch import nn

# The neighbour of this script: Python finds it beside the script that it runs.
from train import HERE, INPUT, load_split

import actc
import actc.torch

SHAPES = {"mlp": (-1, 64), "cnn": (-1, 1, 8, 8)}
BATCH = 32


def in_onnxruntime(path: Path, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The scores that the model in a file gives."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {INPUT: images})
    return np.asarray(scores)


def accuracy(scores: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """The part of the samples whose largest score is that of their label."""
    return float(np.mean(scores.argmax(axis=1) == labels))


def train(
    module: nn.Module,
    images: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    epochs: int,
    rate: float,
) -> None:
    """Adam with a learning rate that falls to zero; the loss of a network from scratch."""
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)
    steps = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for epoch in range(epochs):
        total = 0.0
        for index in torch.split(torch.randperm(len(x)), BATCH):
            loss = nn.functional.cross_entropy(module(x[index]), y[index])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(index)
        print(f"epoch {epoch + 1}: loss {total / len(x):.4f}")


def main() -> None:
    """Compile, fine-tune, write and compare."""
    parser = argparse.ArgumentParser(description="fine-tune a digits example on few bits")
    parser.add_argument("--network", choices=SHAPES, default="cnn")
    parser.add_argument("--weights", default="ternary", help="as for actc compile")
    parser.add_argument("--activations", default="3", help="as for actc compile")
    parser.add_argument("--gradient", default="derivative", help="as for actc.torch.prepare")
    parser.add_argument("--weight-gradient", default="straight-through")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate")
    parser.add_argument("--seed", type=int, default=0, help="of the order of the samples")
    parser.add_argument("--output", type=Path, default=Path("finetuned"))
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    data, shape = load_split(), SHAPES[options.network]
    images, held = data.train.reshape(shape), data.test.reshape(shape)
    source, plan = HERE / f"{options.network}.onnx", options.output / "plan"
    options.output.mkdir(parents=True, exist_ok=True)
    actc.compile(
        source,
        "onnx",
        data={INPUT: images, "labels": data.train_labels},
        output=plan,
        weights=options.weights,
        activations=options.activations,
        max_drop=1.0,
    )
    module = actc.torch.prepare(
        None, plan, gradient=options.gradient, weights=options.weight_gradient
    )
    start = time.perf_counter()
    train(module, images, data.train_labels, options.epochs, options.rate)
    seconds = time.perf_counter() - start
    trained = options.output / "golden.onnx"
    module.export(trained)
    module.float_model(options.output / "float.onnx")
    with torch.no_grad():
        scores = module(torch.from_numpy(held)).numpy()
    if not np.array_equal(scores, in_onnxruntime(trained, held)):
        raise SystemExit("the exported model differs from the module")
    for name, path in (("float", source), ("compiled", plan / "golden.onnx"), ("tuned", trained)):
        print(f"{name}: accuracy {accuracy(in_onnxruntime(path, held), data.test_labels):.4f}")
    print(f"trained in {seconds:.0f} s; {trained} equals the module on every bit")


if __name__ == "__main__":
    main()
