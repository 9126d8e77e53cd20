"""Train the example networks and write what `actc compile` needs.

    pip install "actc[torch]" scikit-learn
    python examples/digits/train.py

Writes, beside this file: mlp.onnx and digits_mlp.npz, cnn.onnx and digits.npz.
The data are scikit-learn's digits (8x8 grey levels), split 75/25 and stratified;
the .npz files hold the 450 test samples. Seeds are fixed: one machine and one
version of torch give the same weights again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass, RemoveUnusedNodesPass
from onnxscript.optimizer import fold_constants_ir
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HERE = Path(__file__).resolve().parent
OPSET = 18
INPUT = "image"
OUTPUT = "logits"
LEAST_ACCURACY = 0.975


class Split(NamedTuple):
    """Training and test images float32 [N, 8, 8] in 0..1 and labels int64 [N]."""

    train: npt.NDArray[np.float32]
    train_labels: npt.NDArray[np.int64]
    test: npt.NDArray[np.float32]
    test_labels: npt.NDArray[np.int64]


def load_split() -> Split:
    """Split scikit-learn's digits 75/25, stratified, seed 0."""
    digits = load_digits()
    images = (digits.images / 16.0).astype(np.float32)
    labels = digits.target.astype(np.int64)
    train, test, train_labels, test_labels = train_test_split(
        images, labels, test_size=0.25, random_state=0, stratify=labels
    )
    return Split(train, train_labels, test, test_labels)


def make_mlp() -> nn.Module:
    """64-64-64-10 with GELU; input [N, 64]."""
    return nn.Sequential(
        nn.Linear(64, 64),
        nn.GELU(),
        nn.Linear(64, 64),
        nn.GELU(),
        nn.Linear(64, 10),
    )


class GlobalAverage(nn.Module):
    """Mean over height and width: [N, C, H, W] to [N, C]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Average `x` over its last two axes."""
        return x.mean((2, 3))


def make_cnn() -> nn.Module:
    """Three convolutions with BatchNorm and SiLU, max pooling, a linear head; [N, 1, 8, 8]."""
    return nn.Sequential(
        *conv_block(1, 16),
        *conv_block(16, 32),
        nn.MaxPool2d(2),
        *conv_block(32, 32),
        nn.MaxPool2d(2),
        GlobalAverage(),
        nn.Linear(32, 10),
    )


def conv_block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    """3x3 convolution, BatchNorm, SiLU."""
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.SiLU()


def train(
    model: nn.Module,
    images: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    epochs: int,
    seed: int,
) -> nn.Module:
    """Train with AdamW and one cycle of the learning rate; images in the model's input shape."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    batches = -(-len(x) // 64)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=epochs * batches)
    model.train()
    for _ in range(epochs):
        for index in torch.split(torch.randperm(len(x), generator=generator), 64):
            loss = nn.functional.cross_entropy(model(x[index]), y[index], label_smoothing=0.05)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return model.eval()


def export(model: nn.Module, example: torch.Tensor, path: Path) -> None:
    """Export with a dynamic batch, in one file.

    The exporter's own optimizer would fold BatchNorm into the convolutions, which is
    actc's part to show; so only constants are folded here.
    """
    program = torch.onnx.export(
        model,
        (example,),
        dynamo=True,
        optimize=False,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    fold_constants_ir(program.model)
    RemoveUnusedNodesPass()(program.model)
    # The exporter records stack traces, and with them the paths of this machine.
    ClearMetadataAndDocStringPass()(program.model)
    program.model.metadata_props.clear()
    for value in (*program.model.graph.inputs, *program.model.graph.outputs):
        value.metadata_props.clear()
    for value in program.model.graph.initializers.values():
        value.metadata_props.clear()
    program.save(path, external_data=False)
    onnx.checker.check_model(path, full_check=True)


def accuracy(path: Path, images: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Top-1 accuracy of the exported model in onnxruntime."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (scores,) = session.run([OUTPUT], {INPUT: images})
    return float(np.mean(np.argmax(np.asarray(scores), axis=1) == labels))


def main() -> None:
    """Train, export and check both networks."""
    parser = argparse.ArgumentParser(description="train the digits examples")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to")
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data = load_split()
    jobs = (
        ("mlp", "digits_mlp", make_mlp, (-1, 64)),
        ("cnn", "digits", make_cnn, (-1, 1, 8, 8)),
    )
    for name, data_name, make, shape in jobs:
        training, test = data.train.reshape(shape), data.test.reshape(shape)
        torch.manual_seed(0)
        model = train(make(), training, data.train_labels, options.epochs, seed=0)
        path = options.output / f"{name}.onnx"
        export(model, torch.from_numpy(test[:2]), path)
        arrays: dict[str, Any] = {INPUT: test, "labels": data.test_labels}
        np.savez_compressed(options.output / f"{data_name}.npz", **arrays)
        reached = accuracy(path, test, data.test_labels)
        print(f"{name}: accuracy {reached:.4f} on {len(test)} samples, {path.stat().st_size} bytes")
        if reached < LEAST_ACCURACY:
            raise SystemExit(f"{name}: accuracy {reached:.4f} is below {LEAST_ACCURACY}")


if __name__ == "__main__":
    main()
