"""Exact u8 x s8 dot products on the instruction sets that actc knows.

Activations arrive as 32-bit words of four channels; one `accumulate` adds the
four products of a word with each of L output channels. None of the integer forms
saturates: VNNI's vpdpbusd widens to 32 bits, pmaddwd multiplies 16-bit values
below 2^8, and the plain form multiplies 32-bit lanes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.kernels.conv_vector import (
    Buffer,
    Expr,
    constant,
    intrinsic,
    load,
    splat,
    word_of_bytes,
)
from actc.targets.tvm.kernels.spec import padded
from actc.targets.tvm.kernels.tir import vector

Weight: TypeAlias = npt.NDArray[Any]


class DotProduct(ABC):
    """How one instruction set multiplies activations with weights.

    Attributes:
        lanes: most output channels of one vector.
        registers: vector registers of that size.
        operands: vectors that hold one word of activations, or of a block's weights.
        spread_cost: arithmetic instructions that make the former.
        word_cost: instructions per word and vector of output channels.
        channels: input channels of a word.
        x_type, word_type, weight_type, total_type: element types of the input, of
            the words as which it is read, of packed weights and of accumulators.
    """

    lanes: int
    registers: int
    operands: int
    spread_cost: int
    word_cost: int
    channels = 4
    x_type = "uint8"
    word_type = "int32"
    weight_type = "int8"
    total_type = "int32"

    def __init__(self, lanes: int, registers: int) -> None:
        self.lanes = lanes
        self.registers = registers

    def pixel_words(self, in_c: int) -> int:
        """Words from one pixel to the next."""
        return padded(in_c) // self.channels

    def used_words(self, in_c: int) -> int:
        """Words of a pixel that hold channels."""
        return -(-in_c // self.channels)

    def border(self, x_zero: int, lanes: int) -> Expr:
        """Words of padding pixels."""
        return constant(word_of_bytes(x_zero), self.word_type, lanes)

    @abstractmethod
    def pack(self, weight: Weight) -> Weight:
        """Order weights as `weights` reads them.

        Args:
            weight: (words, channels, blocks, lanes).

        Returns:
            one-dimensional, of `weight_type`.
        """

    @abstractmethod
    def word_size(self, lanes: int) -> int:
        """Packed elements of one word of one block."""

    @abstractmethod
    def weights(self, packed: Buffer, offset: Expr, blocks: int, lanes: int) -> list[list[Expr]]:
        """Operands of `accumulate` for one word: one list per block.

        Args:
            packed: buffer of `weight_type`.
            offset: first element of the word, a multiple of ``word_size * blocks``.
        """

    @abstractmethod
    def activation(self, word: Expr, lanes: int) -> list[Expr]:
        """Operands of `accumulate` for one word."""

    @abstractmethod
    def accumulate(self, total: Expr, activation: list[Expr], weight: list[Expr]) -> Expr:
        """`total` plus the products of a word, in every lane with its own weights."""

    # Depthwise: lane by lane instead of one word for all lanes.

    def pack_lanes(self, weight: Weight) -> Weight:
        """Order depthwise weights (blocks, taps, lanes) as `lane_weight` reads them.

        Returns:
            one-dimensional, of `weight_type`: little-endian int32 numbers.
        """
        return np.ascontiguousarray(weight.astype("<i4")).reshape(-1).view(np.int8)

    def tap_size(self, lanes: int) -> int:
        """Packed elements of one depthwise tap of one block."""
        return 4 * lanes

    def lane_weight(self, packed: Buffer, offset: Expr, lanes: int) -> Expr:
        """Operand of `multiply_add` for one tap."""
        value = load(packed, offset, self.tap_size(lanes))
        return T.Bind(T.reinterpret(vector("int32", lanes), value))

    def lane_values(self, words: Buffer, word: Expr, lanes: int) -> Expr:
        """`lanes` neighbouring channels, as `total_type`."""
        value = T.reinterpret(vector("uint8", lanes), load(words, word, lanes // 4))
        return T.Bind(T.cast(value, vector("int32", lanes)))

    def multiply_add(self, total: Expr, value: Expr, factor: Expr) -> Expr:
        """``total + value * factor`` lane by lane."""
        return total + value * factor


class Vnni(DotProduct):
    """vpdpbusd: four products per 32-bit lane and instruction."""

    operands = 1
    spread_cost = 0
    word_cost = 1

    def pack(self, weight: Weight) -> Weight:
        """Order (word, block, lane, byte)."""
        return np.ascontiguousarray(weight.transpose(0, 2, 3, 1)).reshape(-1)

    def word_size(self, lanes: int) -> int:
        """One byte per product."""
        return 4 * lanes

    def weights(self, packed: Buffer, offset: Expr, blocks: int, lanes: int) -> list[list[Expr]]:
        """One vector of bytes per block."""
        size = self.word_size(lanes)
        return [[T.Bind(load(packed, offset + b * size, size))] for b in range(blocks)]

    def activation(self, word: Expr, lanes: int) -> list[Expr]:
        """The word in every 32-bit lane."""
        return [T.Bind(T.reinterpret(vector("uint8", 4 * lanes), splat(word, lanes)))]

    def accumulate(self, total: Expr, activation: list[Expr], weight: list[Expr]) -> Expr:
        """One vpdpbusd."""
        lanes = int(total.ty.dtype.lanes)
        name = f"llvm.x86.avx512.vpdpbusd.{32 * lanes}"
        return intrinsic(name, vector("int32", lanes), total, activation[0], weight[0])

    def multiply_add(self, total: Expr, value: Expr, factor: Expr) -> Expr:
        """One vpdpwssd: the upper 16 bits of `value`'s lanes are zero."""
        lanes = int(total.ty.dtype.lanes)
        pairs = vector("int16", 2 * lanes)
        operands = (T.reinterpret(pairs, value), T.reinterpret(pairs, factor))
        name = f"llvm.x86.avx512.vpdpwssd.{32 * lanes}"
        return intrinsic(name, vector("int32", lanes), total, *operands)


