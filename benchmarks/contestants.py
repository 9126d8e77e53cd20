"""One contestant of benchmarks/accuracy.py on one task, in a process of its own.

    python benchmarks/contestants.py JOB.json

JOB.json holds a `Job`; the result is written beside it as result.json. A failure that
actc explains is a result; any other ends the process, and accuracy.py reports how.
"""

from __future__ import annotations

import inspect
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from ort_int8 import quantize
from tasks.base import DOWNLOADS, Arrays, NotFetched, Run, Task, split, take
from tasks.every import TASKS

import actc
from actc.errors import ActcError
from actc.ir import spec

Array = npt.NDArray[Any]

FLOAT, PEER, TIME = "float", "onnxruntime", "time"
INT8, NARROW, FOUR_BIT = "actc", "actc all 8-bit", "actc 4-bit"
OPTIONS: dict[str, dict[str, str]] = {
    INT8: {},
    NARROW: {"activations": "8"},
    FOUR_BIT: {"weights": "4"},
}
"""actc's contestants, and what they give `actc.compile` beside the calibration method."""

EXACT_SAMPLES = 2
"""Samples on which golden is executed by its specification too."""
TURNS = 15
LEAST_SECONDS = 0.01
PREDICTIONS = "predictions.npy"


@dataclass(frozen=True)
class Job:
    """What one process does.

    Attributes:
        task: name of the task.
        contestant: FLOAT, PEER, TIME, or a key of OPTIONS.
        method: calibration method; "" for FLOAT and TIME.
        quick: fewer evaluation samples.
        folder: to write to.
        float_folder: the FLOAT job's folder.
        models: models to time, by contestant; for TIME.
        trial: calibrate on every second batch of the calibration samples, and measure on
            the others instead of the evaluation samples.
    """

    task: str
    contestant: str
    method: str
    quick: bool
    folder: str
    float_folder: str
    models: dict[str, str] = field(default_factory=dict)
    trial: bool = False


@dataclass(frozen=True)
class Result:
    """What came of a job.

    Attributes:
        metrics: see `Task.metrics`.
        reason: why there is none; "" when there is.
        model: path of the model that was measured.
        megabytes: its size.
        weight_megabytes: of its integer weights when packed, a 4-bit one in half a byte.
        weight_bits: the formats of its integer weights.
        seconds: that quantizing or compiling took.
        peak_megabytes: most memory of the process until then; None where the system does not
            say.
        errors: of a trial: see `squared_errors`, a number per held-out sample.
        exact: golden in onnxruntime equals its specification on every bit.
        milliseconds: per inference, by contestant; for TIME.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    model: str = ""
    megabytes: float | None = None
    weight_megabytes: float | None = None
    weight_bits: list[str] = field(default_factory=list)
    seconds: float | None = None
    peak_megabytes: float | None = None
    errors: list[float] = field(default_factory=list)
    exact: bool | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)


def session_run(path: Path) -> Run:
    """A model in onnxruntime on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda feeds: dict(zip(names, map(np.asarray, session.run(None, feeds)), strict=True))


def compile_model(source: Path, data: Arrays, job: Job) -> tuple[Path, dict[str, Any]]:
    """Compile with actc; golden.onnx, and what the report says of its weights."""
    output = Path(job.folder) / "compiled"
    options: dict[str, Any] = {"calibration": job.method, **OPTIONS[job.contestant]}
    artifact = actc.compile(
        source, target="onnx", data=data, precision="int8", output=output, **options
    )
    return output / "golden.onnx", artifact.report.get("weights") or {}


def make_model(task: Task, data: Arrays, job: Job) -> tuple[Path, dict[str, Any]]:
    """Make the contestant's model, and say what is known of its weights."""
    folder = Path(job.folder)
    source = task.model(folder)
    if job.contestant == PEER:
        return quantize(source, data, folder, task.peer_operators, job.method, task.batch), {}
    return (source, {}) if job.contestant == FLOAT else compile_model(source, data, job)


def squared_errors(found: Array, wanted: Array) -> list[float]:
    """Per row the mean square error, relative to the mean square deviation of all that is wanted.

    Args:
        found: predictions [samples, ...].
        wanted: those of the float model.
    """
    rows = wanted.reshape(len(wanted), -1).astype(np.float64)
    squares = np.square(found.reshape(rows.shape) - rows).mean(axis=1)
    relative: list[float] = (squares / max(rows.var(), np.finfo(np.float64).tiny)).tolist()
    return relative


