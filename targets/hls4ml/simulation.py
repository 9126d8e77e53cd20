"""hls4ml's C simulation: the project compiled with g++ and run, in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np

from actc import tool_results, toolchain
from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed
from actc.targets.hls4ml import files
from actc.targets.hls4ml.backends import BACKENDS
from actc.targets.hls4ml.emulation import FOLDER, PARTS
from actc.targets.hls4ml.layers import HlsNetwork, Integers
from actc.targets.hls4ml.options import Options
from actc.targets.hls4ml.units.source import unit_parts

COMPILER_HELP = "apt-get install g++"
BENCH = "actc_bench.cpp"
_COMPILE_SECONDS = 1800.0
RUN_SECONDS = 1800.0
_MEMORY = 12 << 30


def bench(network: HlsNetwork, options: Options, units: str | bytes) -> str:
    """A program that runs the network on samples of a file, or its activation units alone.

    Args:
        units: `units.json`.
    """
    backend = BACKENDS[options.backend]
    call = files.filled(
        f"call_{backend.calls[options.io]}.cpp.in", NAME=network.name, CHANNEL=backend.channel
    )
    sizes = {"TAKEN": str(prod(network.shape)), "MADE": str(prod(network.output.shape))}
    parts = unit_parts(network, backend, options.io, units)
    header = f"{FOLDER}/{PARTS}" if backend.pipes else f"firmware/{network.name}.h"
    return files.filled("bench.cpp.in", HEADER=header, CALL=call, **sizes, **parts)


def compile_command(network: HlsNetwork, options: Options, program: str) -> tuple[str, ...]:
    """What makes the bench, run in the folder of the project."""
    return (*compile_flags(network, options), BENCH, "-o", program)


def compile_flags(network: HlsNetwork, options: Options) -> tuple[str, ...]:
    """The compiler, with the project's headers and its network in front of what is compiled."""
    backend = BACKENDS[options.backend]
    # streams that are read empty, and arrays of the library beyond their ends, end the program;
    # -Og compiles 1.6 times as fast as -O1, and what it makes takes 1.2 times as long
    flags = ("-Og", "-std=c++17", "-D_GLIBCXX_ASSERTIONS", '-DWEIGHTS_DIR="firmware/weights"')
    folders = [f"-I{folder}" for folder in backend.includes]
    # one translation unit, so that the libraries are read once
    sources = [f for s in backend.sources for f in ("-include", s.replace("@NAME@", network.name))]
    return ("g++", *flags, *folders, *sources)


def compile_bench(network: HlsNetwork, options: Options, project: Path, program: Path) -> None:
    """Make the bench.

    Args:
        project: folder of the project.
        program: what is made.

    Raises:
        MissingTool: there is no g++. ToolFailed: it failed, or took too long.
    """
    run_compiler(compile_command(network, options, str(program.resolve())), project)


def run_compiler(command: Sequence[str], project: Path) -> None:
    """Run a command of g++ in the folder of a project.

    Raises:
        MissingTool: there is no g++. ToolFailed: it failed, or took too long.
    """
    argv = [str(toolchain.find("g++", COMPILER_HELP)), *command[1:]]
    toolchain.run(argv, timeout=_COMPILE_SECONDS, memory=_MEMORY, cwd=project)


def run_bench(
    network: HlsNetwork, project: Path, program: Path, samples: Integers, work: Path
) -> Integers:
    """What the C++ gives.

    Args:
        project: folder of the project, whose weights are read.
        samples: of the input, int64 [samples, ...].
        work: folder for the files.

    Returns:
        int64 [samples, ...], of the output's shape.

    Raises:
        ToolFailed: the program failed; ACT0432, results are missing.
    """
    results = _run(project, program, "network", [samples], work)
    shape = (len(samples), *network.output.shape)
    _require(results, prod(shape), f"{len(samples)} samples")
    return results.reshape(shape)


def run_units(
    project: Path, program: Path, calls: Sequence[tuple[int, Integers]], work: Path
) -> list[Integers]:
    """What activation units of the C++ give, each alone.

    Args:
        project, program, work: as of :func:`run_bench`.
        calls: numbers of units, and inputs [calls, elements of one].

    Returns:
        int64, of the inputs' shapes.

    Raises:
        ToolFailed: the program failed; ACT0432, results are missing.
    """
    parts = [part for unit, given in calls for part in (np.array([unit, len(given)]), given)]
    results = _run(project, program, "units", parts, work)
    sizes = [given.size for _, given in calls]
    _require(results, sum(sizes), f"inputs of {len(calls)} activation units")
    pieces = np.split(results, np.cumsum(sizes[:-1]))
    return [piece.reshape(given.shape) for piece, (_, given) in zip(pieces, calls, strict=True)]


def _run(
    project: Path, program: Path, mode: str, parts: Sequence[Integers], work: Path
) -> Integers:
    """The program's results for some numbers, which it finds one behind another."""
    given, found = (work.resolve() / name for name in ("inputs.bin", "results.bin"))
    with given.open("wb") as file:
        for part in parts:
            file.write(np.ascontiguousarray(part, "<i8").tobytes())
    argv = [str(program.resolve()), mode, str(given), str(found)]
    toolchain.run(argv, timeout=RUN_SECONDS, memory=_MEMORY, cwd=project)
    content = tool_results.content(found, program.name)
    if len(content) % 8:
        raise tool_results.damaged(found, program.name, "is cut short")
    return np.frombuffer(content, "<i8").astype(np.int64)


def _require(results: Integers, count: int, what: str) -> None:
    if results.size != count:
        message = f"{results.size} numbers came for {what}, not {count}"
        raise ToolFailed(Diagnostic("ACT0432", message, help="compile the network again"))