class PairMultiply(DotProduct):
    """pmaddwd on 16-bit pairs: two products per 32-bit lane and instruction."""

    operands = 2
    spread_cost = 4
    word_cost = 4
    _NAMES: ClassVar[dict[int, str]] = {
        4: "llvm.x86.sse2.pmadd.wd",
        8: "llvm.x86.avx2.pmadd.wd",
        16: "llvm.x86.avx512.pmaddw.d.512",
    }

    def pack(self, weight: Weight) -> Weight:
        """Order (word, block, byte parity, lane, pair) of int16."""
        words, _, blocks, lanes = weight.shape
        # The even and the odd bytes of a word become one 16-bit pair each.
        pairs = weight.astype("<i2").reshape(words, 2, 2, blocks, lanes)
        return np.ascontiguousarray(pairs.transpose(0, 3, 2, 4, 1)).reshape(-1).view(np.int8)

    def word_size(self, lanes: int) -> int:
        """Two bytes per product."""
        return 8 * lanes

    def weights(self, packed: Buffer, offset: Expr, blocks: int, lanes: int) -> list[list[Expr]]:
        """Even and odd pairs per block."""
        dtype = vector("int16", 2 * lanes)
        size = 4 * lanes
        halves = [
            T.Bind(T.reinterpret(dtype, load(packed, offset + h * size, size)))
            for h in range(2 * blocks)
        ]
        return [halves[2 * b : 2 * b + 2] for b in range(blocks)]

    def activation(self, word: Expr, lanes: int) -> list[Expr]:
        """The even bytes and the odd bytes of the word as pairs."""
        dtype = vector("int16", 2 * lanes)
        mask = constant(0x00FF00FF, "int32")
        pairs = (word & mask, (word >> 8) & mask)
        return [T.Bind(T.reinterpret(dtype, splat(pair, lanes))) for pair in pairs]

    def accumulate(self, total: Expr, activation: list[Expr], weight: list[Expr]) -> Expr:
        """Two pmaddwd and two additions."""
        lanes = int(total.ty.dtype.lanes)
        dtype = vector("int32", lanes)
        for pair, factor in zip(activation, weight, strict=True):
            total = total + intrinsic(self._NAMES[lanes], dtype, pair, factor)
        return total


class Plain(DotProduct):
    """32-bit lanes and no intrinsic: any architecture."""

    operands = 4
    spread_cost = 8
    word_cost = 8

    def pack(self, weight: Weight) -> Weight:
        """Order (word, block, byte, lane)."""
        return np.ascontiguousarray(weight.transpose(0, 2, 1, 3)).reshape(-1)

    def word_size(self, lanes: int) -> int:
        """One byte per product."""
        return 4 * lanes

    def weights(self, packed: Buffer, offset: Expr, blocks: int, lanes: int) -> list[list[Expr]]:
        """Four widened vectors per block."""
        dtype = vector("int32", lanes)
        taps = [
            T.Bind(T.cast(load(packed, offset + t * lanes, lanes), dtype))
            for t in range(4 * blocks)
        ]
        return [taps[4 * b : 4 * b + 4] for b in range(blocks)]

    def activation(self, word: Expr, lanes: int) -> list[Expr]:
        """Each byte of the word in every lane."""
        mask = constant(0xFF, "int32")
        return [T.Bind(splat((word >> (8 * byte)) & mask, lanes)) for byte in range(4)]

    def accumulate(self, total: Expr, activation: list[Expr], weight: list[Expr]) -> Expr:
        """Four multiplications and additions."""
        for value, factor in zip(activation, weight, strict=True):
            total = total + value * factor
        return total


def dot_product(features: frozenset[str]) -> DotProduct:
    """The fastest exact form for a CPU with LLVM's feature names `features`."""
    choices: tuple[tuple[set[str], Any], ...] = (
        ({"avx512vnni", "avx512vl"}, lambda: Vnni(16, 32)),
        ({"avxvnni"}, lambda: Vnni(8, 16)),
        ({"avx512bw", "avx512vl"}, lambda: PairMultiply(16, 32)),
        ({"avx2"}, lambda: PairMultiply(8, 16)),
        ({"sse2"}, lambda: PairMultiply(4, 16)),
    )
    for needed, make in choices:
        if needed <= features:
            made: DotProduct = make()
            return made
    return Plain(4, 16)
