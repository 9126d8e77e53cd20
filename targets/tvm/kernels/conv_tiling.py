"""How a dense or grouped convolution is cut into register tiles.

The output is computed tile by tile: `pixels` neighbouring output pixels times a
few vectors ("blocks") of output channels stay in registers while the reduction
runs (Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication",
2008, with the whole reduction as the panel). The last block and the last pixel
tile are moved back to end at the border; what they share with their neighbour
is computed twice, to the same value, and no border code is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from actc.targets.tvm.kernels.conv_isa import DotProduct, Int8Array, dot_product
from actc.targets.tvm.kernels.spec import ConvSpec, padded

_FOLDED_CHANNELS = 2
"""With more channels, folding the kernel's columns saves nothing for usual kernels."""

_MAX_BLOCKS = 12
_TILE_OVERHEAD = 24
"""Instructions of a pixel tile beside its reduction: addresses, start, loop."""


@dataclass(frozen=True, slots=True)
class ChannelTile:
    """Blocks of output channels that one pass over the input computes.

    Attributes:
        starts: first output channel of each block.
        first_word: first input word of a pixel that is read.
        words: words read per tap.
        offset: first byte in the packed weights.
    """

    starts: tuple[int, ...]
    first_word: int
    words: int
    offset: int


@dataclass(frozen=True, slots=True)
class Tiling:
    """The loops of one dense convolution.

    Attributes:
        dot: the instruction set's dot product.
        lanes: output channels per vector.
        pixels: output pixels per register tile.
        tiles: the passes over output channels.
        rows, row_pixels: output pixels as a grid; a pointwise kernel on a narrow
            map sees it as one long row.
        taps: (height, width) of the kernel after folding or merging.
        folded: input words per pixel after folding the kernel's columns; 0: not folded.
    """

    dot: DotProduct
    lanes: int
    pixels: int
    tiles: tuple[ChannelTile, ...]
    rows: int
    row_pixels: int
    taps: tuple[int, int]
    folded: int


