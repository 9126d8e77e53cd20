"""Whether an artefact runs on this machine: what it was compiled for is in its cpu.json."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actc import toolchain
from actc.targets.tvm import microcontroller
from actc.targets.tvm.emulator import emulated_cpu, runtime_folders, runtime_variable
from actc.targets.tvm.host import BARE, Cpu, host_arch, lacking, unasked
from actc.targets.tvm.linker import tools_of

CPU_FILE = "cpu.json"


def description(cpu: Cpu, footprint: Mapping[str, int]) -> bytes:
    """The contents of cpu.json: the CPU, and the bytes that the artefact takes."""
    found = {
        "architecture": cpu.arch,
        "cpu": cpu.mcpu,
        "features": unasked(cpu.features),
        "bytes": dict(footprint),
    }
    return (json.dumps(found, indent=2) + "\n").encode()


def describe(directory: Path) -> dict[str, Any]:
    """What cpu.json says; nothing where an older version wrote none."""
    path = directory / CPU_FILE
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def is_foreign(directory: Path) -> bool:
    """Whether the artefact is for another architecture than this machine's."""
    return str(describe(directory).get("architecture", host_arch())) != host_arch()


def why_not_here(directory: Path, needs_runtime: bool) -> str:
    """Why this machine does not run the artefact, not even emulated; "" where it does.

    Args:
        needs_runtime: whether it needs TVM's runtime, as model.so does.
    """
    found = describe(directory)
    if not found:
        return ""
    arch = str(found["architecture"])
    if arch == BARE:
        reason = microcontroller.why_not(directory, str(found["cpu"]), found.get("bytes", {}))
        return reason and f"this machine is {host_arch()}, not {arch}, and {reason}"
    if arch != host_arch():
        return _no_emulator(arch, needs_runtime)
    if importlib.util.find_spec("tvm") is None:  # LLVM knows what this machine has
        return ""
    missing = lacking(found["features"])
    few = ", ".join(missing[:4]) + (", ..." if len(missing) > 4 else "")
    return f"this machine's CPU lacks {few}" if missing else ""


def emulation(directory: Path) -> str:
    """How an artefact of another architecture was run here."""
    found = describe(directory)
    if found["architecture"] == BARE:
        return microcontroller.emulation(str(found["cpu"]))
    tools = tools_of(str(found["architecture"]))
    model = emulated_cpu(tools, str(found["cpu"]))
    return f"run by {tools.emulator} -cpu {model}, not on a machine of its own"


def _no_emulator(arch: str, needs_runtime: bool) -> str:
    """What is missing to emulate a CPU; "" where nothing is."""
    tools = tools_of(arch)
    start = f"this machine is {host_arch()}, not {arch}"
    compiler = tools.cxx if needs_runtime else tools.cc
    missing = [tool for tool in (tools.emulator, compiler) if toolchain.locate(tool) is None]
    if needs_runtime and runtime_folders(arch) is None:
        missing.append(f"TVM's runtime for {arch} ({runtime_variable(arch)})")
    return f"{start}, and there is no {', no '.join(missing)}" if missing else ""
