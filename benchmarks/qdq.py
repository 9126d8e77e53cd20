"""Time QDQ models in onnxruntime on one thread: float, onnxruntime's int8 and actc's.

    python benchmarks/qdq.py [--models mnist-cnn-silu ppocr-cls] [--repeat 60] [--bound]
                             [--json FILE]

For each network of benchmarks/tasks: the float model, onnxruntime's static int8 (MinMax), and
model.qdq.onnx of `actc compile --target onnx` and `--target onnx:full`, with the same
calibration samples. All contestants take turns in one process, each with several sessions, since
where a session's buffers happen to lie makes some per cent of a short call. Times are processor
times of the one thread, since other work on the machine adds to the time that passes; it also
takes away caches, so that the least time over the turns is the one to compare. The quartiles of
the ratio within single turns show how much that matters. Of a call of run() from Python some
microseconds are Python's own; --bound leaves them out.
The table goes to stdout with what actc's reports say of the speed, progress to stderr. What
fails is in the table with its reason.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from contestants import has_fixed_batch
from ort_int8 import quantize
from tasks.base import Arrays, Evaluation, NotFetched, Task
from tasks.every import TASKS

import actc
from actc.errors import ActcError

Array = npt.NDArray[Any]

FLOAT, PEER = "ort float", "ort int8"
TARGETS = {"actc": "onnx", "actc full": "onnx:full"}
CONTESTANTS = (FLOAT, PEER, *TARGETS)
QDQ = "model.qdq.onnx"
SLOWER = "ACT0410"
"""The report's note that it will be slower than float."""
BATCHES = (1, 16)
SESSIONS = 5
"""Of each model, if it is small."""
SMALL = 2**23
"""Bytes of a model with several sessions; a call of a larger one is long."""
LEAST_SECONDS = 0.002
"""A turn repeats short calls until it lasts so long: well above the timer's noise, and short
enough that on a busy machine some turns pass without a break."""
MOST_SECONDS = 30.0
"""Turns of one row end after this much processor time."""


@dataclass(frozen=True)
class Row:
    """One network at one batch, by contestant.

    Attributes:
        turns: how many.
        least: milliseconds of a call in the fastest turn.
        medians: the same in half of the turns.
        quartiles: of its time over that of onnxruntime's int8 in the same turn.
    """

    model: str
    batch: int
    turns: int
    least: dict[str, float]
    medians: dict[str, float]
    quartiles: dict[str, list[float]]


@dataclass(frozen=True)
class Quality:
    """What each contestant computes.

    Attributes:
        metric: its name.
        values: of each contestant on the same evaluation samples.
        distance: largest difference to the float model's outputs over their largest size.
        reasons: why a contestant is missing.
        notes: what actc's report says of its speed.
    """

    metric: str
    values: dict[str, float] = field(default_factory=dict)
    distance: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def log(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)


class Session:
    """A model in onnxruntime on one thread."""

    def __init__(self, model: bytes | str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, feeds: Arrays) -> Arrays:
        """All outputs by name."""
        return dict(zip(self._outputs, self._session.run(self._outputs, feeds), strict=True))

    def call(self, feeds: Arrays, bound: bool) -> Callable[[], object]:
        """What is timed: run(), or a run with the arrays already given to onnxruntime."""
        if not bound:
            return lambda: self._session.run(self._outputs, feeds)
        binding = self._session.io_binding()
        for name, array in feeds.items():
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        for name in self._outputs:
            binding.bind_output(name)
        return lambda: self._session.run_with_iobinding(binding)


def sessions(model: bytes | str) -> list[Session]:
    """SESSIONS of a small model, each with buffers of its own."""
    size = Path(model).stat().st_size if isinstance(model, str) else len(model)
    return [Session(model) for _ in range(SESSIONS if size <= SMALL else 1)]


def make_runs(task: Task, folder: Path, judged: Quality) -> dict[str, list[Session]]:
    """All contestants that can be made; `judged` gets why the others cannot, and notes."""
    source, data = task.model(folder), task.calibration(task.samples)
    runs, reasons = {FLOAT: sessions(str(source))}, judged.reasons
    try:
        peer = quantize(source, data, folder, task.peer_operators, "minmax", task.batch)
        runs[PEER] = sessions(str(peer))
    except Exception as error:  # the peer's own failures of any kind are results
        reasons[PEER] = f"{type(error).__name__}: {error}".splitlines()[0][:160]
    for name, target in TARGETS.items():
        log(f"{task.name}: compiling for {target}")
        try:
            artifact = actc.compile(source, target, data=data, dry_run=True)
        except ActcError as error:
            reasons[name] = str(error).splitlines()[0][:160]
            continue
        assert artifact.plan is not None
        runs[name] = sessions(artifact.plan.files[QDQ])
        said = [d["message"] for d in artifact.report["diagnostics"] if d["code"] == SLOWER]
        if said:
            judged.notes[name] = said[0]
    return runs


def judge(
    task: Task, runs: dict[str, list[Session]], evaluation: Evaluation, judged: Quality
) -> None:
    """Find the task's metric of every contestant, and the largest difference to float."""
    reference = task.predict(runs[FLOAT][0].run, evaluation.feeds)
    for name, (session, *_) in runs.items():
        found = task.predict(session.run, evaluation.feeds)
        metrics = task.metrics(found, reference, evaluation.truth)
        judged.values[name] = metrics[task.decisive]
        judged.distance[name] = float(np.abs(found - reference).max() / np.abs(reference).max())


