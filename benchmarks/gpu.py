"""Networks on an NVIDIA GPU: actc against onnxruntime's CUDA provider and torch.compile.

    python benchmarks/gpu.py [--models NAME,...] [--batches 1,64] [--json FILE]

Every network is made in torch with random weights, exported to ONNX and given to all: `int8`,
`float32` and `float16` are what `actc compile --target cuda` builds for this GPU with this
--precision, `fp16` is float32 whose products take halves (cuda:...,fp16), `ort` is
onnxruntime-gpu with inputs and outputs bound on the device, `torch` is torch.compile in float32
and `torch16` in float16, both replayed as CUDA graphs (mode "reduce-overhead"). Times are those
of a batch that lies on the device, in milliseconds: medians of rounds in which all take turns.

Without a GPU it says so and ends with status 3; a peer that is not installed is a dash.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import actc
from actc.targets.tvm.cuda import runtime

NO_GPU = 3
ROUNDS = 15
SLICE = 0.02
"""Seconds of one timing."""
SAMPLES = 64
KINDS = {
    "int8": ("int8", ""),
    "float32": ("float32", ""),
    "fp16": ("float32", ",fp16"),
    "float16": ("float16", ""),
}
"""What actc builds: name -> (precision, option of the target)."""
COLUMNS = (*KINDS, "ort", "torch", "torch16")

Timer = Callable[[int], float]
"""From a number of calls to the seconds that they take."""


def networks() -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Name -> (torch module, shape of a sample)."""
    from torch import nn

    def block(inputs: int, outputs: int, stride: int = 1) -> list[Any]:
        conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
        return [conv, nn.BatchNorm2d(outputs), nn.SiLU()]

    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    small = nn.Sequential(*block(1, 32), nn.MaxPool2d(2), *block(32, 64), *head, nn.Linear(64, 10))
    wide = nn.Sequential(
        *block(3, 64, 2), *block(64, 64), *block(64, 128, 2), *block(128, 128),
        *block(128, 256, 2), *block(256, 256), *head, nn.Linear(256, 100),
    )  # fmt: skip

    def separable(inputs: int, outputs: int, stride: int = 1) -> list[Any]:
        depthwise = nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs)
        pointwise = nn.Conv2d(inputs, outputs, 1)
        return [depthwise, nn.SiLU(), pointwise, nn.BatchNorm2d(outputs), nn.SiLU()]

    mobile = nn.Sequential(
        *block(3, 32, 2), *separable(32, 64), *separable(64, 128, 2), *separable(128, 128),
        *separable(128, 256, 2), *head, nn.Linear(256, 100),
    )  # fmt: skip
    dense = nn.Sequential(nn.Linear(784, 1024), nn.GELU(), nn.Linear(1024, 1024), nn.GELU(),
                          nn.Linear(1024, 10))  # fmt: skip
    return {
        "mnist cnn": (small, (1, 28, 28)),
        "cnn 112": (wide, (3, 112, 112)),
        "mobile 112": (mobile, (3, 112, 112)),
        "mlp 1024": (dense, (784,)),
    }


def export(module: Any, shape: tuple[int, ...], path: Path) -> None:
    """Write a module as ONNX with any batch."""
    import torch

    batch = torch.export.Dim("batch", min=1, max=4096)
    program = torch.onnx.export(
        module.eval(), (torch.zeros(2, *shape),), dynamo=True, dynamic_shapes=({0: batch},),
        input_names=["x"], output_names=["y"], verbose=False,
    )  # fmt: skip
    assert program is not None
    program.save(path)


def compiled(model: Path, kind: str, data: Mapping[str, Any], folder: Path) -> runtime.Network:
    """What actc builds for this GPU; it is compared with golden on the GPU before it is timed."""
    precision, option = KINDS[kind]
    target = f"cuda:{runtime.capability()}{option}"
    actc.compile(model, target, data=data, output=folder, precision=precision, max_drop=1)
    return runtime.load(folder, emulate=False)


def actc_timer(network: runtime.Network, feeds: Mapping[str, Any]) -> Timer:
    """The network's graph alone."""
    return lambda times: network.seconds(feeds, times) * times


