"""Concat: streams joined position by position, or one stream with every position repeated.

Repetition comes from Resize to the nearest by whole factors, which is written as Concat of a
tensor with itself along a new axis behind the one that grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from actc.targets.fpga.folded.lower.tracked import Integers, Lowering, Tracked, hull
from actc.targets.fpga.folded.program import ConcatStage, RepeatStage, Stream
from actc.targets.fpga.network.builder import Unsupported
from actc.targets.fpga.network.lower import scope_of

_CHANNELS = "only channels are joined: of tensors with equally many positions, along their axis"
_HELP = "join along the axis of the channels, or compile with --target cpu"


def concat(lowering: Lowering, node: ir.Node) -> None:
    """Concat along the channels, or of one tensor with itself along a new axis.

    Raises:
        Unsupported: it joins along another axis, or tensors with different numbers of positions.
    """
    parts = [lowering.tracked(node, at) for at in range(len(node.inputs))]
    axis = node.attributes["axis"].as_int() % (len(parts[0].shape) + 1) - 1
    if axis < 0:
        raise Unsupported("it joins samples", "keep the batch as the first axis")
    same = all(
        (x.draft, x.path) == (parts[0].draft, parts[0].path)
        and np.array_equal(x.index, parts[0].index)
        for x in parts
    )
    along = _runs_along(parts[0], axis - 1) if axis and parts[0].shape[axis] == 1 else None
    if len(parts) == 1:
        lowering.moved(node, parts[0], parts[0].index)
    elif same and along is not None:
        _repeat(lowering, node, parts[0], axis, len(parts), along)
    else:
        _join(lowering, node, parts, axis)


def _join(lowering: Lowering, node: ir.Node, parts: Sequence[Tracked], axis: int) -> None:
    rows, columns, _ = max((x.draft.output for x in parts), key=lambda s: s.positions).shape
    if any(x.size % (rows * columns) for x in parts):
        raise Unsupported(_CHANNELS, _HELP)
    range = hull(x.range for x in parts)
    inputs = [Stream(rows, columns, x.size // (rows * columns), x.range) for x in parts]
    if not all(_within(x.index, stream, axis) for x, stream in zip(parts, inputs, strict=True)):
        raise Unsupported(_CHANNELS, _HELP)
    channels = sum(stream.channels for stream in inputs)
    first = np.cumsum([0, *(stream.channels for stream in inputs)])
    index = [
        x.index // stream.channels * channels + own + x.index % stream.channels
        for x, stream, own in zip(parts, inputs, first, strict=False)
    ]
    output = Stream(rows, columns, channels, range)
    name = lowering.name(scope_of(node))
    stage = ConcatStage(name, (), (), inputs[0], output, tuple(inputs))
    made = lowering.draft(stage, node, parts, [range] * channels)
    lowering.values[node.outputs[0]] = Tracked(made, np.concatenate(index, axis=axis))


def _within(index: Integers, stream: Stream, axis: int) -> bool:
    """Whether an axis stays within positions."""
    positions = index // stream.channels
    return bool(np.all(positions == positions.take([0], axis)))


def _repeat(
    lowering: Lowering, node: ir.Node, x: Tracked, axis: int, count: int, along: int
) -> None:
    """Each position `count` times.

    Args:
        axis: the new one.
        along: rows (0) or columns (1), which the axis in front of it runs along.
    """
    stream = replace(x.draft.output, range=x.range)
    rows, columns, channels = stream.shape
    positions, channel = x.index // channels, x.index % channels
    row, column = positions // columns, positions % columns
    copies = np.arange(count).reshape(-1, *[1] * (x.index.ndim - axis - 1))
    if along == 0:
        positions = (row * count + copies) * columns + column
    else:
        positions = row * columns * count + column * count + copies
    factors = (count, 1) if along == 0 else (1, count)
    output = Stream(rows * factors[0], columns * factors[1], channels, x.range)
    stage = RepeatStage(lowering.name(scope_of(node)), (), (), stream, output, factors)
    made = lowering.draft(stage, node, [x], [x.range] * channels)
    lowering.values[node.outputs[0]] = Tracked(made, positions * channels + channel)


def _runs_along(x: Tracked, axis: int) -> int | None:
    """Whether an axis of a tensor runs along the rows (0) or the columns (1) of its stream."""
    rows, columns, channels = x.draft.output.shape
    extent = x.shape[axis]
    if extent == 1 and 1 in (rows, columns):
        return 0 if rows == 1 else 1
    steps = set(np.diff(x.index, axis=axis).reshape(-1).tolist())
    if extent == rows and steps == {columns * channels}:
        return 0
    if extent == columns and steps == {channels}:
        return 1
    return None
