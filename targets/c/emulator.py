"""The C code on an emulated Cortex-M: compiled by Arm's gcc, run by QEMU, no library behind it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from actc import toolchain
from actc.errors import MissingTool, ToolFailed
from actc.targets.base import Progress, Rung, quiet
from actc.targets.c.example import Example, Move, slots
from actc.targets.c.host import SIGNATURE, execute
from actc.targets.cortex_m.board import CORTEX_M4, HELIUM_M55, Core
from actc.targets.cortex_m.program import (
    COMPILER,
    COMPILER_HELP,
    EMULATOR,
    link,
    run_command,
    start,
)

Array = np.ndarray[Any, Any]

FLAGS = ("-std=c99", "-O2", "-ffreestanding", "-Wall", "-Wextra", "-Wconversion", "-Werror")
CORES = (CORTEX_M4, HELIUM_M55)
"""The code has a part for the DSP extension, and one for vectors."""
MOST_SAMPLES = 4
_SECONDS = 300.0


def object_command(core: Core, source: str, target: str) -> tuple[str, ...]:
    """The command that compiles one file for a core."""
    return (COMPILER, *FLAGS, *core.machine, "-c", source, "-o", target)


def build(directory: Path, folder: Path, core: Core, definitions: str = "") -> Path:
    """Link the code with a start-up of its own, and with nothing else.

    Args:
        directory: of the C code. folder: for what is made.
        definitions: more C of the start-up.

    Returns:
        the program.

    Raises:
        MissingTool, ToolFailed: of the compiler.
    """
    compiler = str(toolchain.find(COMPILER, COMPILER_HELP))
    signature = json.loads((directory / SIGNATURE).read_text(encoding="utf-8"))
    name = str(signature["name"])
    upper = name.upper()
    (folder / "start.c").write_text(_start(signature, definitions), encoding="utf-8")
    for source, made in ((directory.resolve() / f"{name}.c", "network.o"), ("start.c", "start.o")):
        command = object_command(core, str(source), made)
        more = [f"-D{upper}_FLOAT", f"-I{directory.resolve()}"]
        toolchain.run([compiler, *command[1:], *more], timeout=_SECONDS, cwd=folder)
    return link(core, ("network.o", "start.o"), folder)


def _start(signature: Mapping[str, Any], definitions: str) -> str:
    """The start-up, which is an example whose files are those of the emulator's host."""

    def moves(operation: str, file: str) -> Move:
        return lambda name: (
            f"sizeof {name} - (size_t)move({operation}, {file}, {name}, sizeof {name})"
        )

    name = str(signature["name"])
    found = Example(name, slots(signature["inputs"]), slots(signature["outputs"]))
    body = found.body(
        moves("READ", "source"), moves("WRITE", "result"), lambda status: f"leave({status});"
    )
    return start(name, f"{found.buffers()}\n{definitions}", body)


def run(
    program: Path,
    core: Core,
    arrays: Sequence[Array],
    outputs: Sequence[Mapping[str, Any]],
    options: Sequence[str] = (),
) -> dict[str, Array]:
    """What the program gives for samples.

    Args:
        options: more of the emulator's.

    Raises:
        MissingTool, ToolFailed: of the emulator.
    """
    command = (*run_command(core, program), *options)
    return execute(command, arrays, outputs, named=False, seconds=_SECONDS)


def rungs(
    directory: Path,
    feeds: Mapping[str, Array],
    golden: Mapping[str, Array],
    say: Progress = quiet,
) -> list[Rung]:
    """Compare golden with the code on each of `CORES`; one that does not run is the last."""
    found: list[Rung] = []
    for core in CORES:
        found.append(rung(directory, feeds, golden, say, core))
        if found[-1].result == "not run":
            break
    return found


def rung(
    directory: Path,
    feeds: Mapping[str, Array],
    golden: Mapping[str, Array],
    say: Progress = quiet,
    core: Core = CORTEX_M4,
) -> Rung:
    """Compare golden with the code on an emulated core, for a few samples."""
    name = f"{core.title}, emulated"
    signature = json.loads((directory / SIGNATURE).read_text(encoding="utf-8"))
    inputs, outputs = signature["inputs"], signature["outputs"]
    count = min(MOST_SAMPLES, *(len(array) for array in feeds.values()))
    arrays = [np.ascontiguousarray(feeds[item["name"]][:count]) for item in inputs]
    say(f"{EMULATOR}: {count} samples on a {core.title}")
    try:
        with tempfile.TemporaryDirectory(prefix="actc-c-") as folder:
            program = build(directory, Path(folder), core)
            found = run(program, core, arrays, outputs)
    except MissingTool as problem:
        return Rung(name, "not run", problem.diagnostics[0].message)
    except ToolFailed as problem:
        reason = _beyond_the_board(problem)
        if reason is None:
            raise
        return Rung(name, "not run", reason)
    same = all(found[k].tobytes() == np.asarray(golden[k][:count]).tobytes() for k in found)
    flags = " ".join(core.machine[1:])
    detail = f"{COMPILER} {flags} without libraries, {EMULATOR} -M {core.board.name}"
    return Rung(name, "equal" if same else "differs", detail, count)


def _beyond_the_board(problem: ToolFailed) -> str | None:
    """Why a network is too large for the emulated board; None where something else failed."""
    (found,) = problem.diagnostics
    if found.code == "ACT0511":
        return f"{EMULATOR} took more than {_SECONDS:g} seconds"
    if any("will not fit in region" in note or "overflowed by" in note for note in found.notes):
        return "the network does not fit the board's flash or memory"
    return None
