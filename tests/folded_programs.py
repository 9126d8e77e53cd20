"""Small folded programs for tests."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from actc.targets.fpga.folded.program import (
    FoldedProgram,
    MapStage,
    MatrixStage,
    MaximumStage,
    ProductStage,
    Stream,
    SumStage,
    Window,
)
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range

CODES = Range(0, 15)


def staircase(range: Range, levels: int, seed: int = 0) -> StepFunction:
    """A random function of few steps."""
    rng = np.random.default_rng(seed)
    inner = rng.choice(np.arange(range.low + 1, range.high + 1), levels - 1, replace=False)
    starts = np.array([range.low, *sorted(inner.tolist())])
    return StepFunction(range, starts, rng.permutation(levels).astype(np.int64))


def scaled(range: Range, factor: int, shift: int, high: int) -> StepFunction:
    """``clip(x * factor >> shift, 0, high)``."""
    return StepFunction.of(range, lambda x: np.clip(x * factor >> shift, 0, high))


def matrix(
    name: str,
    input: Stream,
    outputs: int,
    *,
    window: Window | None = None,
    groups: int = 1,
    source: int = -1,
    weights: tuple[int, int] = (-8, 7),
    functions: str = "plain",
    outside: int = 3,
    seed: int = 0,
) -> MatrixStage:
    """A stage with random weights.

    Args:
        functions: "plain": offsets; "steps": random staircases of three levels; "scaled": a
            factor per channel, saturated to 4 bits.
    """
    rng = np.random.default_rng(seed)
    window = window or Window()
    shape = (outputs, *window.kernel, input.channels // groups)
    rows, columns = window.positions(input)
    given: dict[str, Any] = {
        "window": window,
        "weights": rng.integers(weights[0], weights[1] + 1, shape),
        "groups": groups,
        "outside": outside,
        "plain": rng.integers(-100, 100, outputs),
    }

    def made(result: Range) -> MatrixStage:
        stream = Stream(rows, columns, outputs, result)
        return MatrixStage(name, (name,), (source,), input, stream, **given)

    totals = made(CODES).totals
    if functions == "plain":
        offsets = given["plain"].tolist()
        moved = [total.plus(offset) for total, offset in zip(totals, offsets, strict=True)]
        return made(functools.reduce(Range.hull, moved))
    given["plain"] = None
    if functions == "steps":
        given["functions"] = tuple(
            staircase(total, 3, seed + place) for place, total in enumerate(totals)
        )
        return made(Range(0, 2))
    factors = rng.integers(20, 60, outputs).tolist()
    given["functions"] = tuple(
        scaled(total, factor, 10, 15) for total, factor in zip(totals, factors, strict=True)
    )
    return made(CODES)


def maximum(name: str, input: Stream, window: Window, source: int = -1) -> MaximumStage:
    """A max pooling."""
    rows, columns = window.positions(input)
    output = Stream(rows, columns, input.channels, input.range)
    return MaximumStage(name, (name,), (source,), input, output, window)


def residual(window: Window) -> FoldedProgram:
    """A convolution beside its input, added, rounded; the size stays."""
    input = Stream(6, 5, 4, CODES)
    inner = matrix("inner", input, 4, window=window, functions="scaled")
    assert inner.output.shape == input.shape
    factors = (3, 5)
    sums = Range(0, 15 * 8)
    function = scaled(sums, 30, 8, 15)
    total = SumStage("sum", ("sum",), (-1, 0), input, input, factors, (function,) * input.channels)
    last = matrix("last", input, 3, source=1, seed=5)
    return FoldedProgram((input,), (inner, total, last), (2,))


def gated() -> FoldedProgram:
    """Two convolutions of one input, multiplied."""
    input = Stream(4, 3, 2, CODES)
    window = Window((3, 3), (1, 1), (1, 1), (1, 1), (1, 1))
    a = matrix("a", input, 4, window=window, functions="scaled")
    b = matrix("b", input, 4, functions="steps", seed=3)
    product = Range((0 - 7) * 2, (15 - 7) * 2)
    function = scaled(product.hull(Range(-14, 16)), 9, 3, 15)
    gate = ProductStage("gate", (), (0, 1), a.output, a.output, (7, 0), (function,) * 4)
    return FoldedProgram((input,), (a, b, gate), (2,))


def mapped() -> FoldedProgram:
    """A function of each element, another one for each channel."""
    input = Stream(3, 2, 3, Range(-8, 7))
    functions = tuple(staircase(input.range, 4, seed) for seed in range(3))
    stage = MapStage("map", (), (-1,), input, Stream(3, 2, 3, Range(0, 3)), functions)
    return FoldedProgram((input,), (stage,), (0,))


def chain(*stages: Any) -> FoldedProgram:
    """Stages one behind the other."""
    return FoldedProgram((stages[0].input,), tuple(stages), (len(stages) - 1,))


def samples(program: FoldedProgram, count: int, seed: int = 1) -> np.ndarray[Any, Any]:
    """Random ones, the first of least and the second of largest elements."""
    entry = program.entries[0]
    rng = np.random.default_rng(seed)
    found = rng.integers(entry.range.low, entry.range.high + 1, (count, *entry.shape))
    found[0] = entry.range.low
    found[1:2] = entry.range.high
    return found


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """Some of many, from the first to the last."""
    places = np.unique(np.linspace(0, len(items) - 1, count).astype(int))
    return [items[place] for place in places]
