"""What stages compute: the executable specification of folded programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.folded.stages import (
    ConcatStage,
    Integers,
    MapStage,
    MatrixStage,
    MaximumStage,
    ProductStage,
    RecurrentStage,
    RepeatStage,
    RowStage,
    Stage,
    SumStage,
    Window,
)
from actc.targets.fpga.functions import StepFunction

Array: TypeAlias = npt.NDArray[Any]

_EXACT = 1 << 53
"""Integers up to this one are exact as float64, which multiplies matrices much faster."""


def evaluate_stage(stage: Stage, given: Sequence[Integers]) -> Integers:
    """What a stage gives.

    Args:
        given: of each source, int64 [samples, rows, columns, channels], as the stage sees it.

    Returns:
        int64 [samples, rows, columns, channels].
    """
    if isinstance(stage, MatrixStage):
        totals = _totals(stage, given[0])
        if stage.plain is not None:
            return totals * stage.factor + stage.plain
        return _applied(stage.functions, totals)
    if isinstance(stage, SumStage):
        return _applied(stage.functions, given[0] * stage.factors[0] + given[1] * stage.factors[1])
    if isinstance(stage, ProductStage):
        product = (given[0] - stage.zeros[0]) * (given[1] - stage.zeros[1])
        return _applied(stage.functions, product)
    if isinstance(stage, MapStage):
        return _applied(stage.functions, given[0])
    found = _moved(stage, given)
    functions: tuple[StepFunction, ...] = getattr(stage, "functions", ())
    return _applied(functions, found) if functions else found


def _moved(stage: Stage, given: Sequence[Integers]) -> Integers:
    """What a stage gives that need not have functions, without them."""
    if isinstance(stage, MaximumStage):
        parts = _parts(given[0], stage.window, stage.input.range.low)
        largest: Integers = np.maximum.reduce(list(parts))
        return largest
    if isinstance(stage, ConcatStage):
        return np.concatenate(given, axis=3)
    if isinstance(stage, RepeatStage):
        return given[0].repeat(stage.factors[0], axis=1).repeat(stage.factors[1], axis=2)
    if isinstance(stage, RowStage):
        return stage.row.evaluate(given[0])
    assert isinstance(stage, RecurrentStage)
    x, stream = given[0], stage.input
    steps = stage.cell.states(x.reshape(len(x), stream.positions, stream.channels))
    return (steps[:, -1:] if stage.last else steps).reshape(len(x), *stage.output.shape)


def _parts(x: Array, window: Window, outside: int) -> Iterator[Array]:
    """What stands at each place of the windows, row by row: [samples, rows, columns, channels]."""
    widths = [(0, 0), *zip(window.before, window.after, strict=True), (0, 0)]
    padded = np.pad(x, widths, constant_values=outside) if np.any(widths) else x
    spans = [(k - 1) * d + 1 for k, d in zip(window.kernel, window.dilations, strict=True)]
    counts = [(padded.shape[1 + axis] - spans[axis]) // window.strides[axis] + 1 for axis in (0, 1)]
    for row in range(window.kernel[0]):
        for column in range(window.kernel[1]):
            starts = row * window.dilations[0], column * window.dilations[1]
            rows, columns = (
                slice(start, start + (count - 1) * stride + 1, stride)
                for start, count, stride in zip(starts, counts, window.strides, strict=True)
            )
            yield padded[:, rows, columns]


def _totals(stage: MatrixStage, x: Integers) -> Integers:
    weights, counted = stage.weights, stage.counted or 1
    stream, flat = stage.input, np.abs(weights).reshape(len(weights), -1)
    code = max(abs(stream.range.low), abs(stream.range.high), abs(stage.outside))
    exact = int(flat.sum(axis=1).max(initial=0)) * code * counted < _EXACT
    kind = np.float64 if exact else np.int64
    taps = weights.astype(kind).reshape(len(weights), -1, weights.shape[3])
    parts = _parts((x * counted).astype(kind), stage.window, stage.outside)
    totals = np.zeros((len(x), *stage.window.positions(stream), len(weights)), kind)
    for tap, part in enumerate(parts):
        totals += _products(part, taps[:, tap], stage.groups)
    negative = np.count_nonzero(weights < 0, axis=(1, 2, 3))
    return np.asarray(totals.astype(np.int64) + stage.counted * negative)


def _products(x: Array, weights: Array, groups: int) -> Array:
    """Sums of products over the channels of each group.

    Args:
        x: [..., channels].
        weights: [outputs, channels of a group].

    Returns:
        [..., outputs].
    """
    outputs, group = len(weights) // groups, weights.shape[1]
    if group == 1:
        return np.asarray(x.repeat(outputs, axis=-1) * weights[:, 0])
    parts = [
        x[..., number * group : (number + 1) * group]
        @ weights[number * outputs : (number + 1) * outputs].T
        for number in range(groups)
    ]
    return parts[0] if groups == 1 else np.concatenate(parts, axis=-1)


def _applied(functions: Sequence[StepFunction], x: Integers) -> Integers:
    """The function of each channel, which lie along the last axis."""
    places: dict[int, list[int]] = {}
    for channel, function in enumerate(functions):
        places.setdefault(id(function), []).append(channel)
    if len(places) == 1:
        return _values(functions[0], x)
    found = np.empty_like(x)
    for channels in places.values():
        found[..., channels] = _values(functions[channels[0]], x[..., channels])
    return found


def _values(function: StepFunction, x: Integers) -> Integers:
    """By a table, where it is smaller than what is looked up."""
    low, high = function.range.low, function.range.high
    if high - low >= x.size:
        return function.evaluate(x)
    table = function.evaluate(np.arange(low, high + 1))
    return np.asarray(table[np.clip(x, low, high) - low])
