"""hls4ml's C simulation: the project compiled with g++ and run, in a process of its own."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from actc import toolchain
from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed
from actc.targets.hls4ml import files
from actc.targets.hls4ml.backends import BACKENDS
from actc.targets.hls4ml.layers import HlsNetwork, Integers
from actc.targets.hls4ml.options import Options

COMPILER_HELP = "apt-get install g++"
BENCH = "actc_bench.cpp"
_COMPILE_SECONDS = 1800.0
_RUN_SECONDS = 1800.0
_MEMORY = 12 << 30


def bench(network: HlsNetwork, options: Options) -> str:
    """A program that runs the network on samples of a file."""
    backend = BACKENDS[options.backend]
    call = files.filled(
        f"call_{backend.calls[options.io]}.cpp.in", NAME=network.name, CHANNEL=backend.channel
    )
    sizes = {"TAKEN": str(prod(network.shape)), "MADE": str(prod(network.output.shape))}
    return files.filled("bench.cpp.in", NAME=network.name, CALL=call, **sizes)


def compile_command(network: HlsNetwork, options: Options, program: str) -> tuple[str, ...]:
    """What makes the bench, run in the folder of the project."""
    backend = BACKENDS[options.backend]
    # streams that are read empty, and arrays of the library beyond their ends, end the program
    flags = ("-O1", "-std=c++17", "-D_GLIBCXX_ASSERTIONS", '-DWEIGHTS_DIR="firmware/weights"')
    folders = [f"-I{folder}" for folder in backend.includes]
    sources = [source.replace("@NAME@", network.name) for source in backend.sources]
    return ("g++", *flags, *folders, BENCH, *sources, "-o", program)


def compile_bench(network: HlsNetwork, options: Options, project: Path, program: Path) -> None:
    """Make the bench.

    Args:
        project: folder of the project.
        program: what is made.

    Raises:
        MissingTool: there is no g++. ToolFailed: it failed, or took too long.
    """
    compiler = toolchain.find("g++", COMPILER_HELP)
    command = compile_command(network, options, str(program.resolve()))
    argv = [str(compiler), *command[1:]]
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
    given, found = (work.resolve() / name for name in ("inputs.bin", "results.bin"))
    given.write_bytes(np.ascontiguousarray(samples, "<i8").tobytes())
    argv = [str(program.resolve()), str(given), str(found)]
    toolchain.run(argv, timeout=_RUN_SECONDS, memory=_MEMORY, cwd=project)
    results = np.frombuffer(found.read_bytes(), "<i8").astype(np.int64)
    shape = (len(samples), *network.output.shape)
    if results.size != prod(shape):
        message = f"{results.size} numbers came for {len(samples)} samples, not {prod(shape)}"
        raise ToolFailed(Diagnostic("ACT0432", message, help="compile the network again"))
    return results.reshape(shape)
