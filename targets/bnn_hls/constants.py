"""Constants of layers as C++ initializers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.targets.bnn_hls.functions import Function
from actc.targets.bnn_hls.layers import Integers, MatrixLayer
from actc.targets.fpga.hdl import Range

_NATIVE = 64
"""Bits of the widest literal."""
_INT = 1 << 31


def integer_type(range: Range) -> str:
    """The type of the integers of a range."""
    return f"ap_{'' if range.signed else 'u'}int<{range.width}>"


def number(value: int) -> str:
    """A literal of an integer, with its sign."""
    if -_INT < value < _INT:
        return str(value)
    return f"{value}LL"


def bits(value: int, width: int) -> str:
    """An expression of `width` bits, two's complement."""
    value &= (1 << width) - 1
    if width <= _NATIVE:
        return f"0x{value:x}{'u' if value < 2 * _INT else 'ULL'}"
    return f'ap_uint<{width}>("0x{value:x}", 16)'


def braces(items: Iterable[str], indent: str = "") -> str:
    """A list in braces, in lines that are not too long."""
    lines, line = [], ""
    for item in items:
        if line and len(line) + len(item) + 2 > 96:
            lines.append(line)
            line = ""
        line = f"{line}, {item}" if line else item
    lines.append(line)
    if len(lines) == 1 and "\n" not in line:
        return f"{{{line}}}"
    joined = f",\n{indent} ".join(lines)
    return f"{{{joined}}}"


def rows(items: Sequence[str]) -> str:
    """A list in braces, each item on its own line."""
    return "{" + ",\n ".join(items) + "}"


def weight_words(layer: MatrixLayer, pe: int, simd: int) -> tuple[int, list[list[int]]]:
    """Words of weights: their bits, and [pe][words behind each other].

    Args:
        simd: weights of a word, of one channel; one where channels are read one by one.
    """
    values = layer.weights.reshape(len(layer.weights) // pe, pe, -1, simd)
    values = values.transpose(1, 0, 2, 3).reshape(pe, -1, simd)
    width = layer.weight_bits
    if layer.product == "integers":
        parts = (values[..., None] >> np.arange(width)) & 1
        plain = parts.reshape(*values.shape[:2], -1)
    elif layer.product == "masked xnor":
        plain = np.concatenate([values > 0, values != 0], axis=2)
    else:
        plain = values > 0
    return simd * width, _packed(plain)


def _packed(plain: npt.NDArray[Any]) -> list[list[int]]:
    """Integers of bits [rows, words, bits], the lowest first."""
    packed = np.packbits(plain.astype(np.uint8), axis=2, bitorder="little")
    return [[int.from_bytes(word.tobytes(), "little") for word in row] for row in packed]


def by_unit(table: Integers, pe: int) -> list[list[list[int]]]:
    """Rows of channels as [pe][fold][...]; one row is that of all channels."""
    if len(table) == 1:
        return [table.tolist()] * pe
    found: list[list[list[int]]] = table.reshape(-1, pe, table.shape[1]).swapaxes(0, 1).tolist()
    return found


def folds_of(function: Function, pe: int) -> int:
    """Rows of constants of each unit."""
    return max(function.rows // pe, 1)


def search_rows(limits: Integers, depth: int) -> list[Integers]:
    """For each comparison of a search the limits that may be next: [rows, 2 ** d] of d = 0, 1..."""
    last = 1 << depth
    return [limits[:, (last >> (d + 1)) - 1 :: last >> d] for d in range(depth)]
