"""What the kernels over packed bits must compute, and their packed weights. No TVM import.

A tensor of two codes lies in memory as (n, H, W, words): bit c % 32 of word c // 32 of a pixel
is 1 where channel c holds the larger code, and 0 in the bits beyond the last channel. In the
machine's byte order two words are one 64-bit word, and a vector register holds as many as fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from actc.targets.tvm.kernels.spec import OutputMap, padded

Array = np.ndarray[Any, Any]

WORD = 32
"""Channels of a word."""


def words(channels: int) -> int:
    """Words of a pixel of `channels` channels."""
    return -(-channels // WORD)


@dataclass(frozen=True, slots=True)
class BinaryConv(OutputMap):
    """A 2-D convolution (or matrix product) of signs, by XOR and population count.

    ``count`` is the number of weights that are not zero and whose sign differs from the
    input's bit; outside the map bits are 0. The kernel stores ``base - step * count`` as int32
    ("sums"), or the bit ``count <= base`` ("bits").

    PrimFunc buffers, in this order (`place` only if `classes` > 1):

    ======  ======  =====================================================================
    x       uint32  (n, in_h, in_w, words(in_c))
    weight  uint32  what `pack_signs` returned
    base    int32   what `pack_base` returned: a row of channels per class of pixels
    place   int32   what `pack_place` returned: (out_h * out_w,)
    out     uint32  (n, out_h, out_w, words(out_c)) for bits; for sums int32,
                    (n, out_h, out_w, padded(out_c))
    ======  ======  =====================================================================

    Attributes:
        batch: samples, None when symbolic.
        in_h, in_w, in_c: the map (logical channels); in_h = 1 for rank 3 and matrices.
        out_c: logical output channels.
        kernel, strides, dilations: (height, width).
        pads: (top, left, bottom, right).
        ternary: whether weights may be zero.
        result: what is stored.
        step: of a sum for each differing sign.
        classes: rows of `base`; pixels beside padding have others than those within.
    """

    batch: int | None
    in_h: int
    in_w: int
    in_c: int
    out_c: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    ternary: bool
    result: Literal["sums", "bits"]
    step: int
    classes: int

    @property
    def out_lanes(self) -> int:
        """Elements of an output pixel."""
        return words(self.out_c) if self.result == "bits" else padded(self.out_c)


@dataclass(frozen=True, slots=True)
class Pack:
    """Codes or sums to bits; PrimFunc buffers: x, then points and flips if `each`, then out.

    A bit is ``x > above``; with `each`, it is ``(x >= point) != flip`` with a point (int32,
    ``32 * words(channels)``) and a flip (bits, uint32, ``words(channels)``) per channel.

    Attributes:
        batch: samples, None when symbolic.
        height, width: of the map.
        channels: logical channels.
        lanes: elements of a pixel of x.
        dtype: of x, uint8 or int32.
        above: the smaller code.
        each: whether channels have points of their own.
    """

    batch: int | None
    height: int
    width: int
    channels: int
    lanes: int
    dtype: str
    above: int = 0
    each: bool = False


@dataclass(frozen=True, slots=True)
class Unpack:
    """Bits to codes: x uint32 (n, height, width, words), out uint8, padded(channels) a pixel."""

    batch: int | None
    height: int
    width: int
    channels: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Counter:
    """How an instruction set counts bits.

    Attributes:
        lanes: output channels of a vector; each is a lane of 32 bits.
        whole: whether one instruction counts the bits of such lanes; else those of bytes
            are counted and added up.
        registers: vector registers.
    """

    lanes: int
    whole: bool
    registers: int


def counter_of(features: frozenset[str]) -> Counter:
    """The widest way that a CPU with LLVM's `features` has."""
    if "avx512vpopcntdq" in features:
        return Counter(16, True, 32)
    if "avx512bw" in features:
        return Counter(16, False, 32)
    if "avx2" in features:
        return Counter(8, False, 16)
    return Counter(4, False, 32 if "neon" in features else 16)


@dataclass(frozen=True, slots=True)
class BinaryTile:
    """Output channels that one pass computes, `repeats` times one after the other.

    Attributes:
        first: first output channel.
        blocks: vectors of channels.
        stored: output channels of the tile that the output has room for.
        offset: first element in the packed weights.
    """

    first: int
    blocks: int
    stored: int
    offset: int
    repeats: int