def ort_timer(model: Path, feeds: Mapping[str, Any]) -> Timer | None:
    """onnxruntime with its CUDA provider; None where it has none."""
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime as ort

    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return None
    session = ort.InferenceSession(str(model), providers=["CUDAExecutionProvider"])
    if session.get_providers()[0] != "CUDAExecutionProvider":
        return None
    binding = session.io_binding()
    for name, array in feeds.items():
        value = ort.OrtValue.ortvalue_from_numpy(array, "cuda", 0)
        binding.bind_ortvalue_input(name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name, "cuda")
    session.run_with_iobinding(binding)

    def timer(times: int) -> float:
        start = time.perf_counter()
        for _ in range(times):
            session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return time.perf_counter() - start

    return timer


def torch_timer(module: Any, x: Any, half: bool) -> Timer | None:
    """torch.compile as CUDA graphs; None where torch has no CUDA."""
    import torch

    if not torch.cuda.is_available():
        return None
    dtype = torch.float16 if half else torch.float32
    cuda: Any = torch.cuda  # its functions have no types
    network = torch.compile(module.eval().cuda().to(dtype), mode="reduce-overhead")
    given = torch.from_numpy(x).cuda().to(dtype)
    with torch.inference_mode():
        for _ in range(5):
            network(given)
    cuda.synchronize()

    def timer(times: int) -> float:
        start = time.perf_counter()
        with torch.inference_mode():
            for _ in range(times):
                network(given)
        cuda.synchronize()
        return time.perf_counter() - start

    return timer


def medians(timers: Mapping[str, Timer | None]) -> dict[str, float | None]:
    """Milliseconds of a call: the median of rounds in which all take turns."""
    there = {name: timer for name, timer in timers.items() if timer is not None}
    counts = {name: max(1, round(SLICE / max(timer(3) / 3, 1e-7))) for name, timer in there.items()}
    found: dict[str, list[float]] = {name: [] for name in there}
    for _ in range(ROUNDS):
        for name, timer in there.items():
            found[name].append(timer(counts[name]) / counts[name])
    return {
        name: 1e3 * statistics.median(found[name]) if name in found else None for name in timers
    }


def measure(name: str, batches: list[int]) -> list[dict[str, Any]]:
    """A row of times for each batch of a network."""
    import copy

    module, shape = networks()[name]
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(SAMPLES, *shape)).astype(np.float32)}
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = folder / "model.onnx"
        export(module, shape, model)
        built = {kind: compiled(model, kind, data, folder / kind) for kind in KINDS}
        for batch in batches:
            feeds = {"x": rng.normal(size=(batch, *shape)).astype(np.float32)}
            timers: dict[str, Timer | None] = {
                kind: actc_timer(network, feeds) for kind, network in built.items()
            }
            timers["ort"] = ort_timer(model, feeds)
            timers["torch"] = torch_timer(copy.deepcopy(module), feeds["x"], False)
            timers["torch16"] = torch_timer(copy.deepcopy(module), feeds["x"], True)
            rows.append({"model": name, "batch": batch, **medians(timers)})
    return rows


def line(row: Mapping[str, Any]) -> str:
    """A row of the table."""
    cells = [f"{row[c]:9.4f}" if row[c] is not None else f"{'-':>9}" for c in COLUMNS]
    return f"{row['model']:12}{row['batch']:>6}" + "".join(cells)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", default="mnist cnn,cnn 112,mobile 112,mlp 1024")
    parser.add_argument("--batches", default="1,64")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if runtime.gpu_count() == 0:
        sys.stderr.write("this machine has no NVIDIA GPU (or no driver), so nothing is measured\n")
        return NO_GPU
    sys.stdout.write(f"milliseconds a batch on {runtime.capability()}\n")
    head = "".join(f"{c:>9}" for c in COLUMNS)
    sys.stdout.write(f"{'model':12}{'batch':>6}{head}\n")
    rows = []
    for name in options.models.split(","):
        for row in measure(name, [int(b) for b in options.batches.split(",")]):
            rows.append(row)
            sys.stdout.write(line(row) + "\n")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
