"""Matrix products and convolutions with constant weights."""

from __future__ import annotations

from math import prod

import numpy as np
import onnx_ir as ir

from actc.ir.graph import attribute_ints
from actc.targets.fpga.folded.lower.tracked import (
    REORDERED,
    Draft,
    Integers,
    Lowering,
    Tracked,
    in_rows,
    map_index,
)
from actc.targets.fpga.folded.program import MatrixStage, Stream, Window
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.network.builder import Unsupported
from actc.targets.fpga.network.lower import scope_of


def int_matmul(lowering: Lowering, node: ir.Node) -> None:
    """IntMatMul, WideMatMul: of a vector in any order, or of positions, as a pointwise one."""
    x = lowering.tracked(node)
    functions = lowering.functions
    weight = functions.constant(node, 1, "the weight").astype(np.int64)
    if weight.ndim != 2 or not x.shape or x.shape[-1] != weight.shape[0]:
        raise Unsupported(f"a weight of shape {weight.shape} does not fit {x.shape}")
    bias = functions.constant(node, 2, "the bias").reshape(-1).astype(np.int64)
    zero = functions.scalar(node, 3, "the zero point")
    constants = np.broadcast_to(bias, weight.shape[1:]) - zero * weight.sum(axis=0)
    lead = x.shape[:-1]
    if prod(lead) == 1:
        index = np.arange(weight.shape[1]).reshape(*lead, -1)
        lowering.values[node.outputs[0]] = dense(lowering, node, x, weight, constants, index)
        return
    stream, positions = _rows(x, weight.shape[0])
    made = matrix(lowering, node, x, stream, Window(), weight.T[:, None, None, :], constants)
    index = positions[..., None] * weight.shape[1] + np.arange(weight.shape[1])
    lowering.values[node.outputs[0]] = Tracked(made, index)


def dense(
    lowering: Lowering,
    node: ir.Node,
    x: Tracked,
    weight: Integers,
    constants: Integers,
    index: Integers,
) -> Tracked:
    """``x @ weight`` of all elements of a sample, in the order of the tensor.

    Args:
        weight: [inputs, outputs].
        index: where the outputs are, in the shape of the result.
    """
    columns = np.zeros((weight.shape[1], x.size), np.int64)
    columns[:, x.index.reshape(-1)] = weight.T
    weights = columns[:, None, None, :]
    made = matrix(lowering, node, x, x.as_vector(), Window(), weights, constants)
    return Tracked(made, index)


def _rows(x: Tracked, channels: int) -> tuple[Stream, Integers]:
    """The stream as positions of the tensor's last axis, and the position of each row.

    Raises:
        Unsupported: the elements of a row do not come together.
    """
    first = x.index[..., 0]
    together = np.array_equal(x.index, first[..., None] + np.arange(channels))
    if not together or np.any(first % channels):
        raise Unsupported("the rows that it multiplies do not come one after the other", REORDERED)
    plain = Stream(*x.draft.output.shape, x.range)
    return in_rows(plain, channels), first // channels


def int_conv(lowering: Lowering, node: ir.Node) -> None:
    """IntConv, WideConv over one or two axes."""
    x = lowering.tracked(node)
    functions = lowering.functions
    stream = x.as_map()
    weight = functions.constant(node, 1, "the weight").astype(np.int64)
    zero = functions.scalar(node, 3, "the zero point")
    bias = functions.constant(node, 2, "the bias").reshape(-1).astype(np.int64)
    constants = np.broadcast_to(bias, weight.shape[:1])
    constants = constants - zero * weight.reshape(len(weight), -1).sum(axis=1)
    kernel = weight if weight.ndim == 4 else weight[:, :, None, :]
    pads = attribute_ints(node, "pads", [0] * 2 * (len(x.shape) - 1))
    made = matrix(
        lowering,
        node,
        x,
        stream,
        window_of(node, pads),
        kernel.transpose(0, 2, 3, 1),
        constants,
        groups=node.attributes["group"].as_int(),
        zero=zero,
    )
    lowering.values[node.outputs[0]] = Tracked(made, positions_index(made.output, len(x.shape)))


def window_of(node: ir.Node, pads: list[int]) -> Window:
    """The window of a node over one or two axes.

    Args:
        pads: in front of each axis, then behind each.

    Raises:
        Unsupported: it has another number of axes, or takes elements away.
    """
    kernel = attribute_ints(node, "kernel_shape", [])
    spatial = len(kernel)
    if spatial not in (1, 2) or len(pads) != 2 * spatial:
        raise Unsupported(f"it has windows over {spatial} axes of samples, not 1 or 2")
    if min(pads) < 0:
        raise Unsupported("it has negative pads", "use Slice to crop")
    ones = [1] * spatial
    strides, dilations = (attribute_ints(node, name, ones) for name in ("strides", "dilations"))

    def pair(values: list[int], fill: int) -> tuple[int, int]:
        return (values[0], values[1]) if spatial == 2 else (fill, values[0])

    before, after = pair(pads[:spatial], 0), pair(pads[spatial:], 0)
    return Window(pair(kernel, 1), pair(strides, 1), pair(dilations, 1), before, after)


def positions_index(stream: Stream, rank: int) -> Integers:
    """Places of a result [channels, positions...] of one sample, with `rank` axes."""
    shape = (stream.channels, stream.rows, stream.columns)
    index = map_index(stream.rows, stream.columns, stream.channels)
    return index.reshape(shape if rank == 3 else (stream.channels, stream.columns))


def matrix(
    lowering: Lowering,
    node: ir.Node,
    x: Tracked,
    stream: Stream,
    window: Window,
    weights: Integers,
    constants: Integers,
    *,
    groups: int = 1,
    zero: int = 0,
) -> Draft:
    """Begin a MatrixStage.

    Args:
        stream: `x` as the stage sees it.
        constants: what golden adds to the totals.
        zero: what stands in the padding.

    Raises:
        Unsupported: no window fits, or the groups do not divide the channels.
    """
    rows, columns = window.positions(stream)
    inputs = stream.channels // groups
    if min(rows, columns) < 1:
        raise Unsupported("its window is larger than what it reads")
    if weights.shape[-1] != inputs or len(weights) % groups or stream.channels % groups:
        raise Unsupported(f"its weights do not fit {stream.channels} channels in {groups} groups")
    padded = any((*window.before, *window.after))
    stage = MatrixStage(
        lowering.name(scope_of(node)),
        (),
        (),
        stream,
        Stream(rows, columns, len(weights), Range(0, 0)),
        window,
        np.ascontiguousarray(weights),
        groups,
        # without padding any code will do, and one of the range widens no total
        zero if padded else stream.range.clamp(zero),
    )
    return lowering.draft(stage, node, [x], stage.totals, constants)
