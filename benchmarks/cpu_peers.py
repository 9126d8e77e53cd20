"""What the CPU benchmark runs: onnxruntime, OpenVINO and actc, each as a function."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from cpu_subjects import Arrays, Subject, without_labels
from ort_int8 import quantize

import actc
from actc.errors import MissingTool

Runner = Callable[[Arrays], npt.NDArray[Any]]

PEERS = ("ort_float", "ort_int8", "ov_float", "ov_default", "ov_int8")
ACTC = {
    "actc_cpu": ("cpu", "int8"),
    "actc_float": ("cpu", "float32"),
    "actc_onnx": ("onnx", "int8"),
}
"""Contestant -> target and precision."""
CONTESTANTS = (*PEERS, *ACTC)


@dataclass(frozen=True)
class Cost:
    """What compiling took, in a process of its own.

    Attributes:
        seconds: from the call of `actc.compile` to its return.
        cpu_seconds: of the process and the linker, in that time.
        peak_mb: most memory that the process held, imports included, in 10^6 bytes.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float


def log(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)


def ort_runner(path: Path, threads: int) -> Runner:
    """Run a model in onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda feeds: np.asarray(session.run(None, feeds)[0])


def ov_runner(path: Path, threads: int, precision: str | None) -> Runner:
    """Run a model in OpenVINO, compiled for the shapes that it is fed (which is faster).

    Args:
        path: the ONNX model.
        threads: of one inference.
        precision: "f32" to compute in float32; None for OpenVINO's default.

    Raises:
        ImportError: it is not installed.
    """
    import openvino

    core = openvino.Core()
    settings: dict[str, Any] = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }
    if precision is not None:
        settings["INFERENCE_PRECISION_HINT"] = precision
    requests: dict[tuple[tuple[int, ...], ...], Any] = {}

    def request_for(feeds: Arrays) -> Any:
        key = tuple(array.shape for array in feeds.values())
        if key not in requests:
            model = core.read_model(path)
            model.reshape({name: list(array.shape) for name, array in feeds.items()})
            compiled = core.compile_model(model, "CPU", settings)
            requests[key] = compiled.create_infer_request()
        return requests[key]

    def run(feeds: Arrays) -> npt.NDArray[Any]:
        results = request_for(feeds).infer(feeds, share_inputs=True, share_outputs=True)
        return np.asarray(results[0])

    return run


def actc_runner(directory: Path) -> Runner:
    """Load what actc compiled."""
    function = actc.load(directory).load()
    return lambda feeds: np.asarray(next(iter(function(feeds).values())))


def compile_apart(
    path: Path, target: str, precision: str, data: Path, folder: Path, approx: str = "auto"
) -> Cost:
    """Compile with actc in a process of its own; the artefact goes to `folder`.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    script = Path(__file__).with_name("cpu_compile.py")
    arguments = [str(path), target, precision, str(data), str(folder), approx]
    done = subprocess.run(
        [sys.executable, str(script), *arguments], check=True, capture_output=True, text=True
    )
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def make_runners(
    subject: Subject, data: Arrays, folder: Path, wanted: list[str], threads: int
) -> tuple[dict[str, Runner | None], dict[str, Cost]]:
    """Build the contestants.

    Returns:
        the function of each, None where its tool is not installed; what compiling took.
    """
    assert subject.path is not None
    runners: dict[str, Runner | None] = {}
    costs: dict[str, Cost] = {}
    samples = folder / "calibration.npz"
    np.savez(samples, **data)  # type: ignore[arg-type, unused-ignore]
    quantized = folder / "int8.onnx"
    if any(name.endswith("int8") for name in wanted):
        quantized = quantize(subject.path, without_labels(data), folder, subject.operators)
    for name in wanted:
        try:
            if name in ACTC:
                target, precision = ACTC[name]
                out = folder / name
                costs[name] = compile_apart(subject.path, target, precision, samples, out)
                runners[name] = actc_runner(out)
            else:
                path = quantized if name.endswith("int8") else subject.path
                exact = "f32" if name == "ov_float" else None
                of_ort = name.startswith("ort")
                runners[name] = (
                    ort_runner(path, threads) if of_ort else ov_runner(path, threads, exact)
                )
        except (ImportError, MissingTool) as error:
            log(f"{name}: {error}")
            runners[name] = None
        except subprocess.CalledProcessError as error:
            log(f"{name}: {error.stderr[-2000:]}")
            runners[name] = None
    return runners, costs


def set_threads(threads: int) -> None:
    """Tell TVM how many threads to take; before the first model is loaded."""
    os.environ["TVM_NUM_THREADS"] = str(threads)
