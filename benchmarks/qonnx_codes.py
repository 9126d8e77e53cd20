"""What QONNX models compute beside golden, and what they give when they are read back.

    python benchmarks/qonnx_codes.py [--models digits-mlp mnist-cnn-silu]
        [--scales free power-of-two]

For each network of benchmarks/tasks, 64 calibration samples: the codes of model.qonnx.onnx
(`actc compile --target onnx:qonnx`), run as QONNX defines its operators in float32, that differ
from golden's, the largest difference of an output, and the largest difference of golden of the
file, read back, to golden of the network; both relative to the output's peak. The table goes to
stdout, progress to stderr. What fails is in the table with its reason.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from tasks.base import NotFetched, Task
from tasks.every import TASKS

import actc
from actc.checks.stages import run_model
from actc.errors import ActcError
from actc.prepare import prepare

SAMPLES = 64
HEAD = "| network | scales | codes beside golden's | outputs | read back |\n|---|---|---|---|---|"


def log(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)


def row(task: Task, scales: str) -> str:
    """One line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        source, data = task.model(path), task.calibration(min(task.samples, SAMPLES))
        options = {"data": data, "max_drop": 1.0}
        first = actc.compile(source, "onnx:qonnx", output=path / "a", scales=scales, **options)
        note = next(d for d in first.report["diagnostics"] if d["code"] == "ACT0411")
        actc.compile(path / "a" / "model.qonnx.onnx", "onnx", output=path / "b", **options)
        dataset = prepare(source, data).dataset
        before, after = (
            run_model(onnx.load(path / name / "golden.onnx"), dataset, 16) for name in "ab"
        )
    gaps = [
        float(np.abs(after[name] - array).max() / np.abs(array).max())
        for name, array in before.items()
    ]
    codes = note["message"].removeprefix("model.qonnx.onnx gives ")
    output = note["notes"][-1].removeprefix("largest difference of an output: ")
    return f"| {task.name} | {scales} | {codes} | {output} | {max(gaps):.2g} |"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--scales", nargs="+", default=["free", "power-of-two"])
    given = parser.parse_args()
    print(HEAD)
    for name in given.models:
        for scales in given.scales:
            log(f"{name}, {scales} scales")
            try:
                print(row(TASKS[name], scales), flush=True)
            except (ActcError, NotFetched) as error:
                reason = str(error).splitlines()[0][:160]
                print(f"| {name} | {scales} | {reason} | | |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
