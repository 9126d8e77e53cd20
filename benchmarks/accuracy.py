"""Accuracy of actc's integer networks against onnxruntime's static quantization, in one run.

    python benchmarks/accuracy.py [--models silero minilm] [--quick] [--json FILE]

For each task: the float model, onnxruntime's int8 (the best of its calibrations that run,
judged on the evaluation samples, in its favour), actc's int8, also with 8 bits for every
tensor, and with 4-bit weights (of its calibrations the one that is nearest to the float
model on the calibration samples).
Both get the same calibration samples. Every contestant runs in its own process with a
limit of time and memory; what fails is in the table with its reason.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from accuracy_table import Entry, render
from contestants import FLOAT, OPTIONS, PEER, TIME, Job, Result
from tasks.base import Task
from tasks.every import TASKS

PEER_METHODS = ("minmax", "percentile", "entropy")
ACTC_METHODS = ("minmax", "percentile", "mse", "entropy")
WORKER = Path(__file__).resolve().parent / "contestants.py"


@dataclass(frozen=True)
class Limits:
    """Of one process: seconds, gigabytes; and seconds that actc may try methods for."""

    seconds: float
    gigabytes: float
    search: float


def log(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)


def run_job(job: Job, limits: Limits) -> Result:
    """Run a job in its own process; a crash or an exceeded limit is a result."""
    folder = Path(job.folder)
    folder.mkdir(parents=True)
    source = folder / "job.json"
    source.write_text(json.dumps(asdict(job)), encoding="utf-8")
    most = int(limits.gigabytes * 1e9)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    try:
        done = subprocess.run(
            [sys.executable, str(WORKER), str(source)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=limits.seconds,
            preexec_fn=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Result(reason=f"longer than {limits.seconds:.0f} s")
    if done.returncode == 0:
        text = (folder / "result.json").read_text(encoding="utf-8")
        return Result(**json.loads(text))
    last = (done.stderr.strip() or "no message").splitlines()[-1]
    return Result(reason=f"process ended with {done.returncode}: {last[:300]}")


@dataclass(frozen=True)
class Runner:
    """Runs the contestants of one task, each in its folder."""

    task: Task
    folder: Path
    quick: bool
    limits: Limits

    def job(self, contestant: str, method: str = "") -> Job:
        """A job for a contestant."""
        place = f"{contestant} {method}".strip().replace(" ", "-")
        return Job(
            task=self.task.name,
            contestant=contestant,
            method=method,
            quick=self.quick,
            folder=str(self.folder / place),
            float_folder=str(self.folder / FLOAT),
        )

    def run(self, job: Job) -> Result:
        """Run a job, and say so and what came of it."""
        log(f"{self.task.name}: {job.contestant} {job.method}".rstrip())
        result = run_job(job, self.limits)
        found = ", ".join(f"{name} {value:.4f}" for name, value in result.metrics.items())
        if result.reason or found:
            log(f"  {result.reason or found}")
        return result

    def methods(self, contestant: str, methods: tuple[str, ...]) -> Iterator[Entry]:
        """Try calibration methods: onnxruntime's all, actc's first one and what time allows."""
        start = time.monotonic()
        for method in methods:
            result = self.run(self.job(contestant, method))
            yield Entry(self.task.name, contestant, method, result)
            late = time.monotonic() - start > self.limits.search
            # What actc refuses does not depend on the method.
            if contestant != PEER and (late or result.reason):
                return


def best(entries: list[Entry], rank: Callable[[Result], float]) -> Entry:
    """The entry of the highest rank among those that ran; the first where none did."""
    ran = [entry for entry in entries if not entry.result.reason]
    return max(ran, key=lambda entry: rank(entry.result), default=entries[0])


def nearness(result: Result) -> float:
    """Rank by distance to the float model on calibration data."""
    if result.distance is None:
        raise ValueError("the contestant was not compared with the float model")
    return -result.distance


def measure(runner: Runner) -> list[Entry]:
    """All contestants of a task; the chosen ones are marked."""
    task = runner.task
    float_entry = Entry(task.name, FLOAT, "", runner.run(runner.job(FLOAT)), chosen=True)
    if float_entry.result.reason:
        return [float_entry]
    entries, chosen = [float_entry], [float_entry]
    for contestant, methods, rank in (
        (PEER, PEER_METHODS, lambda result: result.metrics[task.decisive]),
        *((name, ACTC_METHODS, nearness) for name in OPTIONS),
    ):
        tried = list(runner.methods(contestant, methods))
        winner = best(tried, rank)
        entries += [replace(entry, chosen=entry is winner) for entry in tried]
        chosen.append(winner)
    models = {entry.contestant: entry.result.model for entry in chosen if entry.result.model}
    times = runner.run(replace(runner.job(TIME), models=models))
    return [*entries, Entry(task.name, TIME, "", times)]


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="accuracy of actc against onnxruntime's int8")
    names = list(TASKS)
    parser.add_argument("--models", nargs="+", choices=names, default=names, metavar="MODEL",
                        help=f"which models: {', '.join(names)} (default: all)")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="fewer evaluation samples")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every figure, a line each")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the tables as a page")
    parser.add_argument("--timeout", type=float, default=900, help="seconds per contestant")
    parser.add_argument("--memory", type=float, default=12, help="gigabytes per contestant")
    parser.add_argument("--search", type=float, default=240,
                        help="seconds after which actc tries no further method")  # fmt: skip
    return parser.parse_args()


def main() -> None:
    """Run the benchmark."""
    options = parse_arguments()
    limits = Limits(options.timeout, options.memory, options.search)
    entries: list[Entry] = []
    for name in options.models:
        with tempfile.TemporaryDirectory() as folder:
            entries += measure(Runner(TASKS[name], Path(folder), options.quick, limits))
        if options.json:
            lines = [json.dumps(entry.to_json()) + "\n" for entry in entries]
            options.json.write_text("".join(lines), encoding="utf-8")
    print(render(entries, TASKS))
    if options.markdown:
        options.markdown.write_text(render(entries, TASKS, markdown=True), encoding="utf-8")


if __name__ == "__main__":
    main()
