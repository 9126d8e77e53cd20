"""Train the networks of the FPGA examples and write what `actc compile` needs.

    pip install "actc[torch]" scikit-learn
    python examples/fpga/train.py

Writes, beside this file, for each network NAME.onnx, and digits_train.npz to compile with
(ranges are calibrated on the training samples) and digits.npz with the samples that neither
training nor compiling sees. Seeds are fixed: one
machine and one version of torch give the same weights again.

Then it compiles each network as its job says and prints the accuracy of the float network
and of golden.onnx on the held-out samples.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from torch import nn

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
from digits.train import INPUT, export, load_split  # noqa: E402
from digits.train import train as train_float  # noqa: E402
from few_bits import few_bit_mlp, plain, train  # noqa: E402

import actc  # noqa: E402

SEED = 0
"""Of all networks: none is chosen by what it reaches on the held-out samples."""


@dataclass(frozen=True)
class Data:
    """Samples float32 [N, inputs] and classes int64 [N], to train with and held out."""

    samples: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    held: npt.NDArray[np.float32]
    held_labels: npt.NDArray[np.int64]


def digits() -> Data:
    """scikit-learn's digits, flat: 1347 to train with, 450 held out."""
    split = load_split()
    flat = split.train.reshape(-1, 64), split.test.reshape(-1, 64)
    return Data(flat[0], split.train_labels, flat[1], split.test_labels)


@dataclass(frozen=True)
class Job:
    """A network to train.

    Attributes:
        make: trains it, and gives the float network.
        weights, activations: bits, as for `actc compile`.
        least: accuracy that golden.onnx must reach on the held-out samples.
        drop: the most that it may lose against the float network.
        options: further ones of `actc.compile`.
    """

    make: Callable[[Data], nn.Module]
    weights: str
    activations: str
    least: float
    drop: float = 0.01
    options: dict[str, Any] = field(default_factory=dict)


def make_digits_mlp(data: Data) -> nn.Module:
    """64-16-10 with GELU, trained in float: five bits lose little without more."""
    torch.manual_seed(SEED)
    model = nn.Sequential(nn.Linear(64, 16), nn.GELU(), nn.Linear(16, 10))
    return train_float(model, data.samples, data.labels, epochs=60, seed=SEED)


def make_digits_small(data: Data) -> nn.Module:
    """64-12-10 with GELU, a third of its weights, three bits each."""
    torch.manual_seed(SEED)
    model = few_bit_mlp((64, 12, 10), weights=3, tensors=4, keep=0.35)
    train(model, data.samples, data.labels, epochs=100, seed=SEED)
    return plain(model)


def make_digits_sparse(data: Data) -> nn.Module:
    """64-16-10 with GELU, a quarter of its first weights: where fine-tuning for logic starts."""
    torch.manual_seed(SEED)
    model = few_bit_mlp((64, 16, 10), weights=5, tensors=4, keep=0.25)
    train(model, data.samples, data.labels, epochs=100, seed=SEED)
    return plain(model)


KEPT = 3000
"""Training samples in DATA_train.npz, the first ones: enough to calibrate on."""
NEAREST = {"rounding": "nearest"}
"""Of weights that lie on the grid of their codes already."""
JOBS = {
    "digits_mlp": Job(make_digits_mlp, "5", "5", least=0.955),
    "digits_small": Job(make_digits_small, "3", "4", least=0.935, drop=0.02),
    "digits_sparse": Job(make_digits_sparse, "5", "4", least=0.95, options=NEAREST),
}


def write_data(folder: Path, name: str, data: Data) -> None:
    """Write NAME_train.npz and NAME.npz."""
    for path, samples, labels in (
        (folder / f"{name}_train.npz", data.samples[:KEPT], data.labels[:KEPT]),
        (folder / f"{name}.npz", data.held, data.held_labels),
    ):
        arrays: dict[str, Any] = {INPUT: samples, "labels": labels}
        np.savez_compressed(path, **arrays)


def accuracy(path: Path, data: Data) -> float:
    """Top-1 accuracy of a model in onnxruntime on the held-out samples."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {INPUT: data.held})
    return float(np.mean(np.asarray(scores).argmax(axis=1) == data.held_labels))


def compiled_accuracy(path: Path, job: Job, data: Data) -> float:
    """The same of golden.onnx, compiled on the training samples."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "plan"
        actc.compile(
            path,
            "onnx",
            data={INPUT: data.samples[:KEPT], "labels": data.labels[:KEPT]},
            output=output,
            weights=job.weights,
            activations=job.activations,
            max_drop=1.0,
            **job.options,
        )
        return accuracy(output / "golden.onnx", data)


def run(name: str, job: Job, data: Data, folder: Path) -> None:
    """Train, export and check one network."""
    start = time.process_time()
    model = job.make(data)
    seconds = time.process_time() - start
    path = folder / f"{name}.onnx"
    export(model, torch.from_numpy(data.held[:2]), path)
    found, golden = accuracy(path, data), compiled_accuracy(path, job, data)
    print(
        f"{name}: accuracy {found:.4f}, golden ({job.weights}-bit weights, "
        f"{job.activations}-bit tensors) {golden:.4f} on {len(data.held)} held-out samples; "
        f"{path.stat().st_size} bytes, trained in {seconds:.0f} s",
        flush=True,
    )
    if golden < job.least or found - golden > job.drop:
        raise SystemExit(f"{name}: golden must reach {job.least} and lose at most {job.drop}")


def main() -> None:
    """Train, export and check the networks."""
    parser = argparse.ArgumentParser(description="train the networks of the FPGA examples")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to")
    parser.add_argument("--models", nargs="+", choices=list(JOBS), default=list(JOBS))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data = digits()
    write_data(options.output, "digits", data)
    for name in options.models:
        run(name, JOBS[name], data, options.output)


if __name__ == "__main__":
    main()
