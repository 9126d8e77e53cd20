"""Accuracy of actc's integer networks against onnxruntime's static quantization, in one run.

    python benchmarks/accuracy.py [--models silero minilm] [--quick] [--json FILE]

For each task: the float model, onnxruntime's int8 (the best of its calibrations that run,
judged on the evaluation samples, in its favour), actc's int8, also with 8 bits for every
tensor, and with 4-bit weights, as it calibrates by default. With --search it keeps that unless
another calibration brings the predictions nearer to the float model's by more than the noise of
that comparison, on calibration samples that were held out (see `choose`).
Both get the same calibration samples. Every contestant runs in its own process with a
limit of time and memory; what fails is in the table with its reason.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from accuracy_table import Entry, render
from contestants import FLOAT, OPTIONS, PEER, TIME, Job, Result
from tasks.base import Task
from tasks.every import TASKS

PEER_METHODS = ("minmax", "percentile", "entropy")
ACTC_METHODS = ("minmax", "percentile", "mse", "entropy")
NOISE = 2.0
"""Standard errors by which another calibration must be nearer than actc's default."""
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

    def job(self, contestant: str, method: str = "", trial: bool = False) -> Job:
        """A job for a contestant."""
        place = f"{contestant} {method}{' trial' if trial else ''}".strip().replace(" ", "-")
        return Job(
            task=self.task.name,
            contestant=contestant,
            method=method,
            quick=self.quick,
            folder=str(self.folder / place),
            float_folder=str(self.folder / FLOAT),
            trial=trial,
        )

    def run(self, job: Job) -> Result:
        """Run a job, and say so and what came of it."""
        trial = " on half of the calibration samples" if job.trial else ""
        log(f"{self.task.name}: {job.contestant} {job.method}".rstrip() + trial)
        result = run_job(job, self.limits)
        figures = result.metrics or ({"error": fmean(result.errors)} if result.errors else {})
        found = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        if result.reason or found:
            log(f"  {result.reason or found}")
        return result

    def peer(self) -> tuple[list[Entry], Entry]:
        """Run onnxruntime with all its calibrations, and the best on the evaluation samples."""
        jobs = [self.job(PEER, method) for method in PEER_METHODS]
        tried = [Entry(self.task.name, PEER, job.method, self.run(job)) for job in jobs]
        ran = [entry for entry in tried if not entry.result.reason]
        decisive = self.task.decisive
        return tried, max(ran, key=lambda e: e.result.metrics[decisive], default=tried[0])

    def actc(self, contestant: str) -> tuple[list[Entry], Entry]:
        """Run actc with the calibration that its trials choose."""
        name, start = self.task.name, time.monotonic()
        trials: list[Entry] = []
        for method in ACTC_METHODS if self.limits.search > 0 else ():
            result = self.run(self.job(contestant, method, trial=True))
            trials.append(Entry(name, contestant, method, result, trial=True))
            # What actc refuses does not depend on the method.
            if result.reason or time.monotonic() - start > self.limits.search:
                break
        method = choose({entry.method: entry.result.errors for entry in trials})
        final = Entry(name, contestant, method, self.run(self.job(contestant, method)))
        return [*trials, final], final


def advantage(default: Sequence[float], other: Sequence[float]) -> float:
    """By how many standard errors the mean of `other` is below that of `default`, in pairs."""
    if not other or len(default) < 2:
        return 0.0
    differences = [a - b for a, b in zip(default, other, strict=True)]
    noise = stdev(differences) / math.sqrt(len(differences))
    return fmean(differences) / noise if noise > 0 else 0.0


def choose(errors: Mapping[str, Sequence[float]]) -> str:
    """The calibration of least error on held-out samples among the default and those that
    are better than it by more than noise: a paired comparison, the default in doubt.

    Args:
        errors: by calibration: per sample, in the same order; empty for one that failed.
    """
    default = ACTC_METHODS[0]
    before = errors.get(default, ())
    better = [m for m, found in errors.items() if advantage(before, found) > NOISE]
    return min(better, key=lambda method: fmean(errors[method]), default=default)


def measure(runner: Runner) -> list[Entry]:
    """All contestants of a task; the chosen ones are marked."""
    task = runner.task
    float_entry = Entry(task.name, FLOAT, "", runner.run(runner.job(FLOAT)), chosen=True)
    if float_entry.result.reason:
        return [float_entry]
    entries, chosen = [float_entry], [float_entry]
    for tried, winner in (runner.peer(), *map(runner.actc, OPTIONS)):
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
    parser.add_argument("--search", type=float, default=0,
                        help="seconds after which actc tries no further method (default: 0, "
                        "actc calibrates as it does by itself)")  # fmt: skip
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
