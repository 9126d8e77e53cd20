"""Compiling the C code for this machine, and running it on samples."""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from actc import tool_results, toolchain
from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets import executed
from actc.targets.tvm.runtime import prepared

Array = np.ndarray[Any, Any]
Runner = Callable[[Mapping[str, Array]], dict[str, Array]]

COMPILER_HELP = "apt-get install gcc"
SIGNATURE = "signature.json"
FLAGS = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
_COMPILE_SECONDS = 600.0
RUN_SECONDS = 1200.0
_MEMORY = 8 << 30


def compile_command(name: str, program: str, flags: Sequence[str] = FLAGS) -> tuple[str, ...]:
    """The command that makes the example, which reads and writes float."""
    return ("gcc", *flags, f"-D{name.upper()}_FLOAT", f"{name}.c", "main.c", "-o", program)


def load(directory: Path) -> Runner:
    """The C code in a directory as a function from feeds to outputs; compiled when it changes.

    Raises:
        UsageError: there is none. MissingTool, ToolFailed: of gcc.
    """
    _require(directory, SIGNATURE)
    signature = json.loads((directory / SIGNATURE).read_text(encoding="utf-8"))
    name = str(signature["name"])
    for file in _sources(name):
        _require(directory, file)
    texts = tuple((directory / file).read_bytes() for file in _sources(name))
    program = _compiled(name, texts)
    if not program.path.is_file():  # somebody cleared the temporary files
        _compiled.cache_clear()
        program = _compiled(name, texts)

    def run(feeds: Mapping[str, Array]) -> dict[str, Array]:
        arrays = [prepared(feeds, item) for item in signature["inputs"]]
        return execute((str(program.path),), arrays, signature["outputs"])

    return run


def _require(directory: Path, file: str) -> None:
    if not (directory / file).is_file():
        raise UsageError(
            Diagnostic(
                "ACT0474",
                f"there is no C code in {directory}: {file} is missing",
                help="build it first: actc compile MODEL.onnx --target c -o DIR",
            )
        )


def _sources(name: str) -> tuple[str, ...]:
    return (f"{name}.c", f"{name}.h", "main.c")


class _Program:
    """A compiled example; its folder goes with it."""

    def __init__(self, name: str, texts: Sequence[bytes]) -> None:
        folder = Path(tempfile.mkdtemp(prefix="actc-c-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        for file, text in zip(_sources(name), texts, strict=True):
            (folder / file).write_bytes(text)
        compiler = toolchain.find("gcc", COMPILER_HELP)
        self.path = folder / "program"
        command = [str(compiler), *compile_command(name, self.path.name)[1:]]
        toolchain.run(command, timeout=_COMPILE_SECONDS, memory=_MEMORY, cwd=folder)
        tool_results.require_program(self.path, "gcc")


@lru_cache(maxsize=8)
def _compiled(name: str, texts: tuple[bytes, ...]) -> _Program:
    return _Program(name, texts)


def execute(
    command: Sequence[str],
    arrays: Sequence[Array],
    outputs: Sequence[Mapping[str, Any]],
    named: bool = True,
    seconds: float = RUN_SECONDS,
) -> dict[str, Array]:
    """What a program gives for samples, one call for each; see `actc.targets.executed.execute`.

    Args:
        outputs: as signature.json has them, with any number of samples.
    """
    each = [{**item, "shape": [1, *item["shape"][1:]]} for item in outputs]
    return executed.execute(command, arrays, each, len(arrays[0]), named=named, seconds=seconds)
