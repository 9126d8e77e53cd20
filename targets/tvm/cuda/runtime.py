"""Call model.so: on the GPU where there is one, else with its kernels emulated on the CPU."""

from __future__ import annotations

import ctypes
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from actc import tool_results, toolchain
from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed, UsageError
from actc.targets.tvm.cuda.host import (
    TEMPLATES,
    checked_commands,
    emulated_buffers,
    emulated_kernels,
    emulation_command,
)
from actc.targets.tvm.cuda.network import Arena
from actc.targets.tvm.runtime import LIBRARY, SIGNATURE, dtype_of, prepared

Array = np.ndarray[Any, Any]
Runner = Callable[[Mapping[str, Array]], dict[str, Array]]

KERNELS = "kernels.cu"
RESOURCES = "resources.json"
EMULATION_SECONDS = 600
COMPILER_HELP = "apt install g++, or conda install gxx"


@lru_cache(maxsize=1)
def gpu_count() -> int:
    """GPUs that NVIDIA's driver knows on this machine; 0 without a driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    ready = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return int(count.value) if ready else 0


@lru_cache(maxsize=1)
def _programs() -> tempfile.TemporaryDirectory[str]:
    """Where this process keeps compiled emulations."""
    return tempfile.TemporaryDirectory(prefix="actc-cuda-")


def capability() -> str:
    """The architecture of the first GPU, "sm_90"; there must be one."""
    driver, found = ctypes.CDLL("libcuda.so.1"), []
    for attribute in (75, 76):  # major and minor number of the compute capability
        value = ctypes.c_int(0)
        driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, 0)
        found.append(str(value.value))
    return "sm_" + "".join(found)


def emulation(directory: Path) -> Path:
    """The library that executes kernels.cu of `directory` on the CPU, compiled once per process.

    Raises:
        MissingTool: there is no C++ compiler. ToolFailed: it refuses the kernels.
    """
    text = (directory / KERNELS).read_text(encoding="utf-8")
    folder = Path(_programs().name) / hashlib.sha256(text.encode()).hexdigest()
    program = folder / "driver.so"
    if program.is_file():
        return program
    compiler = toolchain.find("g++", COMPILER_HELP)
    _write_emulation(text, folder)
    _, *arguments = emulation_command(program.name)
    try:
        toolchain.run([str(compiler), *arguments], timeout=EMULATION_SECONDS, cwd=folder)
        tool_results.require_program(program, "g++")
    except BaseException:
        program.unlink(missing_ok=True)  # it is not taken the next time
        raise
    return program


def checked_emulation(directory: Path, folder: Path) -> Path:
    """An emulation that also looks for races, misaligned and foreign accesses; see checker.cpp.

    Args:
        directory: what the target built.
        folder: where the library is made; `Network` takes it as its driver.
    """
    _write_emulation((directory / KERNELS).read_text(encoding="utf-8"), folder)
    resources = json.loads((directory / RESOURCES).read_text(encoding="utf-8"))
    fixed, sample = resources["arena"]
    arena = Arena(fixed, sample, {})
    buffers = emulated_buffers(resources["launches"], arena)
    (folder / "emulated_buffers.h").write_text(buffers, encoding="utf-8")
    compiler = toolchain.find("g++", COMPILER_HELP)
    for _, *arguments in checked_commands("driver.so"):
        toolchain.run([str(compiler), *arguments], timeout=EMULATION_SECONDS, cwd=folder)
    return folder / "driver.so"


def _write_emulation(text: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / KERNELS).write_text(text, encoding="utf-8")
    (folder / "emulated_kernels.h").write_text(emulated_kernels(text), encoding="utf-8")
    for name in ("emulator.cpp", "emulator.h", "checker.cpp", "checker.h"):
        shutil.copyfile(TEMPLATES / name, folder / name)


def load(directory: Path, emulate: bool) -> Network:
    """The network in `directory` as a function from feeds to outputs.

    Args:
        directory: what the target built.
        emulate: whether the kernels are executed on the CPU instead of a GPU.

    Raises:
        UsageError: there is no model.so, or feeds do not fit. ToolFailed: the GPU refuses.
    """
    library = directory.resolve() / LIBRARY
    if not library.is_file():
        raise UsageError(
            Diagnostic(
                "ACT0407",
                f"there is no {LIBRARY} in {directory}",
                help="build it first: actc compile MODEL.onnx --target cuda -o DIR",
            )
        )
    return Network(library, str(emulation(directory)) if emulate else None)


class Network:
    """A network that was opened: a function from feeds to outputs.

    The device's memory is freed with it.

    Args:
        library: model.so; signature.json lies beside it.
        driver: library that takes the place of NVIDIA's driver; None: the driver.
    """

    def __init__(self, library: Path, driver: str | None) -> None:
        # The dynamic loader takes equal paths for one library, also where it was built again.
        with tempfile.TemporaryDirectory() as folder:
            self._library = ctypes.CDLL(shutil.copy(library, folder))
        self._library.actc_open.restype = ctypes.c_void_p
        self._library.actc_message.restype = ctypes.c_char_p
        self._signature = json.loads((library.parent / SIGNATURE).read_text(encoding="utf-8"))
        self._handle = self._library.actc_open(driver and driver.encode(), 0)
        if self._handle is None:
            raise self._failed()

    def __call__(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs of a batch.

        Raises:
            UsageError: feeds do not fit. ToolFailed: the GPU refuses.
        """
        arrays = [prepared(feeds, item) for item in self._signature["inputs"]]
        batch = self._batch(arrays)
        outputs = {
            item["name"]: np.empty([batch if e is None else e for e in item["shape"]], stored(item))
            for item in self._signature["outputs"]
        }
        status = self._library.actc_run(
            ctypes.c_void_p(self._handle),
            batch,
            _pointers(arrays),
            _pointers(list(outputs.values())),
        )
        if status:
            raise self._failed()
        return {
            item["name"]: outputs[item["name"]].view(dtype_of(item))
            for item in self._signature["outputs"]
        }

    def _batch(self, arrays: list[Array]) -> int:
        """Samples: the extent that the signature leaves open, else that of all inputs, else 1."""
        shapes = [item["shape"] for item in self._signature["inputs"]]
        for array, shape in zip(arrays, shapes, strict=True):
            if shape and shape[0] is None:
                return len(array)
        first = {shape[0] if shape else 1 for shape in shapes}
        return (first.pop() or 1) if len(first) == 1 else 1

    def seconds(self, feeds: Mapping[str, Array], times: int) -> float:
        """Time of a batch on the device alone: the kernels' graph, `times` times.

        Args:
            feeds: what the batch holds.
            times: launches, between two waits.

        Returns:
            seconds of one launch.
        """
        self(feeds)
        start = time.perf_counter()
        status = self._library.actc_repeat(ctypes.c_void_p(self._handle), times)
        elapsed = time.perf_counter() - start
        if status:
            raise self._failed()
        return elapsed / times

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._library.actc_close(ctypes.c_void_p(self._handle))

    def _failed(self) -> ToolFailed:
        reason = self._library.actc_message().decode("utf-8", "replace")
        return ToolFailed(
            Diagnostic(
                "ACT0467",
                f"the GPU did not run the network: {reason}",
                help="the driver must be as new as CUDA 12, and the target's architectures must "
                "be the GPU's or older",
            )
        )


def stored(item: Mapping[str, Any]) -> np.dtype[Any]:
    """Type of an output's memory: bfloat16 as its bits."""
    dtype = dtype_of(item)
    return np.dtype(np.uint16) if dtype.name == "bfloat16" else dtype


def _pointers(arrays: list[Array]) -> Any:
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
