"""Train a GRU and an LSTM on a real series, for a step machine in hardware.

    pip install "actc[torch]" scikit-learn && pip install --no-deps sktime==1.2.0
    python examples/folded/series.py

JapaneseVowels (M. Kudo, J. Toyama, M. Shimbo, 1999; UCI): nine men say two vowels, 12
coefficients of linear prediction at each of 7 to 29 steps; who spoke? 270 utterances to
train with and 370 held out, as the package sktime has them. Shorter ones get zeros in front,
so that the state behind the last step is that of the end of the utterance.

Writes, beside this file, vowels_gru.onnx and vowels_lstm.onnx (16 units, the last state to
nine scores), vowels_train.npz to compile with and vowels.npz with the held-out utterances.
Then it compiles both and prints the accuracy on the held-out utterances. Seeds are fixed: one
machine and one version of torch give the same weights again.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
from digits.train import INPUT as EXPORTED_INPUT  # noqa: E402
from digits.train import export  # noqa: E402
from measure import Bits, Data, Labels, Samples, accuracy, golden_accuracy  # noqa: E402

SEED = 0
INPUT = "series"
STEPS, COEFFICIENTS, SPEAKERS = 29, 12, 9
UNITS = 16
EPOCHS, BATCH, RATE = 100, 27, 1e-2
NOISE = 0.05
"""Deviation of what is added to the coefficients in training."""
BITS = Bits("8", "8")
LEAST = 0.955
"""Accuracy that each golden.onnx must reach on the held-out utterances."""
LAYERS = {"vowels_gru": nn.GRU, "vowels_lstm": nn.LSTM}


def read(path: Path) -> tuple[Samples, Labels]:
    """Read a .ts file: float32 [N, 29, 12], zeros in front, and classes [N]."""
    text = path.read_text("utf-8").splitlines()
    lines = [line for line in text if line and line[0] not in "@#"]
    samples = np.zeros((len(lines), STEPS, COEFFICIENTS), np.float32)
    labels = np.zeros(len(lines), np.int64)
    for number, line in enumerate(lines):
        *dimensions, label = line.split(":")
        values = np.array([dimension.split(",") for dimension in dimensions], np.float32)
        samples[number, STEPS - values.shape[1] :] = values.T
        labels[number] = int(label) - 1
    return samples, labels


def vowels() -> Data:
    """The utterances in the installed package, which is not imported."""
    spec = importlib.util.find_spec("sktime")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the data are in a package: pip install --no-deps sktime==1.2.0")
    folder = Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "JapaneseVowels"
    train, held = (read(folder / f"JapaneseVowels_{part}.ts") for part in ("TRAIN", "TEST"))
    return Data(INPUT, *train, *held)


class Listener(nn.Module):
    """A recurrent layer, its last state to scores; [N, steps, coefficients]."""

    def __init__(self, layer: type[nn.GRU] | type[nn.LSTM]) -> None:
        super().__init__()
        self.steps = layer(COEFFICIENTS, UNITS, batch_first=True)
        self.head = nn.Linear(UNITS, SPEAKERS)

    def forward(self, x: Tensor) -> Tensor:
        """Scores [N, speakers]."""
        _, state = self.steps(x)
        last = state[0] if isinstance(state, tuple) else state
        return self.head(last[0])  # type: ignore[no-any-return, unused-ignore]


def train(model: nn.Module, data: Data) -> nn.Module:
    """AdamW with one cycle of the learning rate, noise on what is not padding."""
    x, y = torch.from_numpy(data.train), torch.from_numpy(data.train_labels)
    generator = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    steps = EPOCHS * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    model.train()
    for _ in range(EPOCHS):
        for index in torch.split(torch.randperm(len(x), generator=generator), BATCH):
            noise = NOISE * torch.randn(x[index].shape, generator=generator)
            scores = model(x[index] + noise * (x[index] != 0))
            loss = nn.functional.cross_entropy(scores, y[index], label_smoothing=0.1)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return model.eval()


def write(model: nn.Module, data: Data, path: Path) -> None:
    """Export, the input named after what it is."""
    export(model, torch.from_numpy(data.test[:2]), path)
    exported = onnx.load(path)
    for node in exported.graph.node:
        node.input[:] = [INPUT if name == EXPORTED_INPUT else name for name in node.input]
    exported.graph.input[0].name = INPUT
    onnx.checker.check_model(exported, full_check=True)
    onnx.save(exported, path)


def main() -> None:
    """Train, export and check both networks."""
    parser = argparse.ArgumentParser(description="train the recurrent networks that are folded")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data = vowels()
    data.write(options.output, "vowels", len(data.train), len(data.test))
    for name, layer in LAYERS.items():
        start = time.process_time()
        torch.manual_seed(SEED)
        model = train(Listener(layer), data)
        seconds = time.process_time() - start
        path = options.output / f"{name}.onnx"
        write(model, data, path)
        found = accuracy(path, INPUT, data.test, data.test_labels)
        golden = golden_accuracy(path, BITS, len(data.train), data)
        print(f"{name}: accuracy {found:.4f}, golden {golden:.4f}; trained in {seconds:.0f} s")
        if golden < LEAST:
            raise SystemExit(f"{name}: golden must reach {LEAST}")


if __name__ == "__main__":
    main()
