"""Operators that take all channels of a position together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from actc.targets.fpga.folded.lower.tracked import (
    REORDERED,
    Integers,
    Lowering,
    Tracked,
    in_rows,
)
from actc.targets.fpga.folded.program import RowStage, Stream
from actc.targets.fpga.folded.rows import ArgmaxRow, LayerNormRow, Row, SoftmaxRow
from actc.targets.fpga.network.builder import Unsupported
from actc.targets.fpga.network.lower import scope_of


@dataclass(frozen=True, eq=False)
class _Rows:
    """A tensor as rows along one axis.

    Attributes:
        stream: positions of a row's elements.
        order: of each element of a row, its channel.
        positions: of each row, shaped as the tensor without the axis.
        axis: of the sample.
    """

    stream: Stream
    order: Integers
    positions: Integers
    axis: int

    def index(self) -> Integers:
        """Places of a result that lies as the tensor does."""
        places = self.positions[..., None] * self.stream.channels + self.order
        return np.moveaxis(places, -1, self.axis)


def arg_max(lowering: Lowering, node: ir.Node) -> None:
    """ArgMax; of equal elements the first."""
    if node.attributes.get_int("select_last_index", 0):
        raise Unsupported("it gives the last of equal elements", "take the first: ArgMax as it is")
    x = lowering.tracked(node)
    rows = _rows(x, node.attributes.get_int("axis", 0))
    if np.any(np.diff(rows.order) < 0):
        raise Unsupported("what it compares comes in another order", REORDERED)
    index = rows.positions
    if node.attributes.get_int("keepdims", 1):
        index = np.expand_dims(index, rows.axis)
    _row(lowering, node, x, rows.stream, ArgmaxRow(), index)


def int_probabilities(lowering: Lowering, node: ir.Node) -> None:
    """IntProbabilities."""
    x = lowering.tracked(node)
    rows = _rows(x, node.attributes["axis"].as_int())
    table = lowering.functions.constant(node, 1, "the table").astype(np.int64)
    row = SoftmaxRow(table, node.attributes["bits"].as_int())
    _row(lowering, node, x, rows.stream, row, rows.index())


def int_layer_norm(lowering: Lowering, node: ir.Node) -> None:
    """IntLayerNorm."""
    x = lowering.tracked(node)
    rows = _rows(x, node.attributes["axis"].as_int())
    gamma, beta = (
        _by_channel(lowering.functions.constant(node, at, what), x, rows)
        for at, what in ((1, "gamma"), (2, "beta"))
    )
    eps = float(lowering.functions.constant(node, 3, "eps").reshape(-1)[0])
    _row(lowering, node, x, rows.stream, LayerNormRow(gamma, beta, eps), rows.index())


def _rows(x: Tracked, axis: int) -> _Rows:
    """A tensor along one of its axes.

    Args:
        axis: of the tensor with its batch.

    Raises:
        Unsupported: it goes across samples, or a row's elements are not one position.
    """
    axis = axis % (len(x.shape) + 1) - 1
    if axis < 0:
        raise Unsupported("it works along the batch axis", "keep one sample in one row")
    places = np.moveaxis(x.index, axis, -1)
    length = places.shape[-1]
    positions, channels = places // length, places % length
    order = channels.reshape(-1, length)[0]
    if np.any(positions != positions[..., :1]) or np.any(channels != order):
        raise Unsupported("what it takes together does not come together", REORDERED)
    stream = in_rows(x.draft.output, length)
    return _Rows(replace(stream, range=x.range), order, positions[..., 0], axis)


def _by_channel(array: npt.NDArray[Any], x: Tracked, rows: _Rows) -> Integers:
    """A constant that is broadcast to the tensor, as the channels lie in a position.

    Raises:
        Unsupported: it differs between positions.
    """
    whole = np.broadcast_to(array.astype(np.int64), (1, *x.shape))[0]
    flat = np.moveaxis(whole, rows.axis, -1).reshape(-1, len(rows.order))
    if np.any(flat != flat[:1]):
        raise Unsupported("its constants differ between positions")
    found = np.empty(len(rows.order), np.int64)
    found[rows.order] = flat[0]
    return found


def _row(
    lowering: Lowering, node: ir.Node, x: Tracked, input: Stream, row: Row, index: Integers
) -> None:
    """Begin a RowStage."""
    ranges = row.ranges(input.channels)
    output = replace(input, channels=len(ranges))
    stage = RowStage(lowering.name(scope_of(node)), (), (), input, output, row=row)
    made = lowering.draft(stage, node, [x], ranges)
    lowering.values[node.outputs[0]] = Tracked(made, index)
