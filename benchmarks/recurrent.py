"""What the sizes inside integer LSTM, GRU and RNN layers cost, in accuracy.

    python benchmarks/recurrent.py

Layers trained on the rows of scikit-learn's digits, and on a running sum of the marked
numbers of a sequence: trained on 100 steps, run on 500. RMS over all outputs of the
layer: golden against float (which is the error of int8 weights and inputs), and golden
against golden with the finest tables, or the widest states.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from integer_models import golden_of
from models import run

from actc.ir import spec
from actc.passes.integer import gates

Array = np.ndarray[Any, Any]

HIDDEN = 32
FINEST = gates.Tables(14, 4)
TABLES = [(10, 0), (12, 0), (14, 0), (16, 0), (8, 6), (9, 7), (10, 6), (11, 7)]
WIDTHS = (7, 9, 11, 13)
LEAKS = (0.99, 0.999, 0.9995)
ROOMS = (12, 15, 19)


class Net(nn.Module):
    """A recurrent layer and a linear one on its outputs."""

    def __init__(self, kind: str, width: int, classes: int) -> None:
        super().__init__()
        self.layer = getattr(nn, kind)(width, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, classes)

    def forward(self, x: Tensor) -> Any:
        """[N, T, width] -> [N, T, classes]."""
        return self.head(self.layer(x)[0])


def digits(kind: str) -> tuple[Net, Array, Array]:
    """Trained on the eight rows of each digit: the net, its calibration and test inputs."""
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 8, 8), torch.tensor(labels)
    net = Net(kind, 8, 10)

    def loss(part: Tensor) -> Any:
        return functional.cross_entropy(net(x[part])[:, -1], y[part])

    train(net, loss, lambda: torch.randint(0, 1300, (64,)), 600)
    return net, x[:256].numpy(), x[1300:].numpy()


def marked(samples: int, steps: int) -> tuple[Tensor, Tensor]:
    """Numbers and marks [samples, steps, 2], and the running sum of the marked ones."""
    numbers = torch.rand(samples, steps, 1) * 2 - 1
    marks = (torch.rand(samples, steps, 1) < 0.05).float()
    return torch.cat([numbers, marks], 2), (numbers * marks).cumsum(1)


def sums(kind: str) -> tuple[Net, Array, Array]:
    """Trained to add up over 100 steps; test inputs of 500."""
    net = Net(kind, 2, 1)

    def loss(part: tuple[Tensor, Tensor]) -> Any:
        return ((net(part[0]) - part[1]) ** 2).mean()

    train(net, loss, lambda: marked(64, 100), 250)
    return net, marked(32, 500)[0].numpy(), marked(16, 500)[0].numpy()


def train(net: Net, loss: Callable[[Any], Any], draw: Callable[[], Any], steps: int) -> None:
    """Adam on what `draw` gives."""
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(steps):
        value = loss(draw())
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()


def exported(net: Net, x: Array) -> onnx.ModelProto:
    """The recurrent layer alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        torch.onnx.export(
            net.layer.eval(), (torch.from_numpy(x[:2]),), path, dynamo=False,
            input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "N"}},
        )  # fmt: skip
        model = onnx.load(path)
    del model.graph.output[1:]
    return model


def golden(model: onnx.ModelProto, x: Array, tables: gates.Tables) -> onnx.ModelProto:
    """Golden with tables of another size."""
    kept, gates.TABLES = gates.TABLES, tables
    try:
        return golden_of(model, {"x": x})
    finally:
        gates.TABLES = kept


def rms(a: Array, b: Array) -> float:
    """Root of the mean square of the difference."""
    return float(np.sqrt(np.mean((a.astype(np.float64) - b) ** 2)))


def by_width(found: onnx.ModelProto, x: Array) -> Iterator[tuple[int, float]]:
    """Error when the matrix reads h with fewer bits than 15."""
    whole, product = spec.run(found, {"x": x})["y"], spec.recurrent._product
    for bits in WIDTHS:
        unit = 2 ** (gates.STATE_BITS - bits)
        spec.recurrent._product = lambda h, r, unit=unit: product((h + unit // 2) // unit * unit, r)
        yield bits, rms(spec.run(found, {"x": x})["y"], whole)
    spec.recurrent._product = product


def dead_band(leak: float, bits: int, steps: int = 20000) -> float:
    """Where a cell of one half comes to rest that should leak away to zero."""
    cell, factor = 1 << (bits - 1), round(leak * 2**15)
    for _ in range(steps):
        cell = (factor * cell + 2**14) >> 15
    return cell / 2**bits


def main() -> None:
    """Print the tables."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print("RMS            float  ", *(f"{f'{k}+{q}':>8}" for k, q in TABLES), sep="")
    cases = [(digits, kind) for kind in ("LSTM", "GRU", "RNN")]
    cases += [(sums, kind) for kind in ("LSTM", "GRU")]
    widths = []
    for task, kind in cases:
        net, calibration, test = task(kind)
        model = exported(net, calibration)
        finest = golden(model, calibration, FINEST)
        best = run(finest, {"x": test})["y"]
        line = f"{task.__name__:<7}{kind:<6}{rms(best, run(model, {'x': test})['y']):>8.1e}"
        for sizes in TABLES:
            found = golden(model, calibration, gates.Tables(*sizes))
            line += f"{rms(run(found, {'x': test})['y'], best):>8.1e}"
        print(line, flush=True)
        few = test[:64]
        cells = "".join(f"{error:>8.1e}" for _, error in by_width(finest, few))
        widths.append(f"{task.__name__:<7}{kind:<6}{cells}")
    print("\nRMS when the matrix reads h with", *WIDTHS, "bits (of 15)")
    print("\n".join(widths))
    print("\na leaking cell comes to rest at: forget gate", *LEAKS)
    for bits in ROOMS:
        rests = "".join(f"{dead_band(leak, bits):>10.4f}" for leak in LEAKS)
        print(f"{bits} fraction bits{rests}")


if __name__ == "__main__":
    main()
