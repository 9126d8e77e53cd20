"""Exact u8 x s8 dot products on 64-bit Arm: usdot, sdot and plain NEON.

None of them saturates: usdot and sdot widen to 32 bits, smlal multiplies 16-bit values below
2^8. sdot takes signed bytes only; codes less 128 are signed bytes, and what that takes from the
sums is given back by the bias (`code_offset`).
"""

from __future__ import annotations

import numpy as np
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.kernels.conv_isa import DotProduct, Plain, Vnni, Weight
from actc.targets.tvm.kernels.conv_vector import (
    Buffer,
    Expr,
    constant,
    intrinsic,
    load,
    splat,
    word_of_bytes,
)
from actc.targets.tvm.kernels.spec import ConvSpec
from actc.targets.tvm.kernels.tir import vector

LANES, REGISTERS = 4, 32
_SIGN = 128


class BytesDot(Vnni):
    """usdot: four products per 32-bit lane and instruction, u8 x s8."""

    def __init__(self) -> None:
        super().__init__(LANES, REGISTERS)

    def accumulate(self, total: Expr, activation: list[Expr], weight: list[Expr]) -> Expr:
        """One usdot."""
        return _dot("usdot", total, activation[0], weight[0])

    def multiply_add(self, total: Expr, value: Expr, factor: Expr) -> Expr:
        """One mla."""
        return total + value * factor


class SignedDot(BytesDot):
    """sdot: the same for s8 x s8, on codes less 128."""

    spread_cost = 1

    def activation(self, word: Expr, lanes: int) -> list[Expr]:
        """The word in every 32-bit lane, each byte with its top bit turned over."""
        signed = word ^ constant(word_of_bytes(_SIGN), "int32")
        return [T.Bind(T.reinterpret(vector("int8", 4 * lanes), splat(signed, lanes)))]

    def accumulate(self, total: Expr, activation: list[Expr], weight: list[Expr]) -> Expr:
        """One sdot."""
        return _dot("sdot", total, activation[0], weight[0])


class Halves(Plain):
    """smlal on 16-bit lanes: one product per 32-bit lane and instruction."""

    spread_cost = 4
    word_cost = 4

    def __init__(self) -> None:
        super().__init__(LANES, REGISTERS)

    def pack(self, weight: Weight) -> Weight:
        """Order (word, block, byte, lane) of int16."""
        halves = weight.astype("<i2").transpose(0, 2, 1, 3)
        return np.ascontiguousarray(halves).reshape(-1).view(np.int8)

    def word_size(self, lanes: int) -> int:
        """Two bytes per product."""
        return 8 * lanes

    def weights(self, packed: Buffer, offset: Expr, blocks: int, lanes: int) -> list[list[Expr]]:
        """Four vectors of 16-bit numbers per block."""
        dtype, size = vector("int16", lanes), 2 * lanes
        taps = [
            T.Bind(T.reinterpret(dtype, load(packed, offset + tap * size, size)))
            for tap in range(4 * blocks)
        ]
        return [taps[4 * b : 4 * b + 4] for b in range(blocks)]

    def activation(self, word: Expr, lanes: int) -> list[Expr]:
        """Each byte of the word in every lane, as 16-bit numbers."""
        mask = constant(0xFF, "int32")
        bytes_ = (T.cast((word >> (8 * byte)) & mask, "int16") for byte in range(4))
        return [T.Bind(splat(value, lanes)) for value in bytes_]

    def accumulate(self, total: Expr, activation: list[Expr], weight: list[Expr]) -> Expr:
        """Four smlal."""
        wide = vector("int32", int(total.ty.dtype.lanes))
        for value, factor in zip(activation, weight, strict=True):
            total = total + T.cast(value, wide) * T.cast(factor, wide)
        return total


def _dot(name: str, total: Expr, activation: Expr, weight: Expr) -> Expr:
    lanes = int(total.ty.dtype.lanes)
    symbol = f"llvm.aarch64.neon.{name}.v{lanes}i32.v{4 * lanes}i8"
    return intrinsic(symbol, vector("int32", lanes), total, activation, weight)


def arm_dot_product(features: frozenset[str]) -> DotProduct | None:
    """The fastest exact form for a 64-bit Arm CPU with LLVM's `features`; None: another CPU."""
    if "neon" not in features or "fp-armv8" not in features or "aclass" in features:
        return None  # 32-bit code has other names of intrinsics
    if "i8mm" in features:
        return BytesDot()
    return SignedDot() if "dotprod" in features else Halves()


def code_offset(spec: ConvSpec, features: frozenset[str]) -> int:
    """What the kernel of `spec` takes from each code before it multiplies."""
    signed = isinstance(arm_dot_product(features), SignedDot) and not spec.depthwise
    return _SIGN if signed else 0