def folded_words(spec: ConvSpec) -> int:
    """Words per pixel when the kernel's columns are folded into the channels; 0: do not."""
    words = -(-spec.kernel[1] * spec.in_c // 4)
    few = spec.in_c <= _FOLDED_CHANNELS and spec.group == 1
    return words if few and words < spec.kernel[1] else 0


def _dense_weight(weight: Int8Array, spec: ConvSpec) -> Int8Array:
    """Weights over all input words: (O, kh, taps, words, 4), zeros outside a group."""
    out_c, per_group, height, width = weight.shape
    full = np.zeros((out_c, height, width, padded(spec.in_c)), np.int8)
    per_out = out_c // spec.group
    for group in range(spec.group):
        outs = slice(group * per_out, (group + 1) * per_out)
        ins = slice(group * per_group, (group + 1) * per_group)
        full[outs, :, :, ins] = weight[outs].transpose(0, 2, 3, 1)
    folded = folded_words(spec)
    if folded:
        row = full[..., : spec.in_c].reshape(out_c, height, 1, -1)
        full = np.zeros((out_c, height, 1, 4 * folded), np.int8)
        full[..., : row.shape[-1]] = row
    elif _merged(spec):
        full = full.reshape(out_c, height, 1, -1)
    return full.reshape(*full.shape[:3], -1, 4)


def _merged(spec: ConvSpec) -> bool:
    """Whether the words of a row of taps are neighbours in memory and all wanted."""
    return spec.group == 1 and (spec.dilations[1] == 1 or spec.kernel[1] == 1)


def _taps_and_words(spec: ConvSpec) -> tuple[tuple[int, int], int]:
    height, width = spec.kernel
    folded = folded_words(spec)
    if folded:
        return (height, 1), folded
    words = padded(spec.in_c) // 4
    return ((height, 1), words * width) if _merged(spec) else ((height, width), words)


def block_starts(channels: int, lanes: int) -> list[int]:
    """First channels of vectors that cover 0..channels-1, the last moved back."""
    starts = list(range(0, channels - lanes + 1, lanes))
    if channels % lanes:
        starts.append(channels - lanes)
    return starts


def _word_range(spec: ConvSpec, first: int, last: int, words: int) -> tuple[int, int]:
    """(first word, words) of the input that output channels first..last need."""
    if spec.group == 1:
        return 0, words
    per_in, per_out = spec.in_c // spec.group, spec.out_c // spec.group
    low = min(first, spec.out_c - 1) // per_out * per_in
    high = (min(last, spec.out_c - 1) // per_out + 1) * per_in
    return low // 4, -(-high // 4) - low // 4


def _tile_cost(dot: DotProduct, pixels: int, blocks: int, steps: int) -> int:
    """Instruction slots of one register tile; loads and latency limit small ones."""
    work = pixels * blocks * dot.word_cost
    per_step = max(work, pixels + blocks, 5)
    return per_step * steps + 12 * pixels * blocks + _TILE_OVERHEAD


def _choose_tile(dot: DotProduct, row_pixels: int, blocks: int, steps: int) -> tuple[int, int]:
    """(pixels, blocks) of a register tile with the least cost that fits the registers."""
    best = (0, 0, 0)
    found = (1, 1)
    for wide in range(1, min(blocks, _MAX_BLOCKS) + 1):
        for pixels in range(1, row_pixels + 1):
            if pixels * wide + wide + 2 > dot.registers:
                break
            across = -(-row_pixels // pixels)
            full, rest = divmod(blocks, wide)
            cost = across * full * _tile_cost(dot, pixels, wide, steps)
            cost += across * _tile_cost(dot, pixels, rest, steps) if rest else 0
            rank = (cost, -pixels * wide, wide)
            if best == (0, 0, 0) or rank < best:
                best, found = rank, (pixels, wide)
    return found


def _grid(spec: ConvSpec) -> tuple[int, int]:
    """(rows, pixels per row); narrow pointwise maps become one row."""
    if spec.pointwise and spec.out_w < 32:
        return 1, spec.out_h * spec.out_w
    return spec.out_h, spec.out_w


def dense_tiling(spec: ConvSpec, features: frozenset[str]) -> Tiling:
    """Cut a convolution that is not depthwise into register tiles."""
    dot = dot_product(features)
    channels = padded(spec.out_c)
    lanes = dot.lanes
    while lanes > channels:
        lanes //= 2
    starts = block_starts(channels, lanes)
    taps, words = _taps_and_words(spec)
    rows, row_pixels = _grid(spec)
    pixels, blocks = _choose_tile(dot, row_pixels, len(starts), taps[0] * taps[1] * words)
    tiles: list[ChannelTile] = []
    offset = 0
    for at in range(0, len(starts), blocks):
        own = tuple(starts[at : at + blocks])
        first_word, wanted = _word_range(spec, own[0], own[-1] + lanes - 1, words)
        tiles.append(ChannelTile(own, first_word, wanted, offset))
        offset += taps[0] * taps[1] * wanted * len(own) * dot.word_bytes(lanes)
    return Tiling(dot, lanes, pixels, tuple(tiles), rows, row_pixels, taps, folded_words(spec))


def pack_dense(weight: Int8Array, spec: ConvSpec, features: frozenset[str]) -> npt.NDArray[np.int8]:
    """Packed weights of a dense or grouped convolution, one-dimensional.

    Args:
        weight: (O, C/g, kh, kw) int8.
    """
    tiling = dense_tiling(spec, features)
    full = _dense_weight(weight, spec)
    lanes_total = padded(spec.out_c)
    channels = np.zeros((lanes_total, *full.shape[1:]), np.int8)
    channels[: spec.out_c] = full
    parts = []
    for tile in tiling.tiles:
        words = slice(tile.first_word, tile.first_word + tile.words)
        blocks = np.stack([channels[s : s + tiling.lanes, :, :, words] for s in tile.starts])
        # (blocks, lanes, kh, taps, words, 4) -> (kh * taps * words, 4, blocks, lanes)
        order = blocks.transpose(2, 3, 4, 5, 0, 1)
        parts.append(tiling.dot.pack(order.reshape(-1, *order.shape[3:])))
    return np.concatenate(parts)


def packed_size(tiling: Tiling) -> int:
    """Bytes of the packed weights."""
    last = tiling.tiles[-1]
    steps = tiling.taps[0] * tiling.taps[1] * last.words
    return last.offset + steps * len(last.starts) * tiling.dot.word_bytes(tiling.lanes)
