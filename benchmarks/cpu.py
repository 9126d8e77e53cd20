"""Time actc against onnxruntime and OpenVINO on the CPU, in one run.

    python benchmarks/cpu.py [--models digits-cnn magika] [--threads 1] [--repeat 30] [--json]

For each model: onnxruntime float and static int8 (QDQ), OpenVINO in float32, in the
precision that it takes by default (bfloat16 where the CPU multiplies it) and on the
same QDQ file, actc `cpu` (int8) and, with `--contestants`, its float form and `onnx`. All
contestants of a row take turns, and the medians over the turns are shown, so that a busy
moment of the machine hits all; with `--best` the least, for a machine that is never idle.
The table goes to stdout, progress to stderr.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import geometric_mean, median

import numpy as np
from cpu_peers import CONTESTANTS, PEERS, Cost, Runner, log, make_runners, set_threads
from cpu_subjects import Arrays, Subject, subjects, without_labels

FASTEST_OF = ("ort_float", "ort_int8", "ov_float", "ov_int8")
"""The ratio is to the fastest of these: what computes in lower precision unasked is shown apart."""
LEAST_SECONDS = 0.005
"""A turn repeats short calls until it lasts so long, well above the timer's noise."""

SETTLE = 0.03
"""Seconds between contestants: idle threads of one spin for a while, on the next one's cores."""

Times = dict[str, float | None]


@dataclass(frozen=True)
class Row:
    """Milliseconds per call of each contestant; None: it did not run.

    Attributes:
        ratio: of the subject to the fastest peer of FASTEST_OF: the median over the turns,
            or of the best turns.
    """

    model: str
    batch: int
    milliseconds: Times
    fastest: str | None
    ratio: float | None


def turns(runners: dict[str, Runner], feeds: Arrays, repeat: int) -> dict[str, list[float]]:
    """Seconds per call of each contestant in each turn."""
    calls = {name: calls_per_turn(runner, feeds) for name, runner in runners.items()}
    found: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(repeat):
        for name, runner in runners.items():
            time.sleep(SETTLE)
            runner(feeds)  # the caches of the one before are not its own
            start = time.perf_counter()
            for _ in range(calls[name]):
                runner(feeds)
            found[name].append((time.perf_counter() - start) / calls[name])
    return found


def calls_per_turn(runner: Runner, feeds: Arrays) -> int:
    """Warm up and find how many calls last LEAST_SECONDS."""
    for _ in range(3):
        runner(feeds)
    start = time.perf_counter()
    runner(feeds)
    return max(1, round(LEAST_SECONDS / (time.perf_counter() - start)))


def row_of(
    place: tuple[str, int], found: dict[str, list[float]], options: argparse.Namespace
) -> Row:
    """Medians or best turns, and the ratio of the subject to the fastest peer."""
    model, batch = place
    typical = min if options.best else median
    wanted, subject = options.contestants, options.subject
    times: Times = {n: 1e3 * typical(found[n]) if n in found else None for n in wanted}
    peers = [n for n in FASTEST_OF if n in found]
    if not peers or subject not in found:
        return Row(model, batch, times, None, None)
    fastest = min(peers, key=lambda n: times[n] or 0.0)
    ratio = median(np.divide(found[subject], found[fastest]).tolist())
    if options.best:
        ratio = min(found[subject]) / min(found[fastest])
    return Row(model, batch, times, fastest, ratio)


def accuracy(runner: Runner, data: Arrays) -> float:
    """Top-1 accuracy, in batches of 16."""
    feeds, labels = without_labels(data), data["labels"]
    count = len(labels) // 16 * 16
    correct = 0
    for start in range(0, count, 16):
        part = slice(start, start + 16)
        scores = runner({name: array[part] for name, array in feeds.items()})
        correct += int(np.sum(np.argmax(scores, axis=1) == labels[part]))
    return correct / count


