"""Fine-tune the digits MLP for logic: few adders, the accuracy of five bits.

    pip install "actc[torch]" scikit-learn
    python examples/fpga/finetune.py

Compiles digits_sparse.onnx on the training samples (5-bit weights, 4-bit tensors), trains
exactly what will run until its adders have at most `--bits` bits, and writes
digits_tuned.onnx: a golden model that `actc compile` takes as it is. It prints what the
layers take before and after, and the accuracy on the held-out samples, which neither step sees.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
from digits.train import INPUT  # noqa: E402
from train import JOBS, SEED, accuracy, digits  # noqa: E402

import actc  # noqa: E402
from actc.torch import PreparedModule, fine_tune_for_logic, logic, prepare  # noqa: E402

START = "digits_sparse"
BITS = 2340
LEAST_ACCURACY = 0.955


def print_logic(module: PreparedModule) -> None:
    """What the layers take, unrolled."""
    for layer in logic(module):
        print(
            f"  {layer.layer}: {layer.kept} of {layer.weights} weights, {layer.digits} signed "
            f"digits, {layer.adders} adders of {layer.bits} bits"
        )


def main() -> None:
    """Compile, fine-tune, write and compare."""
    parser = argparse.ArgumentParser(description="fine-tune the digits MLP for logic")
    parser.add_argument("--bits", type=int, default=BITS, help="of all adders together")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--rate", type=float, default=1.5e-3, help="learning rate")
    parser.add_argument("--output", type=Path, default=HERE / "digits_tuned.onnx")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data, job = digits(), JOBS[START]
    with tempfile.TemporaryDirectory() as folder:
        plan = actc.compile(
            HERE / f"{START}.onnx",
            "onnx",
            data={INPUT: data.samples, "labels": data.labels},
            output=Path(folder) / "plan",
            weights=job.weights,
            activations=job.activations,
            max_drop=1.0,
            **job.options,
        )
        module = prepare(None, plan)
        print(f"compiled: accuracy {accuracy(Path(folder) / 'plan/golden.onnx', data):.4f}")
        print_logic(module)
        start = time.process_time()
        fine_tune_for_logic(
            module,
            data.samples,
            data.labels,
            bits=options.bits,
            epochs=options.epochs,
            rate=options.rate,
            seed=SEED,
        )
        seconds = time.process_time() - start
        module.export(options.output)
    reached = accuracy(options.output, data)
    print(f"fine-tuned in {seconds:.0f} s: accuracy {reached:.4f}")
    print_logic(module)
    with torch.no_grad():
        scores = module(torch.from_numpy(data.held))
    assert isinstance(scores, torch.Tensor)  # the network has one output
    found = scores.numpy().argmax(1)
    if float(np.mean(found == data.held_labels)) != reached:
        raise SystemExit("the exported model differs from the module")
    if reached < LEAST_ACCURACY:
        raise SystemExit(f"accuracy {reached:.4f} is below {LEAST_ACCURACY}")


if __name__ == "__main__":
    main()
