"""Tensors as bits: elements side by side, the first one and its lowest bit first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


def pack(columns: Sequence[tuple[Integers, int]]) -> list[bytes]:
    """One string of bytes per sample.

    Args:
        columns: of each tensor its integers [samples, elements] and the bits of each
            element; the tensors follow each other without gaps.

    Returns:
        per sample ceil(bits / 8) bytes, the lowest first; bits left over are zero.
    """
    parts = []
    for values, width in columns:
        bits = (values[:, :, None] >> np.arange(width)) & 1
        parts.append(bits.reshape(len(values), values.shape[1] * width).astype(np.uint8))
    packed = np.packbits(np.concatenate(parts, axis=1), axis=1, bitorder="little")
    return [row.tobytes() for row in packed]


def unpack(rows: Sequence[bytes], columns: Sequence[tuple[int, int, bool]]) -> list[Integers]:
    """The inverse of :func:`pack`.

    Args:
        rows: one string of bytes per sample.
        columns: of each tensor its elements, the bits of each (at most 63), and whether
            they are two's complement.

    Returns:
        int64 [samples, elements] per tensor.
    """
    length = -(-sum(elements * width for elements, width, _ in columns) // 8)
    raw = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), length)
    bits = np.unpackbits(raw, axis=1, bitorder="little")
    found, place = [], 0
    for elements, width, signed in columns:
        part = bits[:, place : place + elements * width].astype(np.int64)
        place += elements * width
        weights = np.left_shift(1, np.arange(width, dtype=np.int64))
        if signed:
            weights[-1] = -weights[-1]
        found.append(part.reshape(len(rows), elements, width) @ weights)
    return found
