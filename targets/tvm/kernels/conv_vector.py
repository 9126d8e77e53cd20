"""Small vocabulary for writing vector code with TVM's IRBuilder.

All buffers are one-dimensional; an offset counts elements. An expression is
typed `Any` because TVM ships no type information.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from tvm import tirx
from tvm.tirx.script.builder import ir as T

Expr: TypeAlias = Any
Buffer: TypeAlias = Any

COPY_LANES = 16


def load(buffer: Buffer, offset: Expr, lanes: int = 1) -> Expr:
    """`lanes` consecutive elements from `offset` on."""
    return buffer[offset if lanes == 1 else tirx.Ramp(offset, 1, lanes)]


def store(buffer: Buffer, offset: Expr, value: Expr, lanes: int = 1) -> None:
    """Store `lanes` consecutive elements from `offset` on."""
    T.buffer_store(buffer, value, [offset if lanes == 1 else tirx.Ramp(offset, 1, lanes)])


def splat(value: Expr, lanes: int) -> Expr:
    """`value` in every lane."""
    return value if lanes == 1 else tirx.Broadcast(value, lanes)


def constant(value: int, dtype: str, lanes: int = 1) -> Expr:
    """An integer constant in every lane."""
    return splat(tirx.IntImm(dtype, value), lanes)


def intrinsic(name: str, dtype: str, *operands: Expr) -> Expr:
    """Call of an LLVM intrinsic without side effects."""
    return T.call_llvm_pure_intrin(dtype, name, *operands)


def alias(buffer: Buffer, dtype: str, size: Expr, offset: Expr = 0) -> Buffer:
    """A flat view of a buffer as `size` elements of `dtype` from `offset` (in them) on.

    One function must not write a buffer through one element type and read it
    through another: TVM tells LLVM that differently typed accesses do not overlap.
    """
    return T.decl_buffer((size,), dtype, data=buffer.data, elem_offset=offset)


def accumulators(count: int, lanes: int, dtype: str) -> list[Buffer]:
    """`count` vectors that LLVM keeps in registers.

    Each is a small buffer of its own: TVM moves what reaches 1 KiB from the stack to
    a heap workspace, which LLVM cannot turn into registers.
    """
    return [T.alloc_buffer((lanes,), dtype) for _ in range(count)]


def word_of_bytes(value: int) -> int:
    """The int32 whose four bytes all are `value` (0..255)."""
    word = value * 0x01010101
    return word - (1 << 32) if word >= 1 << 31 else word


def _pieces(count: int) -> list[tuple[int, int]]:
    """(start, lanes) of power-of-two vectors that cover the tail of `count` elements."""
    pieces: list[tuple[int, int]] = []
    done, lanes = count - count % COPY_LANES, COPY_LANES // 2
    while done < count:
        if count - done >= lanes:
            pieces.append((done, lanes))
            done += lanes
        lanes //= 2
    return pieces


def copy_words(target: Buffer, to: Expr, source: Buffer, start: Expr, count: int) -> None:
    """Copy `count` elements."""
    if count >= COPY_LANES:
        with T.serial(0, count // COPY_LANES) as step:
            word = step * COPY_LANES
            store(target, to + word, load(source, start + word, COPY_LANES), COPY_LANES)
    for done, lanes in _pieces(count):
        store(target, to + done, load(source, start + done, lanes), lanes)


def fill_words(target: Buffer, to: Expr, value: Callable[[int], Expr], count: int) -> None:
    """Set `count` elements; `value` gives a vector of as many lanes as it is asked for."""
    if count >= COPY_LANES:
        with T.serial(0, count // COPY_LANES) as step:
            store(target, to + step * COPY_LANES, value(COPY_LANES), COPY_LANES)
    for done, lanes in _pieces(count):
        store(target, to + done, value(lanes), lanes)
