"""run(): samples through a network in an FPGA, compared with golden.onnx."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from actc import data as data_module
from actc.data import DataLike, Dataset, InputInfo
from actc.device import Device, Interface, read_interface
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.intact import read_intact
from actc.numerics.compare import Outputs, identical, top1
from actc.output import unchanged

GOLDEN = "golden.onnx"
_BATCH = 256


def run(
    directory: str | Path,
    data: DataLike,
    *,
    port: str,
    output: str | Path | None = None,
    samples: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Run samples on a board, or on a simulation of it.

    Args:
        directory: what `actc compile` wrote for a board.
        data: as for `actc.compile`.
        port: a serial port such as /dev/ttyUSB0, or "sim".
        output: an .npz file that receives the outputs.
        samples: at most so many; None: all.
        progress: called with a line now and then.

    Returns:
        JSON-ready: name, port, build, samples, seconds, samples_per_second, traffic
        (see `actc.device.Traffic`), accuracy (of the outputs, None without labels),
        golden (None without golden.onnx, else bit_exact, differing, accuracy),
        diagnostics (ACT0598 the board differs from golden.onnx).

    Raises:
        UsageError: ACT0067, ACT0204, ACT0590 the directory, ACT0591 the port, ACT0593 another
            design, ACT0207, ACT0220, ACT0221 the data, ACT0241 the output cannot be written.
        ToolFailed: ACT0592, ACT0594 no answers, or broken ones.
        MissingTool: ACT0503, ACT0501.
    """
    show = progress or (lambda line: None)
    if output is not None:
        _check_place(Path(output))
    with unchanged(Path(directory)):
        return _run(directory, data, port, output, samples, show)


def _run(
    directory: str | Path,
    data: DataLike,
    port: str,
    output: str | Path | None,
    samples: int | None,
    show: Callable[[str], None],
) -> dict[str, Any]:
    interface = read_interface(directory)
    read_intact(Path(directory))
    dataset = data_module.load(data, _inputs(interface))
    if samples is not None:
        dataset = dataset.take(samples)
    device = Device.open(directory, port)
    with device:
        start = time.perf_counter()
        outputs = _outputs(device, dataset, show)
        seconds = time.perf_counter() - start
    if output is not None:
        _save(Path(output), outputs)
    golden = _golden(Path(directory), dataset, outputs)
    diagnostics = []
    if golden is not None and not golden["bit_exact"]:
        message = f"the board differs from {GOLDEN} on {golden['differing']} samples"
        diagnostics.append(Diagnostic("ACT0598", message, place=Place(str(directory))))
    return {
        "name": device.interface.name,
        "port": port,
        "build": device.interface.build,
        "samples": dataset.samples,
        "seconds": seconds,
        "samples_per_second": dataset.samples / seconds,
        "traffic": asdict(device.traffic),
        "accuracy": top1(outputs, dataset.labels),
        "golden": golden,
        "diagnostics": [diagnostic.to_json() for diagnostic in diagnostics],
    }


def _inputs(interface: Interface) -> list[InputInfo]:
    wanted = {item.input: item for item in interface.inputs}
    return [
        InputInfo(name, np.dtype(item.dtype), (None, *item.shape)) for name, item in wanted.items()
    ]


def _outputs(device: Device, dataset: Dataset, show: Callable[[str], None]) -> Outputs:
    parts: list[Outputs] = []
    for feeds, _ in dataset.batches(_BATCH):
        parts.append(device.run(feeds))
        done = min(dataset.samples, _BATCH * len(parts))
        show(f"{done} of {dataset.samples} samples")
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _golden(directory: Path, dataset: Dataset, outputs: Outputs) -> dict[str, Any] | None:
    """How the outputs compare with those of golden.onnx; None where there is none."""
    if not (directory / GOLDEN).is_file():
        return None
    import onnx

    from actc.checks.stages import run_model

    expected = run_model(onnx.load(directory / GOLDEN), dataset)
    accuracy = top1(expected, dataset.labels)
    found = {name: outputs[name] for name in expected if name in outputs}
    exact, differing = identical(found, {name: expected[name] for name in found})
    return {"bit_exact": exact, "differing": differing, "accuracy": accuracy}


def _check_place(path: Path) -> None:
    """Refuse a file that cannot be written, before the work."""
    if path.is_dir():
        raise _not_writable(path, "it is a directory")
    if path.exists() and not path.is_file():  # a device would be replaced by a file
        raise _not_writable(path, "it is no regular file")
    if not path.parent.is_dir():
        raise _not_writable(path, "its directory does not exist")


def _save(path: Path, outputs: Outputs) -> None:
    """Write the outputs beside their place first: what is there is whole at any time."""
    path = path.resolve()  # a link stays one
    fresh = path.with_name(f".{path.name[:64]}.{os.getpid()}")
    try:
        with fresh.open("wb") as stream:
            np.savez_compressed(stream, **outputs)  # type: ignore[arg-type]  # names of outputs
        fresh.replace(path)
    except OSError as problem:
        reason = (problem.strerror or type(problem).__name__).lower()
        raise _not_writable(path, reason) from problem
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)


def _not_writable(path: Path, reason: str) -> UsageError:
    message = f"cannot write the outputs: {reason}"
    help_text = "give another file with --output"
    return UsageError(Diagnostic("ACT0241", message, place=Place(str(path)), help=help_text))
