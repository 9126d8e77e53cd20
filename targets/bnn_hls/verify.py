"""The ladder of verification: program, C++, its testbench, and its queues."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from actc import toolchain
from actc.errors import ToolFailed
from actc.targets.base import Progress, Rung
from actc.targets.bnn_hls.assembly import HLS, HlsAssembly
from actc.targets.bnn_hls.layers import Integers
from actc.targets.bnn_hls.simulation import (
    compile_threaded,
    run_testbench,
    run_threaded,
    threaded,
)
from actc.targets.fpga.ladder.vectors import random_inputs, specified

Array = npt.NDArray[Any]

RANDOM = 256
"""Random samples beside those of the data."""
MOST = 10_000
"""Samples of the data that go up the ladder."""
_SIDE_BY_SIDE = 6
"""Samples that go through the processes as threads."""
_SECONDS = 600.0


@dataclass(frozen=True, eq=False)
class Samples:
    """What each rung gets, and must give.

    Attributes:
        golden: golden's outputs.
        words: codes that come, int64 [samples, rows, columns, channels].
        expected: codes that must go.
        kind: what there is, in words.
    """

    golden: dict[str, Array]
    words: Integers
    expected: Integers
    kind: str


def samples_of(
    assembly: HlsAssembly,
    golden: ir.Model,
    feeds: Mapping[str, Array],
    outputs: Mapping[str, Array],
) -> Samples:
    """The first samples of the data, and random ones over all codes."""
    network = assembly.network
    random = random_inputs(network.entries, RANDOM)
    found = specified(golden, random)
    kept = {name: np.asarray(array)[:MOST] for name, array in feeds.items()}
    joined = {name: np.concatenate([kept[name], random[name]]) for name in kept}
    right = {name: np.concatenate([outputs[name][:MOST], found[name]]) for name in outputs}
    words = network.prologue(joined)
    count = len(next(iter(kept.values())))
    kind = f"{count} samples of the data and {RANDOM} random ones"
    return Samples(right, words[0], network.program.evaluate(words)[0], kind)


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
    rungs = [_program_rung(assembly, samples), _cpp_rung(assembly, program, samples)]
    rungs.append(_testbench_rung(directory, program))
    if any(len(layer.sources) > 1 for layer in assembly.design.network.layers):
        say("verify: the processes side by side")
        rungs.append(_queues_rung(assembly, directory, samples))
    return rungs


def _program_rung(assembly: HlsAssembly, samples: Samples) -> Rung:
    outputs = assembly.network.epilogue([samples.expected])
    wrong = np.flatnonzero(~assembly.network.agrees(outputs, samples.golden))
    if wrong.size:
        return Rung("program", "differs", f"sample {wrong[0]}", len(samples.words))
    detail = f"evaluated in exact integers; {samples.kind}"
    return Rung("program", "equal", detail, len(samples.words))


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


def compared(name: str, found: Integers, samples: Samples, how: str) -> Rung:
    """The rung of what was found for the first samples."""
    right = samples.expected[: len(found)]
    wrong = np.flatnonzero((found != right).reshape(len(found), -1).any(axis=1))
    if wrong.size:
        detail = f"{wrong.size} samples, the first is {wrong[0]}"
        return Rung(name, "differs", detail, len(found))
    return Rung(name, "equal", how, len(found))
