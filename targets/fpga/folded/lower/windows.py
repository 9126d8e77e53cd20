"""The largest element of a window, and sums and maxima over whole axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from actc.ir.graph import attribute_ints
from actc.targets.fpga.folded.lower.functions import extended
from actc.targets.fpga.folded.lower.linear import dense, matrix, positions_index, window_of
from actc.targets.fpga.folded.lower.tracked import REORDERED, Draft, Integers, Lowering, Tracked
from actc.targets.fpga.folded.program import MaximumStage, Stream, Window
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.network.builder import Unsupported
from actc.targets.fpga.network.elements import Tensor
from actc.targets.fpga.network.lower import scope_of
from actc.targets.fpga.network.rules_linear import reduced

_MEAN_STEPS = 2**12
"""Steps of IntReduceMean for one code."""
_MOST_WEIGHTS = 1 << 20
"""Ones of a sum that is written as a matrix."""


def max_pool(lowering: Lowering, node: ir.Node) -> None:
    """MaxPool, WideMaxPool over one or two axes."""
    x = lowering.tracked(node)
    auto = node.attributes["auto_pad"].as_string() if "auto_pad" in node.attributes else "NOTSET"
    if auto not in ("NOTSET", "VALID"):
        raise Unsupported(f"auto_pad={auto}", "write explicit pads")
    if len(node.outputs) > 1:
        raise Unsupported("it gives the places of the largest too")
    stream = x.as_map()
    spatial = len(x.shape) - 1
    window = window_of(node, attribute_ints(node, "pads", [0] * 2 * spatial))
    if "ceil_mode" in node.attributes and node.attributes["ceil_mode"].as_int() == 1:
        window = _rolled(window, stream)
    made = _maximum(lowering, node, x, stream, window)
    lowering.values[node.outputs[0]] = Tracked(made, positions_index(made.output, len(x.shape)))


def _rolled(window: Window, stream: Stream) -> Window:
    """With what `ceil_mode` adds behind: windows that begin within what is read."""
    after = []
    for axis, extent in enumerate((stream.rows, stream.columns)):
        span = (window.kernel[axis] - 1) * window.dilations[axis] + 1
        stride, before = window.strides[axis], window.before[axis]
        size = extent + before + window.after[axis]
        steps = -(-(size - span) // stride)
        if steps * stride >= extent + before:
            steps -= 1
        after.append(window.after[axis] + max(0, steps * stride + span - size))
    return Window(
        window.kernel, window.strides, window.dilations, window.before, (after[0], after[1])
    )


def _maximum(
    lowering: Lowering, node: ir.Node, x: Tracked, stream: Stream, window: Window
) -> Draft:
    rows, columns = window.positions(stream)
    if min(rows, columns) < 1:
        raise Unsupported("its window is larger than what it reads")
    output = Stream(rows, columns, stream.channels, stream.range)
    stage = MaximumStage(lowering.name(scope_of(node)), (), (), stream, output, window)
    return lowering.draft(stage, node, [x], [stream.range] * stream.channels)


@dataclass(frozen=True, eq=False)
class _Whole:
    """A reduction as one window.

    Attributes:
        stream: what is read, as the window sees it.
        window: what it takes together.
        index: of the result's elements.
    """

    stream: Stream
    window: Window
    index: Integers


def reduce_max(lowering: Lowering, node: ir.Node) -> None:
    """ReduceMax, WideReduceMax over positions."""
    x = lowering.tracked(node)
    axes = lowering.functions.constant(node, 1, "the axes").reshape(-1)
    rows, shape = _reduced(lowering, node, x, axes)
    whole = _window(x, rows, shape)
    if whole is None:
        raise Unsupported("it takes elements of several channels together")
    made = _maximum(lowering, node, x, whole.stream, whole.window)
    lowering.values[node.outputs[0]] = Tracked(made, whole.index)


def int_reduce_sum(lowering: Lowering, node: ir.Node) -> None:
    """IntReduceSum."""
    _sum(lowering, node, lowering.functions.scalar(node, 1, "the zero point"))


def int_reduce_mean(lowering: Lowering, node: ir.Node) -> None:
    """IntReduceMean: a function of the sum."""
    zero = lowering.functions.scalar(node, 1, "the zero point")
    count = _sum(lowering, node, 0)

    def mean(range: Range) -> StepFunction:
        return StepFunction.of(
            range, lambda total: (2 * _MEAN_STEPS * total + count) // (2 * count) - shift
        )

    shift = _MEAN_STEPS * zero
    total = lowering.values[node.outputs[0]]
    key = "IntReduceMean", count, zero
    means = extended(lowering, total.elements, [(key, mean)] * len(total.elements))
    total.draft.nodes.clear()  # the node is the function too
    lowering.extended(node, total, means)


def _sum(lowering: Lowering, node: ir.Node, zero: int) -> int:
    """Sums of ``x - zero``; gives the number of terms."""
    x = lowering.tracked(node)
    rows, shape = _reduced(lowering, node, x, lowering.functions.constant(node, 2, "the axes"))
    kept, count = (int(extent) for extent in rows.shape)
    whole = _window(x, rows, shape)
    if whole is not None:
        channels = whole.stream.channels
        weights = np.ones((channels, *whole.window.kernel, 1), np.int64)
        constants = np.full(channels, -zero * count)
        made = matrix(
            lowering, node, x, whole.stream, whole.window, weights, constants, groups=channels
        )
        lowering.values[node.outputs[0]] = Tracked(made, whole.index)
        return count
    stream = Stream(*x.draft.output.shape, x.range)
    positions = rows // stream.channels
    if count == stream.channels and np.all(positions == positions[:, :1]):
        ones = np.ones((1, 1, 1, count), np.int64)
        made = matrix(lowering, node, x, stream, Window(), ones, np.array([-zero * count]))
        lowering.values[node.outputs[0]] = Tracked(made, positions[:, 0].reshape(shape))
        return count
    if kept * x.size > _MOST_WEIGHTS:
        raise Unsupported("what it adds up does not come together", REORDERED)
    weight = np.zeros((x.size, kept), np.int64)
    weight[rows.T, np.arange(kept)] = 1
    flat = Tracked(x.draft, np.arange(x.size), x.path)
    constants, index = np.full(kept, -zero * count), np.arange(kept).reshape(shape)
    made_of = dense(lowering, node, flat, weight, constants, index)
    lowering.values[node.outputs[0]] = made_of
    return count


def _reduced(
    lowering: Lowering, node: ir.Node, x: Tracked, axes: Integers
) -> tuple[Integers, tuple[int, ...]]:
    """Places [kept, reduced] of what is taken together, and the shape of the result."""
    tensor = Tensor(x.index.astype(object), lowering.functions.layer)
    rows, shape = reduced(node, tensor, axes)
    return rows.astype(np.int64), shape


def _window(x: Tracked, rows: Integers, shape: tuple[int, ...]) -> _Whole | None:
    """A reduction as one window that takes every channel alone, None if it is no such."""
    output = x.draft.output
    stream = Stream(*output.shape, x.range)
    channels, positions = rows % stream.channels, rows // stream.channels
    alone = bool(np.all(channels == channels[:, :1]))
    if alone and rows.shape == (stream.channels, stream.positions):
        window = Window((stream.rows, stream.columns))
        return _Whole(stream, window, channels[:, 0].reshape(shape))
    for axis, extents in enumerate(((stream.rows, 1), (1, stream.columns))):
        along, across = (positions // stream.columns, positions % stream.columns)
        fixed = across if axis == 0 else along
        if alone and rows.shape[1] == extents[axis] and np.all(fixed == fixed[:, :1]):
            index = fixed[:, 0] * stream.channels + channels[:, 0]
            return _Whole(stream, Window(extents), index.reshape(shape))
    return None
