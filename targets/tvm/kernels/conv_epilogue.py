"""From an int32 accumulator to what a convolution stores.

Requantization is exact for every accumulator: products have 64 bits. Even and
odd lanes are multiplied separately (the form of vpmuldq), and the zero point
joins the rounding constant, because ``(v >> s) + z == (v + (z << s)) >> s``.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.kernels import tir
from actc.targets.tvm.kernels.conv_vector import (
    Buffer,
    Expr,
    constant,
    load,
    store,
)
from actc.targets.tvm.kernels.spec import Epilogue, Residual
from actc.targets.tvm.kernels.tir import vector

_SUMMED = 32
"""Codes that are added at a time."""


@dataclass(frozen=True, slots=True)
class Multiplier:
    """A vector of multipliers, split into even and odd lanes as int64."""

    even: Expr
    odd: Expr


def _low_half(pairs: Expr, lanes: int) -> Expr:
    """The sign-extended low words of int64 lanes."""
    bits = constant(32, "int64", lanes)
    return (pairs << bits) >> bits


def _as_pairs(value: Expr, lanes: int) -> Expr:
    return T.Bind(T.reinterpret(vector("int64", lanes // 2), value))


def load_multiplier(buffer: Buffer, offset: Expr, lanes: int) -> Multiplier:
    """The multipliers of `lanes` channels from `offset` on."""
    half = lanes // 2
    pairs = _as_pairs(load(buffer, offset, lanes), lanes)
    return Multiplier(T.Bind(_low_half(pairs, half)), T.Bind(pairs >> constant(32, "int64", half)))


def _clamp(value: Expr, low: int, high: int, dtype: str, lanes: int) -> Expr:
    return T.min(T.max(value, constant(low, dtype, lanes)), constant(high, dtype, lanes))


def _high_words(even: Expr, odd: Expr, lanes: int) -> Expr:
    """The upper 32 bits of the products of even and odd lanes, interleaved."""
    bits = constant(32, "int64", lanes // 2)
    low_word = constant(0xFFFFFFFF, "int64", lanes // 2)
    pairs = ((even >> bits) & low_word) | ((odd >> bits) << bits)
    return T.Bind(T.reinterpret(vector("int32", lanes), pairs))


def requantized(total: Expr, multiplier: Multiplier, epilogue: Epilogue, lanes: int) -> Expr:
    """``clamp(((total * multiplier + 2**(shift-1)) >> shift) + zero)`` as uint8 x lanes."""
    half, shift = lanes // 2, epilogue.shift
    low, high = epilogue.low, epilogue.high
    pairs = _as_pairs(total, lanes)
    even = _low_half(pairs, half) * multiplier.even
    odd = (pairs >> constant(32, "int64", half)) * multiplier.odd
    rounding = (1 << (shift - 1)) + (epilogue.zero << shift)
    if shift > 32:
        # The low words decide nothing: go on with the high ones, in lane order.
        value = _high_words(even, odd, lanes) + constant(rounding >> 32, "int32", lanes)
        value = value >> constant(shift - 32, "int32", lanes)
        clamped = _clamp(value, low, high, "int32", lanes)
    else:
        by, offset = constant(shift, "int64", half), constant(rounding, "int64", half)
        even = _clamp((even + offset) >> by, low, high, "int64", half)
        odd = _clamp((odd + offset) >> by, low, high, "int64", half)
        pairs = even | (odd << constant(32, "int64", half))
        clamped = T.reinterpret(vector("int32", lanes), pairs)
    return T.cast(clamped, vector("uint8", lanes))


def apply_channel_table(
    out: Buffer, start: Expr, pixels: int, channels: int, table: Buffer
) -> None:
    """Replace the bytes of `pixels` pixels by their entries in the channels' tables."""
    with T.serial(0, pixels) as pixel, T.serial(0, channels) as channel:
        at = start + pixel * channels + channel
        store(out, at, table[channel * 256 + T.cast(out[at], "int32")])


def add_residual(out: Buffer, other: Buffer, start: Expr, count: int, residual: Residual) -> None:
    """Add the codes of another tensor to `count` codes from `start` on, in place.

    Args:
        out: the codes, which become those of the sum.
        other: lies like `out`.
        start, count: multiples of 4.
        residual: how.
    """
    widest = _SUMMED if residual.narrow else _SUMMED // 2
    whole = count // widest * widest
    with T.serial(0, count // widest) as step:
        _add_codes(out, other, T.Bind(start + step * widest), widest, residual)
    done, lanes = whole, widest // 2
    while done < count:
        if count - done >= lanes:
            _add_codes(out, other, start + done, lanes, residual)
            done += lanes
        else:
            lanes //= 2


def _add_codes(out: Buffer, other: Buffer, at: Expr, lanes: int, residual: Residual) -> None:
    wide, epilogue = vector("int32", lanes), residual.epilogue
    own, others = (T.cast(load(codes, at, lanes), wide) for codes in (out, other))
    total = T.Bind(
        own * constant(residual.own, "int32", lanes)
        + others * constant(residual.other, "int32", lanes)
        + constant(residual.bias, "int32", lanes)
    )
    if residual.narrow:
        rounding = constant(1 << (epilogue.shift - 1), "int32", lanes)
        moved = tirx.shift_right(total + rounding, constant(epilogue.shift, "int32", lanes))
        code = moved + constant(epilogue.zero, "int32", lanes)
        clamped = _clamp(code, epilogue.low, epilogue.high, "int32", lanes)
        store(out, at, T.cast(clamped, vector("uint8", lanes)), lanes)
    else:
        multiplier = constant(residual.multiplier, "int32", lanes)
        store(out, at, tir.requantize(total, multiplier, epilogue), lanes)
