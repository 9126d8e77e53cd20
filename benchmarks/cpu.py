"""Time actc against onnxruntime on the CPU, one thread, in one run.

    python benchmarks/cpu.py [--models digits-cnn magika] [--repeat 30] [--json]

For each model: onnxruntime float, onnxruntime static int8 (QDQ), actc `cpu` and
actc `onnx` (golden in onnxruntime). All contestants of a row take turns, and the
medians over the turns are shown, so that a busy moment of the machine hits all.
The table goes to stdout, progress to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

import actc
from actc.errors import MissingTool

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from ort_int8 import quantize
from realmodels import magika, ppocr

ROOT = Path(__file__).resolve().parent.parent
Arrays = dict[str, npt.NDArray[Any]]
Runner = Callable[[Arrays], npt.NDArray[Any]]

CONTESTANTS = ("ort_float", "ort_int8", "actc_cpu", "actc_onnx")
CALIBRATION_SAMPLES = 128
TEST_SAMPLES = 400
LEAST_SECONDS = 0.005
"""A turn repeats short calls until it lasts so long, well above the timer's noise."""


@dataclass(frozen=True)
class Subject:
    """A model with its data.

    Attributes:
        path: the float model; None: its package is not installed.
        data: makes calibration and test data, each with "labels".
        batches: batch sizes to time.
        operators: operator types that onnxruntime quantizes; None: its default.
    """

    path: Path | None
    data: Callable[[], tuple[Arrays, Arrays]]
    batches: tuple[int, ...]
    operators: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Row:
    """Median milliseconds per call of each contestant; None: it did not run."""

    model: str
    batch: int
    milliseconds: dict[str, float | None]
    cpu_over_int8: float | None
    cpu_over_float: float | None


def digits(name: str) -> Callable[[], tuple[Arrays, Arrays]]:
    """Read the digits' test samples, which serve for calibration too: the only ones kept."""

    def read() -> tuple[Arrays, Arrays]:
        with np.load(ROOT / "examples" / "digits" / name, allow_pickle=False) as data:
            arrays = dict(data)
        return {key: array[:CALIBRATION_SAMPLES] for key, array in arrays.items()}, arrays

    return read


def made(make: Callable[[int, int], Arrays]) -> Callable[[], tuple[Arrays, Arrays]]:
    """Make calibration and test data from disjoint seeds."""
    return lambda: (make(CALIBRATION_SAMPLES, 1), make(TEST_SAMPLES, 2))


def subjects() -> dict[str, Subject]:
    """All models of the benchmark."""
    examples = ROOT / "examples" / "digits"
    # Quantizing all operators of magika fails inside onnxruntime's quantizer.
    return {
        "digits-mlp": Subject(examples / "mlp.onnx", digits("digits_mlp.npz"), (1, 64)),
        "digits-cnn": Subject(examples / "cnn.onnx", digits("digits.npz"), (1, 64)),
        "ppocr-cls": Subject(ppocr.model_path(), made(ppocr.make_data), (1,)),
        "magika": Subject(magika.model_path(), made(magika.make_data), (1,), ("Conv", "MatMul")),
    }


def log(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)


def without_labels(data: Arrays) -> Arrays:
    """Drop the labels."""
    return {name: array for name, array in data.items() if name != "labels"}


