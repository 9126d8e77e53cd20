"""Time QDQ models of networks that came quantized, beside the file that came.

    python benchmarks/qdq_given.py [--models digits-mlp mnist-cnn-silu] [--repeat 30]

For each network of benchmarks/tasks: onnxruntime's static int8 (MinMax), and model.qdq.onnx that
`actc compile --target onnx` writes from it, in onnxruntime on one thread, in turns; the least
milliseconds of processor time, and the largest difference of the outputs, which should be 0. The
table goes to stdout, progress to stderr.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from ort_int8 import quantize
from qdq import BATCHES, QDQ, log, sessions, time_in_turns
from tasks.base import NotFetched, Task
from tasks.every import TASKS

import actc
from actc.errors import ActcError

HEAD = (
    "| network | batch | as it came | actc | ratio | outputs differ by |\n|---|---|---|---|---|---|"
)
SAMPLES = 64


def rows(task: Task, repeat: int) -> Iterator[str]:
    """The lines of a network."""
    with tempfile.TemporaryDirectory() as folder:
        source, data = task.model(Path(folder)), task.calibration(min(task.samples, SAMPLES))
        came = quantize(source, data, Path(folder), task.peer_operators, "minmax", task.batch)
        plan = actc.compile(str(came), "onnx", data=data, dry_run=True).plan
        assert plan is not None
        runs = {"came": sessions(str(came)), "actc": sessions(plan.files[QDQ])}
    for batch in BATCHES:
        feeds = {name: array[:batch] for name, array in data.items()}
        results = {name: session.run(feeds) for name, (session, *_) in runs.items()}
        gap = max(np.abs(results["actc"][k] - v).max() for k, v in results["came"].items())
        turns = time_in_turns(runs, feeds, repeat)
        least = {name: min(times) for name, times in turns.items()}
        times = f"{least['came']:.3f} | {least['actc']:.3f} | {least['actc'] / least['came']:.2f}"
        yield f"| {task.name} | {batch} | {times} | {gap:.2g} |"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--repeat", type=int, default=30)
    given = parser.parse_args()
    print(HEAD)
    for name in given.models:
        log(name)
        try:
            for line in rows(TASKS[name], given.repeat):
                print(line, flush=True)
        except (ActcError, NotFetched) as error:
            print(f"| {name} | | {str(error).splitlines()[0][:160]} | | | |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
