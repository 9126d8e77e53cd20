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


def int_embed(i: Array, table: Array) -> Array:
    """Row i of the table, the last row where i is out of range."""
    last = table.shape[0] - 1
    return table[np.where((i >= 0) & (i < last), i, last)]


SPECIFICATION = [
    operator("Requantize", requantize),
    operator("Table", table),
    operator("ChannelTable", channel_table),
    operator("IntEmbed", int_embed),
]
"""Implementations for onnx's reference evaluator."""
