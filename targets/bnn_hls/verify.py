"""The ladder of verification: program, C++, its testbench, and its queues."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy.typing as npt

from actc import toolchain
from actc.errors import ToolFailed
from actc.targets.base import Progress, Rung
from actc.targets.bnn_hls.assembly import HLS, HlsAssembly
from actc.targets.bnn_hls.simulation import (
    compile_threaded,
    run_testbench,
    run_threaded,
    threaded,
)
from actc.targets.fpga.folded.samples import Samples, compared, program_rung

Array = npt.NDArray[Any]

RANDOM = 256
"""Random samples beside those of the data."""
MOST = 10_000
"""Samples of the data that go up the ladder."""
_SIDE_BY_SIDE = 6
"""Samples that go through the processes as threads."""
_SECONDS = 600.0


def climb(
    assembly: HlsAssembly, directory: Path, program: Path, samples: Samples, say: Progress
) -> list[Rung]:
    """Compare every form with golden.

    Args:
        program: the compiled testbench.

    Raises:
        ToolFailed: a program cannot be compiled.
    """
    say("verify: program and C++")
    rungs = [program_rung(assembly.network, samples), _cpp_rung(assembly, program, samples)]
    rungs.append(_testbench_rung(directory, program))
    if any(len(layer.sources) > 1 for layer in assembly.design.network.layers):
        say("verify: the processes side by side")
        rungs.append(_queues_rung(assembly, directory, samples))
    return rungs


def _cpp_rung(assembly: HlsAssembly, program: Path, samples: Samples) -> Rung:
    with tempfile.TemporaryDirectory(prefix="actc-hls-") as work:
        found = run_testbench(assembly.design, program, samples.words, Path(work))
    return compared("C++", found, samples, f"compiled with g++ and run; {samples.kind}")


def _testbench_rung(directory: Path, program: Path) -> Rung:
    """The testbench with the samples that come with it, as an HLS tool runs it."""
    name = "testbench"
    try:
        argv = [str(program.resolve()), "data/inputs.txt", "data/expected.txt"]
        toolchain.run(argv, timeout=_SECONDS, cwd=directory / HLS)
    except ToolFailed as problem:
        notes = problem.diagnostics[0].notes
        return Rung(name, "differs", notes[0] if notes else problem.diagnostics[0].message)
    return Rung(name, "equal", "compared by itself, with the samples that come with it")


def _queues_rung(assembly: HlsAssembly, directory: Path, samples: Samples) -> Rung:
    """All processes as threads: queues of their depths let samples pass, without a deadlock."""
    first = samples.words[:_SIDE_BY_SIDE]
    name = "queues"
    with tempfile.TemporaryDirectory(prefix="actc-hls-") as work:
        source = Path(work) / "threads.cpp"
        source.write_text(threaded(assembly.design), "ascii")
        program = Path(work) / "threads"
        compile_threaded(directory / HLS, source, program)
        try:
            found = run_threaded(assembly.design, program, first, Path(work))
        except ToolFailed as problem:
            return Rung(name, "differs", problem.diagnostics[0].message, len(first))
    how = "the processes as threads, with queues as long as the pragmas say"
    return compared(name, found, samples, how)
