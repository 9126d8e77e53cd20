"""From codes or accumulators to codes, in numpy."""

from __future__ import annotations

import numpy as np

from actc.ir.spec.shared import Array, operator


def requantize(
    acc: Array, multiplier: Array, shift: Array, zero: Array, low: Array, high: Array
) -> Array:
    """clamp(((acc * multiplier + 2^(shift-1)) >> shift) + zero, low, high); typed as `zero`."""
    product = acc.astype(np.int64) * multiplier.astype(np.int64)
    s = int(shift)
    rounded = (product + (1 << (s - 1))) >> s
    codes: Array = np.clip(rounded + int(zero), int(low), int(high)).astype(zero.dtype)
    return codes


def table(x: Array, table: Array) -> Array:
    """table[x]; typed as the table."""
    return table[x]


def channel_table(x: Array, table: Array, offset: Array) -> Array:
    """table[x + offset]; typed as the table."""
    return table[x.astype(np.int32) + offset]


def steps(acc: Array, breakpoints: Array, values: Array, offset: Array) -> Array:
    """values[offset + number of the 255 breakpoints behind `offset` that are <= acc]."""
    rows = np.broadcast_to(offset, np.broadcast_shapes(offset.shape, acc.shape))
    y = np.empty(rows.shape, values.dtype)
    full = np.broadcast_to(acc, rows.shape)
    for start in np.unique(offset):
        inside, first = rows == start, int(start)
        points = breakpoints[first : first + 255]
        y[inside] = values[first + np.searchsorted(points, full[inside], side="right")]
    return y


def int_embed(i: Array, table: Array) -> Array:
    """Row i of the table, the last row where i is out of range."""
    last = table.shape[0] - 1
    return table[np.where((i >= 0) & (i < last), i, last)]


SPECIFICATION = [
    operator("Requantize", requantize),
    operator("Table", table),
    operator("ChannelTable", channel_table),
    operator("Steps", steps),
    operator("IntEmbed", int_embed),
]
"""Implementations for onnx's reference evaluator."""
