"""Object files for a Cortex-M, executed on the emulated core that takes their instructions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from actc import toolchain
from actc.targets.cortex_m.board import Core, core_for
from actc.targets.cortex_m.program import (
    COMPILER,
    COMPILER_HELP,
    EMULATOR,
    link,
    run_command,
    start,
)
from actc.targets.tvm.runtime import SIGNATURE

OBJECT, SOURCE = "kernels.o", "network.c"
_FLAGS = ("-std=c99", "-O2", "-ffreestanding")
_SECONDS = 300.0
_STACK_BYTES = 64 << 10
"""Kept for the stack; kernels have scratch memory of their own."""
_BUFFERS = """static uint64_t in[NETWORK_INPUTS][NETWORK_LARGEST / 8 + 1];
static uint64_t out[NETWORK_OUTPUTS][NETWORK_LARGEST / 8 + 1];
static const size_t in_bytes[] = NETWORK_INPUT_BYTES;
static const size_t out_bytes[] = NETWORK_OUTPUT_BYTES;"""
_BODY = """        const void *inputs[NETWORK_INPUTS];
        void *outputs[NETWORK_OUTPUTS];
        for (int i = 0; i < NETWORK_INPUTS; i++) {
            inputs[i] = in[i];
            moved = in_bytes[i] - (size_t)move(READ, source, in[i], in_bytes[i]);
            if (moved != in_bytes[i]) {
                leave((i > 0) || (moved > 0) ? 1 : 0);
            }
        }
        for (int i = 0; i < NETWORK_OUTPUTS; i++) {
            outputs[i] = out[i];
        }
        if (network_run(inputs, outputs) != 0) {
            leave(1);
        }
        for (int i = 0; i < NETWORK_OUTPUTS; i++) {
            if (move(WRITE, result, out[i], out_bytes[i]) != 0) {
                leave(1);
            }
        }"""


def why_not(directory: Path, mcpu: str, taken: Mapping[str, int]) -> str:
    """Why no emulated core runs the artefact here; "" where one does.

    Args:
        directory: of the artefact. mcpu: LLVM's name of its core.
        taken: the bytes of its library, constants and workspace.
    """
    core = core_for(mcpu)
    if core is None:
        return f"{EMULATOR} has no board with a core that runs code for {mcpu}"
    missing = [tool for tool in (EMULATOR, COMPILER) if toolchain.locate(tool) is None]
    if missing:
        return f"there is no {', no '.join(missing)}"
    names = json.loads((directory / SIGNATURE).read_text(encoding="utf-8"))
    flash = taken.get("library", 0) + taken.get("constants", 0)
    memory = taken.get("workspace", 0) + _buffers(names) + _STACK_BYTES
    if flash > core.board.flash_bytes or memory > core.board.ram_bytes:
        return f"the network does not fit the flash or memory of {core.board.name}, QEMU's board"
    return ""


def _buffers(names: Mapping[str, Any]) -> int:
    """Bytes of the test program's buffers: all are as large as the largest input or output."""
    every = [*names["inputs"], *names["outputs"]]
    sizes = []
    for item in every:
        size = int(np.prod([n or 1 for n in item["shape"]], dtype=np.int64))
        sizes.append(size * np.dtype(item["dtype"]).itemsize + 8)
    return int(max(sizes)) * len(every)


def emulation(mcpu: str) -> str:
    """How the artefact is run."""
    core = _core(mcpu)
    return f"run by {EMULATOR} -M {core.board.name}, a {core.title}, not on a machine of its own"


def command(directory: Path, mcpu: str, folder: Path) -> tuple[str, ...]:
    """Link the objects with a start-up of their own; the command that runs them.

    Args:
        directory: of the artefact. mcpu: LLVM's name of its core. folder: for what is made.

    Raises:
        MissingTool, ToolFailed: of the compiler or the emulator.
    """
    core, place = _core(mcpu), directory.resolve()
    compiler = str(toolchain.find(COMPILER, COMPILER_HELP))
    (folder / "start.c").write_text(start("network", _BUFFERS, _BODY), encoding="utf-8")
    for source in (str(place / SOURCE), "start.c"):
        argv = [compiler, *_FLAGS, *core.machine, f"-I{place}", "-c", source]
        toolchain.run(argv, timeout=_SECONDS, cwd=folder)
    objects = ("network.o", "start.o", str(place / OBJECT))
    return run_command(core, link(core, objects, folder, ("-lgcc",)))


def _core(mcpu: str) -> Core:
    found = core_for(mcpu)
    assert found is not None, mcpu
    return found
