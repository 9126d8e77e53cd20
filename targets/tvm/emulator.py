"""Running model.so of another architecture with QEMU, through the artefact's own run.cpp.

TVM's runtime for that architecture comes from the same wheels as this machine's: unpacked
beside each other, ``tvm/lib/libtvm_runtime.so`` and ``tvm_ffi/lib/libtvm_ffi.so``.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from actc import toolchain
from actc.errors import ToolFailed
from actc.targets.tvm.host import TVM_HELP
from actc.targets.tvm.linker import Tools, tools_of
from actc.targets.tvm.runtime import SIGNATURE, Runner, prepared
from actc.toolchain import require_package

Array = np.ndarray[Any, Any]

COMPILE_SECONDS = 300
RUN_SECONDS = 600
_LIBRARIES = ("libtvm_ffi.so", "libtvm_runtime.so")


def runtime_variable(arch: str) -> str:
    """The environment variable that names the folder of TVM's runtime for an architecture."""
    return f"ACTC_TVM_RUNTIME_{arch.upper()}"


def runtime_folders(arch: str) -> list[Path] | None:
    """The folders of libtvm_ffi.so and libtvm_runtime.so; None where one is missing."""
    given = os.environ.get(runtime_variable(arch))
    if not given:
        return None
    root = Path(given)
    places = (root, root / "tvm_ffi" / "lib", root / "tvm" / "lib")
    found = [next((p for p in places if (p / name).is_file()), None) for name in _LIBRARIES]
    folders = [folder.resolve() for folder in found if folder is not None]
    return folders if len(folders) == len(_LIBRARIES) else None


def emulated_cpu(tools: Tools, mcpu: str) -> str:
    """QEMU's model of a CPU: of the same name, or the one that has everything."""
    emulator = toolchain.find(tools.emulator, "apt install qemu-user")
    return mcpu if mcpu in _known_cpus(emulator) else "max"


@lru_cache(maxsize=4)
def _known_cpus(emulator: Path) -> frozenset[str]:
    """The CPUs that QEMU lists; listing them counts as a failure in some versions."""
    try:
        printed = toolchain.run([str(emulator), "-cpu", "help"], timeout=30).output
    except ToolFailed as failed:
        printed = " ".join(failed.diagnostics[0].notes)
    return frozenset(printed.split())


def load(directory: Path, arch: str, mcpu: str) -> Runner:
    """The artefact in `directory` as a function.

    Args:
        directory: has model.so and run.cpp.
        arch: its architecture; `runtime_folders` finds its runtime.
        mcpu: LLVM's name of the CPU.

    Raises:
        MissingTool: a tool is missing. ToolFailed: it failed.
    """
    tools, folders = tools_of(arch), runtime_folders(arch)
    assert folders is not None
    emulator = toolchain.find(tools.emulator, "apt install qemu-user")
    model = emulated_cpu(tools, mcpu)
    place = tempfile.mkdtemp(prefix="actc-")
    program = Path(place) / "run"
    (program.parent / "model.so").symlink_to(directory.resolve() / "model.so")
    _compile(directory / "run.cpp", program, tools, folders)
    names = json.loads((directory / SIGNATURE).read_text(encoding="utf-8"))
    paths = ":".join(map(str, folders))
    command = [str(emulator), "-cpu", model, *tools.root(), "-E", f"LD_LIBRARY_PATH={paths}"]

    def run(feeds: Mapping[str, Array]) -> dict[str, Array]:
        with tempfile.TemporaryDirectory(dir=place) as folder:
            inputs = [Path(folder) / f"in{i}.npy" for i in range(len(names["inputs"]))]
            outputs = [Path(folder) / f"out{i}.npy" for i in range(len(names["outputs"]))]
            for path, item in zip(inputs, names["inputs"], strict=True):
                np.save(path, prepared(feeds, item), allow_pickle=False)
            argv = [*command, str(program), *map(str, (*inputs, *outputs))]
            toolchain.run(argv, timeout=RUN_SECONDS)
            return {
                item["name"]: np.load(path, allow_pickle=False)
                for path, item in zip(outputs, names["outputs"], strict=True)
            }

    weakref.finalize(run, shutil.rmtree, place, ignore_errors=True)
    return run


def _compile(source: Path, program: Path, tools: Tools, folders: list[Path]) -> None:
    """Compile run.cpp against the headers of the installed apache-tvm-ffi."""
    ffi = require_package("tvm_ffi", TVM_HELP)
    headers = Path(ffi.libinfo.find_include_path())
    compiler = toolchain.find(tools.cxx, tools.how)
    command = [str(compiler), "-std=c++17", "-O1", str(source), "-o", str(program)]
    command += [f"-I{headers}", *(f"-L{folder}" for folder in folders)]
    command += ["-Wl,--no-as-needed", "-ltvm_ffi", "-ltvm_runtime"]
    toolchain.run(command, timeout=COMPILE_SECONDS)
