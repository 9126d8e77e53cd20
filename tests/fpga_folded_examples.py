"""Folded programs made by hand, with random weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actc.targets.fpga.folded.program import (
    FoldedProgram,
    MatrixStage,
    MaximumStage,
    Stage,
    Stream,
    SumStage,
    Window,
)
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range

SAME = Window((3, 3), before=(1, 1), after=(1, 1))
HALF = Window((2, 2), strides=(2, 2))


def weights_of(shape: Sequence[int], bits: int, seed: int = 0) -> np.ndarray:
    """Random weights, symmetric about 0, of all `bits` bits."""
    half = 1 << (bits - 1)
    rng = np.random.default_rng(seed)
    return rng.integers(-half, half, tuple(shape), dtype=np.int64)


def dense(
    name: str, number: int, given: Stream, outputs: int, bits: int, codes: Range | None
) -> MatrixStage:
    """A matrix product; `codes`: of its results, None: totals as they are."""
    flat = Stream(1, 1, given.size, given.range)
    weights = weights_of((outputs, 1, 1, given.size), bits, number)
    return _matrix(name, number, flat, weights, Window(), codes)


def conv(
    name: str,
    number: int,
    given: Stream,
    outputs: int,
    bits: int,
    codes: Range,
    window: Window = SAME,
    groups: int = 1,
) -> MatrixStage:
    """A convolution."""
    shape = (outputs, *window.kernel, given.channels // groups)
    return _matrix(
        name, number, given, weights_of(shape, bits, number), window, codes, groups=groups
    )


def pool(name: str, number: int, given: Stream, window: Window = HALF) -> MaximumStage:
    """A largest element of each window."""
    output = Stream(*window.positions(given), given.channels, given.range)
    return MaximumStage(name, (name,), (number - 1,), given, output, window=window)


def average(name: str, number: int, given: Stream, codes: Range) -> MatrixStage:
    """The sum over all positions, channel by channel."""
    window = Window((given.rows, given.columns))
    weights = np.ones((given.channels, given.rows, given.columns, 1), np.int64)
    return _matrix(name, number, given, weights, window, codes, groups=given.channels)


def _matrix(
    name: str,
    number: int,
    given: Stream,
    weights: np.ndarray,
    window: Window,
    codes: Range | None,
    groups: int = 1,
) -> MatrixStage:
    bare = Stream(*window.positions(given), len(weights), Range(0, 0))
    stage = MatrixStage(
        name, (name,), (number - 1,), given, bare, window=window, weights=weights, groups=groups
    )
    total = Range(min(r.low for r in stage.totals), max(r.high for r in stage.totals))
    functions: tuple[StepFunction, ...] = ()
    if codes is not None:
        edges = np.linspace(total.low, total.high, codes.high - codes.low + 2)[:-1]
        starts = np.floor(edges).astype(np.int64)
        starts[0] = total.low
        levels = np.arange(codes.low, codes.high + 1)
        functions = (StepFunction.from_runs(total, starts, levels),) * len(weights)
    return MatrixStage(
        name,
        (name,),
        (number - 1,),
        given,
        Stream(bare.rows, bare.columns, bare.channels, total if codes is None else codes),
        window=window,
        weights=weights,
        groups=groups,
        functions=functions,
        plain=None if codes is not None else np.zeros(len(weights), np.int64),
    )


def mlp(bits: int, codes: int, sizes: Sequence[int] = (784, 64, 10)) -> FoldedProgram:
    """Layers of these sizes, with weights of `bits` bits and codes of `codes` bits."""
    kind = Range.unsigned(codes)
    entry = stream = Stream(1, 1, sizes[0], kind)
    stages: list[Stage] = []
    for number, size in enumerate(sizes[1:]):
        last = number == len(sizes) - 2
        stage = dense(f"fc{number}", number, stream, size, bits, None if last else kind)
        stages.append(stage)
        stream = stage.output
    return FoldedProgram((entry,), tuple(stages), (len(stages) - 1,))


def conv_net(
    bits: int, size: int = 28, channels: Sequence[int] = (16, 32, 64), classes: int = 10
) -> FoldedProgram:
    """Convolutions of 3 x 3 with pooling between, the average, and a matrix product."""
    kind = Range.unsigned(bits)
    entry = stream = Stream(size, size, 1, kind)
    stages: list[Stage] = []
    for number, outputs in enumerate(channels):
        stages.append(conv(f"conv{number}", len(stages), stream, outputs, bits, kind))
        if number < len(channels) - 1:
            stages.append(pool(f"pool{number}", len(stages), stages[-1].output))
        stream = stages[-1].output
    stages.append(average("average", len(stages), stream, kind))
    stages.append(dense("fc", len(stages), stages[-1].output, classes, bits, None))
    return FoldedProgram((entry,), tuple(stages), (len(stages) - 1,))


def residual(bits: int = 4, size: int = 6, channels: int = 4) -> FoldedProgram:
    """A convolution, two more, and the sum of both ends."""
    kind = Range.unsigned(bits)
    entry = Stream(size, size, channels, kind)
    stages: list[Stage] = []
    for number in range(3):
        given = entry if number == 0 else stages[-1].output
        stages.append(conv(f"conv{number}", number, given, channels, bits, kind))
    total = Range(0, 2 * kind.high)
    half = StepFunction.of(total, np.arange(total.high + 1) // 2)
    given = stages[-1].output
    stages.append(SumStage("sum", ("sum",), (2, 0), given, given, functions=(half,) * channels))
    return FoldedProgram((entry,), tuple(stages), (3,))