def measure(
    name: str, subject: Subject, options: argparse.Namespace, folder: Path
) -> tuple[list[Row], Times, dict[str, Cost]]:
    """Build, check and time one model.

    Returns:
        one row per batch size, the accuracy of every contestant, and what compiling took.
    """
    log(f"{name}: building")
    calibration, test = subject.data()
    wanted: list[str] = options.contestants
    built, costs = make_runners(subject, calibration, folder, wanted, options.threads)
    runners = {key: runner for key, runner in built.items() if runner is not None}
    accuracies: Times = {n: accuracy(runners[n], test) if n in runners else None for n in wanted}
    rows = []
    for batch in subject.batches:
        log(f"{name}: timing batch {batch}")
        feeds = {key: array[:batch] for key, array in without_labels(test).items()}
        found = turns(runners, feeds, options.repeat)
        rows.append(row_of((name, batch), found, options))
    return rows, accuracies, costs


def render(
    rows: list[Row],
    accuracies: dict[str, Times],
    costs: dict[str, dict[str, Cost]],
    wanted: Sequence[str],
) -> str:
    """Render times, accuracies and costs of compiling as aligned tables."""
    head = ["ms", "batch", *wanted, "fastest peer", "ratio"]
    times = [
        [
            row.model,
            str(row.batch),
            *(_cell(row.milliseconds[name], ".3f") for name in wanted),
            row.fastest or "-",
            _cell(row.ratio, ".2f"),
        ]
        for row in rows
    ]
    ratios = [row.ratio for row in rows if row.ratio is not None]
    mean = f"geometric mean of the ratios: {geometric_mean(ratios):.2f}\n\n" if ratios else ""
    hits = [
        [model, *(_cell(values[name], ".4f") for name in wanted)]
        for model, values in accuracies.items()
    ]
    spent = [
        [model, name, f"{cost.seconds:.1f}", f"{cost.cpu_seconds:.1f}", f"{cost.peak_mb:.0f}"]
        for model, found in costs.items()
        for name, cost in found.items()
    ]
    tables = [
        align([head, *times]) + "\n" + mean.rstrip("\n"),
        align([["accuracy", *wanted], *hits]),
    ]
    if spent:
        tables.append(align([["compile", "contestant", "s", "CPU s", "peak MB"], *spent]))
    return "\n\n".join(tables)


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def align(cells: list[list[str]]) -> str:
    """Pad columns; the first to the left, the others to the right."""
    widths = [max(len(text) for text in column) for column in zip(*cells, strict=True)]

    def line(row: list[str]) -> str:
        padded = [text.rjust(width) for text, width in zip(row, widths, strict=True)]
        return "  ".join([row[0].ljust(widths[0]), *padded[1:]])

    return "\n".join(line(row) for row in cells)


def parse_arguments(names: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="time actc against its peers on the CPU")
    parser.add_argument("--models", nargs="+", choices=names, default=names, metavar="MODEL",
                        help=f"which models: {', '.join(names)} (default: all)")  # fmt: skip
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, metavar="NAME",
                        default=[*PEERS, "actc_cpu"],
                        help=f"of {', '.join(CONTESTANTS)}")  # fmt: skip
    parser.add_argument("--subject", choices=CONTESTANTS, default="actc_cpu",
                        help="whose time is divided by the fastest peer's")  # fmt: skip
    parser.add_argument("--threads", type=int, default=1, help="threads of every contestant")
    parser.add_argument("--repeat", type=int, default=30, help="turns of every contestant")
    parser.add_argument("--best", action="store_true", help="best turns instead of medians")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark."""
    known = subjects()
    options = parse_arguments(list(known))
    set_threads(options.threads)
    rows: list[Row] = []
    accuracies: dict[str, Times] = {}
    costs: dict[str, dict[str, Cost]] = {}
    for name in options.models:
        subject = known[name]
        if subject.path is None:
            log(f"{name}: skipped, its package is not installed (make test-all fetches it)")
            continue
        with tempfile.TemporaryDirectory() as folder:
            found, accuracies[name], costs[name] = measure(name, subject, options, Path(folder))
        rows += found
    if options.json:
        machine = {"machine": platform.machine(), "python": platform.python_version()}
        spent = {m: {n: asdict(c) for n, c in found.items()} for m, found in costs.items()}
        times = [asdict(row) for row in rows]
        print(json.dumps({**machine, "threads": options.threads, "times": times,
                          "accuracy": accuracies, "compile": spent}, indent=1))  # fmt: skip
    else:
        print(render(rows, accuracies, costs, options.contestants))


if __name__ == "__main__":
    main()