def is_exact(path: Path, feeds: Arrays, fixed_batch: bool) -> bool:
    """Do onnxruntime and the specification agree on every bit of every output?"""
    feeds = feeds if fixed_batch else take(feeds, EXACT_SAMPLES)
    model = onnx.load(path)
    found, specified = session_run(path)(feeds), spec.run(model, feeds)
    return all(found[name].tobytes() == value.tobytes() for name, value in specified.items())


def has_fixed_batch(path: Path) -> bool:
    """Does the model take only one batch size?"""
    graph = onnx.load(path, load_external_data=False).graph
    # Some exporters write -1 for an open batch.
    return graph.input[0].type.tensor_type.shape.dim[0].dim_value > 0


def peak_megabytes() -> float | None:
    """Most memory of this process so far; Linux's ru_maxrss would count its parent's too."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    sizes = [int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:")]
    return sizes[0] if sizes else None


def compete(job: Job) -> Result:
    """Make the contestant's model and measure it.

    Raises:
        ActcError, NotFetched: the reason why there is none.
    """
    task = TASKS[job.task]
    data = task.calibration(task.samples)
    start = time.perf_counter()
    path, weights = make_model(task, data, job)
    seconds, peak = time.perf_counter() - start, peak_megabytes()
    run = session_run(path)
    evaluation = task.evaluation(job.quick)
    predictions = task.predict(run, evaluation.feeds)
    exact, reference = None, predictions
    if job.contestant == FLOAT:
        np.save(Path(job.folder) / PREDICTIONS, predictions)
    else:
        reference = np.load(Path(job.float_folder) / PREDICTIONS, allow_pickle=False)
    if job.contestant in OPTIONS:
        exact = is_exact(path, evaluation.feeds[0], has_fixed_batch(path))
    return Result(
        metrics=task.metrics(predictions, reference, evaluation.truth),
        model=str(path),
        megabytes=path.stat().st_size / 1e6,
        weight_megabytes=weights["bytes"] / 1e6 if weights else None,
        weight_bits=[str(bits) for bits in weights.get("bits", [])],
        seconds=seconds,
        peak_megabytes=peak,
        exact=exact,
    )


def try_method(job: Job) -> Result:
    """Make the model with half of the calibration samples and compare it on the others.

    Raises:
        ActcError, NotFetched: the reason why there is none.
    """
    task = TASKS[job.task]
    batches = split(task.calibration(task.samples), task.batch)
    used, held = batches[::2], batches[1::2]
    if not held:
        return Result(reason="too few calibration samples to hold some out")
    data = {name: np.concatenate([part[name] for part in used]) for name in used[0]}
    path, _ = make_model(task, data, job)
    source = session_run(task.model(Path(job.folder)))
    found, wanted = (task.predict(run, held) for run in (session_run(path), source))
    return Result(errors=squared_errors(found, wanted))


def time_models(job: Job) -> Result:
    """Median milliseconds per inference on the first evaluation batch; the models take turns."""
    task = TASKS[job.task]
    feeds = task.evaluation(True).feeds[0]
    runs = {name: session_run(Path(path)) for name, path in job.models.items()}
    calls, turns = {}, {name: list[float]() for name in runs}
    for name, run in runs.items():
        run(feeds)
        start = time.perf_counter()
        run(feeds)
        calls[name] = max(1, round(LEAST_SECONDS / (time.perf_counter() - start)))
    for _ in range(TURNS):
        for name, run in runs.items():
            start = time.perf_counter()
            for _ in range(calls[name]):
                run(feeds)
            turns[name].append((time.perf_counter() - start) / calls[name])
    return Result(milliseconds={name: 1e3 * median(times) for name, times in turns.items()})


def explained(error: ActcError) -> str:
    """The first diagnostic on one line."""
    first = error.diagnostics[0]
    place = f" ({first.place.node or first.place.op})" if str(first.place) else ""
    more = len(error.diagnostics) - 1
    return f"{first.code}: {first.message}{place}" + (f", and {more} more" if more else "")


def attempt(job: Job) -> Result:
    """Do a job; a failure that has an explanation is a result."""
    absent = OPTIONS.get(job.contestant, {}).keys() - inspect.signature(actc.compile).parameters
    if absent:
        return Result(reason=f"not there: actc.compile has no option {', '.join(sorted(absent))}")
    try:
        if job.contestant == TIME:
            return time_models(job)
        return try_method(job) if job.trial else compete(job)
    except ActcError as error:
        return Result(reason=explained(error))
    except NotFetched as error:
        return Result(reason=str(error))


def main() -> None:
    """Do the job in the file that the command line names."""
    sys.path.append(str(DOWNLOADS / "packages"))
    source = Path(sys.argv[1])
    job = Job(**json.loads(source.read_text(encoding="utf-8")))
    text = json.dumps(asdict(attempt(job)))
    source.with_name("result.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