def time_in_turns(
    runs: Mapping[str, Sequence[Session]], feeds: Arrays, repeat: int, bound: bool = False
) -> dict[str, list[float]]:
    """Milliseconds of a call in each turn, by contestant, whose sessions take turns too."""
    calls = {name: [each.call(feeds, bound) for each in several] for name, several in runs.items()}
    counts = {name: calls_per_turn(several) for name, several in calls.items()}
    turns: dict[str, list[float]] = {name: [] for name in runs}
    begin, count = time.thread_time(), 0
    while count < repeat and (count < 3 or time.thread_time() - begin < MOST_SECONDS):
        for name, several in calls.items():
            call = several[count % len(several)]
            call()  # brings this session back into the caches
            start = time.thread_time()
            for _ in range(counts[name]):
                call()
            turns[name].append(1e3 * (time.thread_time() - start) / counts[name])
        count += 1
    return turns


def calls_per_turn(calls: Sequence[Callable[[], object]]) -> int:
    """Warm up and find how many calls last LEAST_SECONDS."""
    for call in calls:
        for _ in range(3):
            call()
    start = time.thread_time()
    calls[0]()
    return max(1, round(LEAST_SECONDS / (time.thread_time() - start)))


def row_of(model: str, batch: int, turns: dict[str, list[float]]) -> Row:
    """What the turns of one network at one batch come to."""
    peer = turns.get(PEER)
    quartiles = {
        name: quantiles([a / b for a, b in zip(times, peer, strict=True)], n=4)
        for name, times in turns.items()
        if peer is not None
    }
    return Row(
        model,
        batch,
        len(turns[FLOAT]),
        {name: min(times) for name, times in turns.items()},
        {name: median(times) for name, times in turns.items()},
        quartiles,
    )


def sized(data: Arrays, batch: int) -> Arrays:
    """The first `batch` samples, repeated if there are fewer."""
    count = len(next(iter(data.values())))
    rows = np.arange(batch) % count
    return {name: array[rows] for name, array in data.items()}


def measure(task: Task, repeat: int, bound: bool) -> tuple[list[Row], Quality]:
    """Make, judge and time one network."""
    judged = Quality(task.decisive)
    with tempfile.TemporaryDirectory() as folder:
        runs = make_runs(task, Path(folder), judged)
        fixed = has_fixed_batch(task.model(Path(folder)))
    evaluation = task.evaluation(True)
    judge(task, runs, evaluation, judged)
    rows = []
    data = evaluation.feeds[0]
    own = len(next(iter(data.values())))
    for batch in (own,) if fixed else BATCHES:
        log(f"{task.name}: timing batch {batch}")
        feeds = data if fixed else sized(data, batch)
        rows.append(row_of(task.name, batch, time_in_turns(runs, feeds, repeat, bound)))
    return rows, judged


def cell(value: float | None, form: str) -> str:
    """A number, or a dash."""
    return "-" if value is None else format(value, form)


def over(row: Row, name: str, other: str) -> float | None:
    """Least time of one contestant over that of another."""
    a, b = row.least.get(name), row.least.get(other)
    return None if a is None or b is None else a / b


def render(rows: list[Row], judged: dict[str, Quality]) -> str:
    """Times, then what is computed, then what failed."""
    ratio_names = ("actc/int8", "quartiles", "actc/float", "full/int8")
    times = [["ms: least (median)", "batch", *CONTESTANTS, *ratio_names]]
    for row in rows:
        shown = [
            f"{row.least[name]:.3f} ({row.medians[name]:.3f})" if name in row.least else "-"
            for name in CONTESTANTS
        ]
        pairs = (("actc", PEER), ("actc", FLOAT), ("actc full", PEER))
        ratios = [cell(over(row, a, b), ".3f") for a, b in pairs]
        found = row.quartiles.get("actc")
        ratios.insert(1, "-" if found is None else f"{found[0]:.3f}-{found[2]:.3f}")
        times.append([row.model, str(row.batch), *shown, *ratios])
    values = [["", "metric", *CONTESTANTS], *(
        [name, q.metric, *(cell(q.values.get(c), ".4f") for c in CONTESTANTS)]
        for name, q in judged.items()
    )]  # fmt: skip
    worst = [["largest difference", "", *CONTESTANTS], *(
        [name, "", *(cell(q.distance.get(c), ".4f") for c in CONTESTANTS)]
        for name, q in judged.items()
    )]  # fmt: skip
    said = [f"{m}: {c}: {r}" for m, q in judged.items() for c, r in (q.reasons | q.notes).items()]
    return "\n\n".join([align(times), align(values), align(worst), "\n".join(said)])


def align(cells: list[list[str]]) -> str:
    """Pad columns; the first to the left, the others to the right."""
    widths = [max(len(text) for text in column) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in cells
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="time QDQ models in onnxruntime, one thread")
    parser.add_argument("--models", nargs="+", choices=list(TASKS), default=list(TASKS),
                        metavar="MODEL", help=f"which: {', '.join(TASKS)}")  # fmt: skip
    parser.add_argument("--repeat", type=int, default=60, help="turns of every contestant")
    parser.add_argument("--bound", action="store_true",
                        help="bind arrays first: without what Python does in a call")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    options = parser.parse_args()
    rows: list[Row] = []
    judged: dict[str, Quality] = {}
    for name in options.models:
        try:
            found, judged[name] = measure(TASKS[name], options.repeat, options.bound)
        except NotFetched as error:
            log(f"{name}: skipped: {error}")
            continue
        rows += found
    print(render(rows, judged))
    if options.json is not None:
        figures = {
            "times": [asdict(row) for row in rows],
            "quality": {name: asdict(found) for name, found in judged.items()},
        }
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
