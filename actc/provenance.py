"""What a compilation depended on: the model, the data, the options as given, the versions."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from actc import toolchain
from actc.compile_options import Options
from actc.data import DataLike, Dataset
from actc.errors import ActcError
from actc.targets.base import Target, Tool

_LIBRARIES = (
    "numpy",
    "scipy",
    "threadpoolctl",
    "onnx",
    "onnx-ir",
    "onnxscript",
    "onnxruntime",
    "onnxruntime-gpu",
    "jinja2",
    "matplotlib",
    "apache-tvm",
)
_WITH = {"tvm": ("apache-tvm-ffi",), "hls4ml": ("da4ml",)}
"""Distributions that a package of a target works with."""
_COMPILERS = ("gcc", "g++")


def versions(machine: Target) -> dict[str, str]:
    """Versions of actc, Python and the libraries and compilers that shape the result."""
    found = {"actc": metadata.version("actc"), "python": platform.python_version()}
    tools = machine.capabilities().tools
    for name in dict.fromkeys((*_LIBRARIES, *_distributions(tools))):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {**found, **dict(_compilers(tools))}


def _distributions(tools: Iterable[Tool]) -> Iterator[str]:
    for tool in tools:
        if tool.kind == "package":
            yield tool.probe.replace("_", "-")
            yield from _WITH.get(tool.probe, ())


def _compilers(tools: Iterable[Tool]) -> Iterator[tuple[str, str]]:
    for tool in tools:
        if tool.kind != "command" or not tool.probe.endswith(_COMPILERS):
            continue
        try:
            path = toolchain.locate(tool.probe)
            if path is not None:
                yield tool.probe, toolchain.version(path, ("-dumpfullversion", "-dumpversion"))
        except ActcError:  # it says what it is where it is used
            continue


def inputs_of(
    options: Options, passes: str | None, data: DataLike | None, dataset: Dataset
) -> dict[str, Any]:
    """What `actc reproduce` needs beside the model.

    Args:
        options: as they were given.
        passes: the list that was given, None for the default.
        data: what was given.
        dataset: what was read from it.

    Returns:
        JSON-ready: ``data`` {name, sha256} or None, and ``request`` {options, passes}.
    """
    request = {"options": asdict(options), "passes": passes}
    if data is None:
        return {"data": None, "request": request}
    name = Path(data).name if isinstance(data, (str, Path)) else "<data>"
    return {"data": {"name": name, "sha256": data_digest(dataset)}, "request": request}


def data_digest(dataset: Dataset) -> str:
    """SHA-256 of the arrays as the model takes them, whatever file they came in."""
    state = hashlib.sha256()
    arrays = {f"input {name}": array for name, array in dataset.inputs.items()}
    arrays |= {f"lengths {name}": array for name, array in dataset.lengths.items()}
    if dataset.labels is not None:
        arrays["labels"] = dataset.labels
    for name, array in sorted(arrays.items()):
        state.update(repr((name, array.dtype.name, array.shape)).encode())
        state.update(array.tobytes())
    return state.hexdigest()
