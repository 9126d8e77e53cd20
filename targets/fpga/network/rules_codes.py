"""Rules for functions of one element."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from actc.targets.fpga.functions import (
    Requantization,
    Stage,
    StepFunction,
    steps_stage,
    table_stage,
)
from actc.targets.fpga.network.builder import Array, Builder, Unsupported
from actc.targets.fpga.network.elements import Tensor

_STEPS = 256
"""Entries of Steps per channel."""


def requantize(builder: Builder, node: ir.Node) -> None:
    """Requantize: a staircase, per channel where the multiplier is."""
    x = builder.tensor(node)
    shift, zero, low, high = (
        builder.scalar(node, index, what)
        for index, what in ((2, "the shift"), (3, "the zero"), (4, "low"), (5, "high"))
    )
    multipliers = per_element(builder.constant(node, 1, "the multiplier"), x)
    stages = (Requantization(m, shift, zero, low, high) for m in multipliers.tolist())
    made = builder.extended(x, ((stage, stage) for stage in stages))
    builder.set(node.outputs[0], made)


def table(builder: Builder, node: ir.Node) -> None:
    """Table: the same for all elements."""
    x, values = builder.tensor(node), builder.constant(node, 1, "the table")
    offsets = np.zeros(x.shape, np.int64)
    _by_offset(builder, node, x, offsets, lambda offset: table_stage(values[offset:]))


def channel_table(builder: Builder, node: ir.Node) -> None:
    """ChannelTable: as the offset says; it may give several values per element."""
    x, values = builder.tensor(node), builder.constant(node, 1, "the table")
    x, offsets = broadcast(x, builder.constant(node, 2, "the offset"))
    _by_offset(builder, node, x, offsets, lambda offset: table_stage(values[offset:]))


def steps(builder: Builder, node: ir.Node) -> None:
    """Steps: a staircase per channel."""
    x = builder.tensor(node)
    breakpoints = builder.constant(node, 1, "the breakpoints")
    values = builder.constant(node, 2, "the values")
    x, offsets = broadcast(x, builder.constant(node, 3, "the offset"))
    count = _STEPS - 1
    _by_offset(
        builder, node, x, offsets,
        lambda at: steps_stage(breakpoints[at : at + count], values[at : at + _STEPS]),
    )  # fmt: skip


def int_embed(builder: Builder, node: ir.Node) -> None:
    """IntEmbed: every column of the table is a function of the index."""
    x, rows = builder.tensor(node), builder.constant(node, 1, "the table").astype(np.int64)
    last, width = rows.shape[0] - 1, rows.shape[1]

    def stage(column: int) -> Stage:
        def values(index: Array) -> Array:
            return np.asarray(rows[np.where((index >= 0) & (index < last), index, last), column])

        return lambda range: StepFunction.of(range, values)

    wide = np.repeat(x.elements[..., None], width, axis=-1)
    columns = np.broadcast_to(np.arange(width), wide.shape)
    _by_offset(builder, node, Tensor(wide, x.layer), columns, stage)


def _by_offset(
    builder: Builder, node: ir.Node, x: Tensor, offsets: Array, stage: Callable[[int], Stage]
) -> None:
    """One function for each offset into a constant."""
    name = str(node.outputs[0].name)
    stages = {offset: stage(offset) for offset in np.unique(offsets).tolist()}
    flat = offsets.reshape(-1).tolist()
    made = builder.extended(x, (((name, offset), stages[offset]) for offset in flat))
    builder.set(node.outputs[0], made)


def per_element(array: Array, x: Tensor) -> Array:
    """A constant, broadcast to the elements of a tensor; flat."""
    _, values = broadcast(x, array)
    if values.shape != x.shape:
        raise Unsupported(f"a constant of {array.shape} does not fit samples of {x.shape}")
    return values.reshape(-1)


def broadcast(x: Tensor, array: Array) -> tuple[Tensor, Array]:
    """A tensor and a constant in one shape, that of one sample.

    Raises:
        Unsupported: the constant has more axes, or differs between samples.
    """
    rank = len(x.shape) + 1
    if array.ndim > rank or (array.ndim == rank and array.shape[0] != 1):
        raise Unsupported(f"a constant of {array.shape} differs between samples")
    inner = array[0] if array.ndim == rank else array
    elements, values = np.broadcast_arrays(x.elements, inner)
    return Tensor(elements, x.layer), values
