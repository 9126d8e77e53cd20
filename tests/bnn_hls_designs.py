"""Random programs as HLS C++, compiled with g++ and run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from folded_programs import staircase

from actc.targets.bnn_hls.choice import Problem
from actc.targets.bnn_hls.design import Design, Flow
from actc.targets.bnn_hls.encode import encode
from actc.targets.bnn_hls.folding import Folding, foldings
from actc.targets.bnn_hls.functions import function_of
from actc.targets.bnn_hls.simulation import (
    compile_testbench,
    run_testbench,
    sources,
    write_sources,
)
from actc.targets.fpga.folded.program import (
    FoldedProgram,
    MapStage,
    MatrixStage,
    MaximumStage,
    Stage,
    Stream,
    SumStage,
    Window,
)
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range
from actc.targets.vendor.words import slots_of

Array = np.ndarray[Any, Any]
Rng = np.random.Generator


def designed(
    program: FoldedProgram, rng: Rng | None = None, flow: Flow = "vitis", clocks: int | None = None,
    name: str = "bnn_test",
) -> Design:  # fmt: skip
    """A program as C++.

    Args:
        rng: chooses the foldings; None: those of least cost at `clocks` per sample.
    """
    network = encode(program, name)
    functions = tuple(map(function_of, network.layers))
    border = slots_of(network.entry.code.bits), slots_of(network.output.code.bits)
    chosen: list[Folding] | None = None
    if rng is not None:
        chosen = []
        for layer in network.layers:
            every = list(foldings(layer))
            chosen.append(every[int(rng.integers(len(every)))])
    problem = Problem(network, functions, border, chosen)
    found = problem.solve(clocks or problem.intervals[-1])
    assert found is not None
    return Design(network, functions, found, flow)


def written(design: Design, folder: Path) -> Path:
    """The compiled testbench; quickly compiled, slow to run."""
    write_sources(folder / "hls", sources(design))
    compile_testbench(folder / "hls", design.network.name, folder / "testbench", ("-O0",))
    return folder / "testbench"


def check(program: FoldedProgram, design: Design, folder: Path, count: int = 12) -> None:
    """The C++ gives what the program gives, on samples of all codes and of the extremes."""
    entry = program.entries[0]
    rng = np.random.default_rng(9)
    given = rng.integers(entry.range.low, entry.range.high + 1, (count, *entry.shape))
    given[0], given[1] = entry.range.low, entry.range.high
    bench = written(design, folder)
    found = run_testbench(design, bench, given, folder)
    np.testing.assert_array_equal(found, program.evaluate([given])[0])


# --- random programs


def window(rng: Rng, stream: Stream, *, padding: bool = True) -> Window:
    """One that fits, of any kind."""
    kernel, strides, dilations, before, after = ([0, 0] for _ in range(5))
    for axis, extent in enumerate((stream.rows, stream.columns)):
        kernel[axis] = int(rng.integers(1, min(extent, 3) + 1))
        strides[axis] = int(rng.integers(1, 4))
        widest = (extent - 1) // (kernel[axis] - 1) if kernel[axis] > 1 else 1
        dilations[axis] = int(rng.integers(1, min(widest, 2) + 1))
        if padding and kernel[axis] > 1:
            before[axis], after[axis] = rng.integers(0, kernel[axis], 2).tolist()
    pairs = [(pair[0], pair[1]) for pair in (kernel, strides, dilations, before, after)]
    return Window(*pairs)


def levels(rng: Rng, kind: str) -> tuple[int, int] | None:
    """Two values, None: more."""
    return {"bits": (0, 1), "signs": (-1, 1), "codes": (0, 2), "spaced": (-3, 5)}.get(kind)


def function(rng: Rng, total: Range, kind: str) -> StepFunction:
    """Between two values, or to a few, or to many; of any direction, sometimes constant."""
    two = levels(rng, kind)
    if two is not None:
        if total.single or rng.integers(8) == 0:
            value = two[int(rng.integers(2))]
            return StepFunction(total, np.array([total.low]), np.array([value]))
        start = int(rng.integers(total.low + 1, total.high + 1))
        order = two if rng.integers(2) else two[::-1]
        return StepFunction(total, np.array([total.low, start]), np.array(order))
    size = total.high - total.low + 1
    if kind == "many":
        return StepFunction.of(total, rng.integers(-40, 40, size))
    if kind == "counted":
        starts = np.unique(rng.integers(total.low, total.high + 1, 4))
        starts[0] = total.low
        return StepFunction(total, starts, np.arange(starts.size) + int(rng.integers(0, 2)))
    return staircase(total, min(3, size), int(rng.integers(1000)))


RANGES = {
    "bits": Range(0, 1), "signs": Range(-1, 1), "codes": Range(0, 2), "spaced": Range(-3, 5),
    "few": Range(0, 2), "counted": Range(0, 5), "many": Range(-40, 39),
}  # fmt: skip
KINDS = tuple(RANGES)
WEIGHTS = {
    "signs": [-1, 1], "ternary": [-1, 0, 1], "flags": [0, 1], "scaled": [-3, 3],
    "integers": [-5, -1, 0, 2, 7],
}  # fmt: skip


def matrix(
    rng: Rng, name: str, source: int, input: Stream, *, kind: str, depthwise: bool = False,
    weights: str = "", values: tuple[int, int] | None = None, plain: bool = False,
    shape: Window | None = None,
) -> MatrixStage:  # fmt: skip
    """A convolution of random weights.

    Args:
        kind: of its functions.
        values: both values of its input.
        plain: whether totals leave.
    """
    read = shape or window(rng, input)
    outputs = input.channels if depthwise else int(rng.integers(1, 7))
    groups = input.channels if depthwise else 1
    chosen = WEIGHTS[weights or str(rng.choice(list(WEIGHTS)))]
    array = rng.choice(chosen, (outputs, *read.kernel, input.channels // groups))
    # padding is one of the values, or lies between both
    inside = list(values or (input.range.low, input.range.high))
    outside = int(rng.choice([*inside, sum(inside) // 2]))
    rows, columns = read.positions(input)
    output = Stream(rows, columns, outputs, RANGES[kind])
    made = MatrixStage(
        name, (name,), (source,), input, output, read, array, groups, outside,
        plain=rng.integers(-9, 9, outputs),
    )  # fmt: skip
    if plain:
        low = min(total.low for total in made.totals) - 9
        high = max(total.high for total in made.totals) + 9
        return replace(made, output=replace(output, range=Range(low, high)))
    functions = tuple(function(rng, total, kind) for total in made.totals)
    return replace(made, functions=functions, plain=None)


def network(rng: Rng, *, first: Stream, dense: bool = False) -> FoldedProgram:
    """A chain with maxima and sums of branches."""
    stages: list[Stage] = []
    kinds: dict[int, str] = {}

    def add(stage: Stage, kind: str) -> int:
        stages.append(stage)
        kinds[len(stages) - 1] = kind
        return len(stages) - 1

    kind = str(rng.choice(KINDS[:4]))
    start = functions_of(rng, first, kind)
    current = add(
        MapStage("sign", (), (-1,), first, replace(first, range=RANGES[kind]), start), kind
    )
    for number in range(int(rng.integers(1, 4))):
        stream = stages[current].output
        values = levels(rng, kinds[current])
        kind = str(rng.choice(KINDS))
        depthwise = not dense and stream.channels > 1 and rng.integers(3) == 0
        shape = Window() if dense else None
        stage = matrix(
            rng, f"layer{number}", current, stream, kind=kind, depthwise=bool(depthwise),
            values=values, shape=shape,
        )  # fmt: skip
        before = current
        current = add(stage, kind)
        if not dense and rng.integers(3) == 0:
            stream = stages[current].output
            read = window(rng, stream)
            rows, columns = read.positions(stream)
            pooled = replace(stream, rows=rows, columns=columns)
            current = add(MaximumStage(f"pool{number}", (), (current,), stream, pooled, read), kind)
        if rng.integers(2) == 0:
            current = add(joined(rng, f"sum{number}", before, current, stages), "few")
    stream = stages[current].output
    flat = Stream(1, 1, stream.size, stream.range)
    values = levels(rng, kinds[current])
    stages.append(
        matrix(rng, "last", current, flat, kind="bits", values=values, plain=True, shape=Window())
    )
    return FoldedProgram((first,), tuple(stages), (len(stages) - 1,))


def functions_of(rng: Rng, first: Stream, kind: str) -> tuple[StepFunction, ...]:
    """Of each channel."""
    return tuple(function(rng, first.range, kind) for _ in range(first.channels))


def joined(rng: Rng, name: str, before: int, current: int, stages: list[Stage]) -> SumStage:
    """A branch beside the stages from `before` to `current`, or the latter twice, added."""
    a, b = stages[before].output, stages[current].output
    other = before if a.shape == b.shape else current
    factors = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    ranges = stages[other].output.range, b.range
    low = sum(f * r.low for f, r in zip(factors, ranges, strict=True))
    high = sum(f * r.high for f, r in zip(factors, ranges, strict=True))
    functions = tuple(function(rng, Range(low, high), "few") for _ in range(b.channels))
    return SumStage(
        name, (), (other, current), b, replace(b, range=RANGES["few"]), factors, functions
    )