def session_runner(path: Path) -> Runner:
    """Run a model in onnxruntime on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda feeds: np.asarray(session.run(None, feeds)[0])


def artifact_runner(path: Path, target: str, data: Arrays, folder: Path) -> Runner:
    """Compile a model and return its loaded function."""
    artifact = actc.compile(path, target=target, data=data, output=folder)
    function = artifact.load()
    return lambda feeds: np.asarray(next(iter(function(feeds).values())))


def make_runners(subject: Subject, data: Arrays, folder: Path) -> dict[str, Runner | None]:
    """Build all contestants; None where the tools for one are not installed."""
    if subject.path is None:
        raise ValueError("the model is not installed")
    quantized = quantize(subject.path, without_labels(data), folder, subject.operators)
    runners: dict[str, Runner | None] = {
        "ort_float": session_runner(subject.path),
        "ort_int8": session_runner(quantized),
    }
    for target in ("cpu", "onnx"):
        try:
            runner = artifact_runner(subject.path, target, data, folder / target)
        except MissingTool as error:
            log(str(error))
            runners[f"actc_{target}"] = None
        else:
            runners[f"actc_{target}"] = runner
    return runners


def time_in_turns(
    runners: dict[str, Runner | None], feeds: Arrays, repeat: int
) -> dict[str, float | None]:
    """Time the contestants in turns; median milliseconds per call."""
    present = {name: runner for name, runner in runners.items() if runner is not None}
    calls = {name: calls_per_turn(runner, feeds) for name, runner in present.items()}
    turns: dict[str, list[float]] = {name: [] for name in present}
    for _ in range(repeat):
        for name, runner in present.items():
            start = time.perf_counter()
            for _ in range(calls[name]):
                runner(feeds)
            turns[name].append((time.perf_counter() - start) / calls[name])
    return {name: 1e3 * median(turns[name]) if name in turns else None for name in runners}


def calls_per_turn(runner: Runner, feeds: Arrays) -> int:
    """Warm up and find how many calls last LEAST_SECONDS."""
    for _ in range(3):
        runner(feeds)
    start = time.perf_counter()
    runner(feeds)
    return max(1, round(LEAST_SECONDS / (time.perf_counter() - start)))


def accuracy(runner: Runner, data: Arrays) -> float:
    """Top-1 accuracy, in batches of 64."""
    feeds, labels = without_labels(data), data["labels"]
    correct = 0
    for start in range(0, len(labels), 64):
        part = slice(start, start + 64)
        scores = runner({name: array[part] for name, array in feeds.items()})
        correct += int(np.sum(np.argmax(scores, axis=1) == labels[part]))
    return correct / len(labels)


def ratio(a: float | None, b: float | None) -> float | None:
    """Divide two times, if both were taken."""
    return None if a is None or b is None else a / b


def measure(
    name: str, subject: Subject, repeat: int, folder: Path
) -> tuple[list[Row], dict[str, float | None]]:
    """Build, check and time one model.

    Returns:
        one row per batch size, and the accuracy of every contestant.
    """
    log(f"{name}: building")
    calibration, test = subject.data()
    runners = make_runners(subject, calibration, folder)
    accuracies = {
        contestant: None if runner is None else accuracy(runner, test)
        for contestant, runner in runners.items()
    }
    rows = []
    for batch in subject.batches:
        log(f"{name}: timing batch {batch}")
        feeds = {key: array[:batch] for key, array in without_labels(test).items()}
        times = time_in_turns(runners, feeds, repeat)
        to_int8 = ratio(times["actc_cpu"], times["ort_int8"])
        to_float = ratio(times["actc_cpu"], times["ort_float"])
        rows.append(Row(name, batch, times, to_int8, to_float))
    return rows, accuracies


def render(rows: list[Row], accuracies: dict[str, dict[str, float | None]]) -> str:
    """Render times and accuracies as two aligned tables."""

    def cell(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    head = ["model", "batch", *(f"{name} ms" for name in CONTESTANTS), "cpu/int8", "cpu/float"]
    times = [
        [
            row.model,
            str(row.batch),
            *(cell(row.milliseconds[name], ".3f") for name in CONTESTANTS),
            cell(row.cpu_over_int8, ".2f"),
            cell(row.cpu_over_float, ".2f"),
        ]
        for row in rows
    ]
    accuracy_head = ["accuracy", *CONTESTANTS]
    accuracy_rows = [
        [model, *(cell(values[name], ".4f") for name in CONTESTANTS)]
        for model, values in accuracies.items()
    ]
    return f"{align([head, *times])}\n\n{align([accuracy_head, *accuracy_rows])}"


def align(cells: list[list[str]]) -> str:
    """Pad columns; the first to the left, the others to the right."""
    widths = [max(len(text) for text in column) for column in zip(*cells, strict=True)]

    def line(row: list[str]) -> str:
        padded = [text.rjust(width) for text, width in zip(row, widths, strict=True)]
        return "  ".join([row[0].ljust(widths[0]), *padded[1:]])

    return "\n".join(line(row) for row in cells)


def parse_arguments(names: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="time actc against onnxruntime, one thread")
    parser.add_argument("--models", nargs="+", choices=names, default=names, metavar="MODEL",
                        help=f"which models: {', '.join(names)} (default: all)")  # fmt: skip
    parser.add_argument("--repeat", type=int, default=30, help="turns of every contestant")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark."""
    os.environ["TVM_NUM_THREADS"] = "1"  # read when TVM starts its thread pool
    known = subjects()
    options = parse_arguments(list(known))
    rows: list[Row] = []
    accuracies: dict[str, dict[str, float | None]] = {}
    for name in options.models:
        subject = known[name]
        if subject.path is None:
            log(f"{name}: skipped, its package is not installed (make test-all fetches it)")
            continue
        with tempfile.TemporaryDirectory() as folder:
            found, accuracies[name] = measure(name, subject, options.repeat, Path(folder))
        rows += found
    if options.json:
        machine = {"machine": platform.machine(), "python": platform.python_version()}
        times = [asdict(row) for row in rows]
        print(json.dumps({**machine, "times": times, "accuracy": accuracies}, indent=1))
    else:
        print(render(rows, accuracies))


if __name__ == "__main__":
    main()
