"""Load and call a compiled model with TVM's runtime library alone."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from actc.diagnostics import Diagnostic
from actc.errors import MissingTool, UsageError
from actc.targets.tvm.host import TVM_HELP
from actc.toolchain import require_package

Array = np.ndarray[Any, Any]
Runner = Callable[[Mapping[str, Array]], dict[str, Array]]

LIBRARY = "model.so"
SIGNATURE = "signature.json"
RUNTIME_VARIABLE = "ACTC_TVM_RUNTIME"
_CPU, _DEVICE, _POOLED = 1, 0, 2


def runtime_library() -> Path:
    """Where libtvm_runtime.so is: ACTC_TVM_RUNTIME, or beside the installed tvm package.

    Raises:
        MissingTool: it is nowhere.
    """
    given = os.environ.get(RUNTIME_VARIABLE)
    if given:
        found = Path(given)
    else:
        spec = importlib.util.find_spec("tvm")
        folder = Path(spec.origin).parent if spec and spec.origin else Path()
        found = folder / "lib" / "libtvm_runtime.so"
    if not found.is_file():
        raise MissingTool(
            Diagnostic(
                "ACT0406",
                "TVM's runtime library libtvm_runtime.so is not installed",
                help=f"{TVM_HELP}, or set {RUNTIME_VARIABLE} to its path",
            )
        )
    return found


@lru_cache(maxsize=1)
def _ffi() -> Any:
    """The package tvm_ffi with the runtime library loaded."""
    library = runtime_library()
    ffi = require_package("tvm_ffi", TVM_HELP)
    ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    return ffi


def load(directory: Path) -> Runner:
    """The compiled model in `directory` as a function from feeds to outputs.

    The model is kept, so that loading again is free; a rebuilt library is loaded anew.

    Raises:
        UsageError: there is no compiled model. MissingTool: TVM's runtime is missing.
    """
    require(directory, LIBRARY)
    library = directory.resolve() / LIBRARY
    status = library.stat()
    return _load(library, status.st_mtime_ns, status.st_size)


def require(directory: Path, product: str) -> None:
    """See that a directory holds a compiled model.

    Raises:
        UsageError: it does not.
    """
    if not (directory / product).is_file():
        raise UsageError(
            Diagnostic(
                "ACT0407",
                f"there is no {product} in {directory}",
                help="build it first: actc compile MODEL.onnx --target cpu -o DIR",
            )
        )


@lru_cache(maxsize=32)
def _load(library: Path, _time: int, _size: int) -> Runner:
    ffi = _ffi()
    signature = json.loads((library.parent / SIGNATURE).read_text(encoding="utf-8"))
    machine = _open(ffi, library)["vm_load_executable"]()
    machine["vm_initialization"](_CPU, _DEVICE, _POOLED)
    main = machine["main"]
    inputs = [(item["name"], _ready(item), item) for item in signature["inputs"]]
    outputs = [(item["name"], dtype_of(item)) for item in signature["outputs"]]

    def run(feeds: Mapping[str, Array]) -> dict[str, Array]:
        arrays = []
        for name, ready, item in inputs:
            array = feeds.get(name)
            arrays.append(ffi.from_dlpack(array if ready(array) else prepared(feeds, item)))
        try:
            results = main(*arrays)
        except ValueError as error:  # what only a call can check: axes, shapes, indices
            message = f"the compiled model does not take these inputs: {error}"
            raise UsageError(Diagnostic("ACT0464", message)) from error
        # The arrays keep the tensors' memory; a copy would cost as much as a small layer.
        pairs = zip(outputs, results, strict=True)
        return {name: _writable(result, dtype) for (name, dtype), result in pairs}

    return run


def _ready(item: Mapping[str, Any]) -> Callable[[Any], bool]:
    """A quick test whether an array can be passed as it is: for small models, checks count."""
    dtype, shape = dtype_of(item), tuple(item["shape"])
    if dtype.name == "bfloat16" or 0 in shape:
        return lambda array: False
    rank, free = len(shape), 1 if shape and shape[0] is None else 0
    fixed = shape[free:]

    def ready(array: Any) -> bool:
        return (
            type(array) is np.ndarray
            and array.dtype == dtype
            and array.ndim == rank
            and array.shape[free:] == fixed
            and array.flags.carray
            and array.size > 0
        )

    return ready


def _writable(result: Any, dtype: np.dtype[Any]) -> Array:
    array = np.from_dlpack(result)
    if not array.flags.writeable:
        array = np.array(array)
    return array if array.dtype == dtype else array.view(dtype)


_OPENED: set[Path] = set()


def _open(ffi: Any, library: Path) -> Any:
    """Load a shared library; one that was rebuilt is loaded from a copy, because the dynamic
    loader takes equal paths for the same library."""
    if library not in _OPENED:
        _OPENED.add(library)
        return ffi.load_module(str(library))
    with tempfile.TemporaryDirectory() as folder:
        return ffi.load_module(shutil.copy(library, folder))


def prepared(feeds: Mapping[str, Array], item: Mapping[str, Any]) -> Array:
    """One input as a contiguous, writable array of the right type.

    Raises:
        UsageError: it is missing or has another type or shape.
    """
    name = item["name"]
    array = feeds.get(name)
    wanted = item["shape"]
    fits = array is not None and array.ndim == len(wanted)
    if (
        array is None
        or not fits
        or any(e not in (None, got) for e, got in zip(wanted, array.shape, strict=True))
    ):
        found = "is missing" if array is None else f"has shape {array.shape}"
        raise UsageError(Diagnostic("ACT0408", f"input '{name}' {found}, the model wants {wanted}"))
    if array.dtype != dtype_of(item):
        raise UsageError(
            Diagnostic(
                "ACT0408",
                f"input '{name}' has type {array.dtype}, the model wants {item['dtype']}",
            )
        )
    return passed(array)


def dtype_of(item: Mapping[str, Any]) -> np.dtype[Any]:
    """numpy's type of an input or output in signature.json."""
    name = str(item["dtype"])
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def passed(array: Array) -> Array:
    """An array as DLPack takes it: contiguous and writable, bfloat16 as its bits."""
    if array.dtype.name == "bfloat16":
        array = array.view(np.uint16)
    if array.size == 0:  # numpy's own strides of nothing are not those of row-major order
        steps = [math.prod(array.shape[axis + 1 :]) for axis in range(array.ndim)]
        strides = [array.itemsize * step for step in steps]
        return np.lib.stride_tricks.as_strided(np.zeros(1, array.dtype), array.shape, strides)
    return np.require(array, requirements=["C", "W"])