@dataclass(frozen=True, slots=True)
class BinaryTiling:
    """The loops of a binary convolution.

    Attributes:
        counter: how bits are counted.
        pixels: output pixels of a register tile.
        tiles: passes over the output channels.
        channels: output channels with those that only fill the last block.
        steps: words of a pixel times taps of the kernel.
        planes: packed words per weight vector, 2 if a mask follows the signs.
    """

    counter: Counter
    pixels: int
    tiles: tuple[BinaryTile, ...]
    channels: int
    steps: int
    planes: int

    def size(self, blocks: int) -> int:
        """Packed weights of a tile of `blocks` blocks."""
        return self.steps * blocks * self.counter.lanes * self.planes


def tiling_of(spec: BinaryConv, features: frozenset[str]) -> BinaryTiling:
    """How a binary convolution is cut into register tiles.

    A tile holds one word of output bits, two where there is a single pixel, and as many pixels as
    leave registers for operands.
    """
    counter = counter_of(features)
    lanes, width = counter.lanes, spec.out_w
    if spec.pointwise:
        width = spec.in_h * spec.in_w * (spec.batch or WORD)
    single = width == 1
    blocks = WORD // lanes * (2 if single and lanes >= 8 else 1)
    per_pixel = blocks * (1 if counter.whole else 2)
    most = max(1, (counter.registers - 8) // per_pixel // 2 * 2)
    pixels = 1 if single else min(most, 6, width)
    pixels = -(-width // -(-width // pixels))
    steps = spec.kernel[0] * spec.kernel[1] * words(spec.in_c)
    planes = 2 if spec.ternary else 1
    unit = WORD if spec.result == "bits" else lanes
    room = -(-spec.out_c // unit) * unit
    stored = room if spec.result == "bits" else padded(spec.out_c)
    group = blocks * lanes
    whole = min(stored, room) // group
    tiles = []
    if whole:
        tiles.append(BinaryTile(0, blocks, group, 0, whole))
    done = whole * group
    if done < room:
        rest = (room - done) // lanes
        offset = done * steps * planes
        tiles.append(BinaryTile(done, rest, stored - done, offset, 1))
    return BinaryTiling(counter, pixels, tuple(tiles), room, steps, planes)


def pack_signs(signs: Array, spec: BinaryConv, features: frozenset[str]) -> Array:
    """Weights in the order in which the kernel reads them.

    Args:
        signs: int8 (O, C, kh, kw): -1, 0 or 1.

    Returns:
        uint32, one-dimensional: for each tile, tap and word of a pixel the blocks' signs (1 for
        plus), and with `ternary` the blocks' masks.
    """
    tiling = tiling_of(spec, features)
    planes = [_words_of(signs > 0, tiling.channels)]
    if spec.ternary:
        planes.append(_words_of(signs != 0, tiling.channels))
    lanes, parts = tiling.counter.lanes, []
    for tile in tiling.tiles:
        for repeat in range(tile.repeats):
            first = tile.first + repeat * tile.blocks * lanes
            some = np.stack([plane[:, first : first + tile.blocks * lanes] for plane in planes], 1)
            parts.append(some.reshape(-1))
    packed: Array = np.concatenate(parts)
    return packed


def _words_of(bits: Array, channels: int) -> Array:
    """(O, C, kh, kw) booleans as words, (kh * kw * words, channels)."""
    taps = np.moveaxis(bits, 1, -1)
    width = words(taps.shape[-1]) * WORD
    full = np.zeros((channels, *taps.shape[1:-1], width), bool)
    full[: taps.shape[0], ..., : taps.shape[-1]] = taps
    found: Array = np.packbits(full, axis=-1, bitorder="little").view("<u4")
    return np.ascontiguousarray(found.reshape(channels, -1).T)


def pack_base(base: Array, spec: BinaryConv, features: frozenset[str]) -> Array:
    """Rows of `base` with room for the channels that only fill a block; their bits stay 0.

    Args:
        base: int32 (classes, O).
    """
    channels = tiling_of(spec, features).channels
    filled = np.full((base.shape[0], channels), -1, np.int32)
    filled[:, : base.shape[1]] = base
    return filled.reshape(-1)


def pack_place(classes: Array, spec: BinaryConv, features: frozenset[str]) -> Array:
    """The first element of each pixel's row of `base`.

    Args:
        classes: int32 (out_h * out_w,): the row of each pixel.
    """
    placed: Array = (classes * tiling_of(spec, features).channels).astype(np.int32)
    return placed
