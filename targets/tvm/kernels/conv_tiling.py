"""How a dense or grouped convolution is cut into register tiles.

The output is computed tile by tile: `pixels` neighbouring output pixels times a
few vectors ("blocks") of output channels stay in registers while the reduction
runs (Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication",
2008, with the whole reduction as the panel). The last block and the last pixel
tile are moved back to end at the border; what they share with their neighbour
is computed twice, to the same value, and no border code is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from actc.targets.tvm.kernels.conv_isa import DotProduct, Weight
from actc.targets.tvm.kernels.schedule import Schedule
from actc.targets.tvm.kernels.spec import ConvSpec, padded

_FOLDED_CHANNELS = 2
"""With more channels, folding the kernel's columns saves nothing for usual kernels."""

_NARROW = 32
"""Pointwise rows shorter than this are joined."""

_MAX_BLOCKS = 12
_VECTOR_BYTES = 64
_FIRST_CACHE = 32 << 10
"""Bytes of weights that stay in the first-level cache."""
_FAR_WEIGHT = 5
"""Instruction slots in which the second-level cache gives a vector of weights."""

_TILE_OVERHEAD = 24
"""Instructions of a pixel tile beside its reduction: addresses, start, loop."""


@dataclass(frozen=True, slots=True)
class ChannelTile:
    """Blocks of output channels that one pass over the input computes.

    Attributes:
        starts: first output channel of each block.
        first_word: first input word of a pixel that is read.
        words: words read per tap.
        offset: first element in the packed weights.
        repeats: how many such tiles follow each other, each starting where the
            one before it ends: a loop in the kernel.
    """

    starts: tuple[int, ...]
    first_word: int
    words: int
    offset: int
    repeats: int = 1


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
        across_samples: whether a register tile may hold pixels of several samples;
            `row_pixels` then are the pixels of one sample.
    """

    dot: DotProduct
    lanes: int
    pixels: int
    tiles: tuple[ChannelTile, ...]
    rows: int
    row_pixels: int
    taps: tuple[int, int]
    folded: int
    across_samples: bool

    def tile_size(self, tile: ChannelTile) -> int:
        """Packed weights of one repetition of `tile`."""
        steps = self.taps[0] * self.taps[1] * tile.words
        return steps * len(tile.starts) * self.dot.word_size(self.lanes)

    def packed_size(self) -> int:
        """Packed weights of all tiles."""
        last = self.tiles[-1]
        return last.offset + last.repeats * self.tile_size(last)


def folded_words(spec: ConvSpec, dot: DotProduct) -> int:
    """Words per pixel when the kernel's columns are folded into the channels; 0: do not."""
    words = -(-spec.kernel[1] * spec.in_c // dot.channels)
    few = spec.in_c <= _FOLDED_CHANNELS < dot.channels and spec.group == 1
    return words if few and words < spec.kernel[1] else 0


def _dense_weight(weight: Weight, spec: ConvSpec, dot: DotProduct) -> Weight:
    """Weights over all input words: (O, kh, taps, words, channels), zeros outside a group."""
    out_c, per_group, height, width = weight.shape
    words = dot.used_words(spec.in_c)
    full = np.zeros((out_c, height, width, words * dot.channels), weight.dtype)
    per_out = out_c // spec.group
    for group in range(spec.group):
        outs = slice(group * per_out, (group + 1) * per_out)
        ins = slice(group * per_group, (group + 1) * per_group)
        full[outs, :, :, ins] = weight[outs].transpose(0, 2, 3, 1)
    folded = folded_words(spec, dot)
    if folded:
        row = full[..., : spec.in_c].reshape(out_c, height, 1, -1)
        full = np.zeros((out_c, height, 1, dot.channels * folded), weight.dtype)
        full[..., : row.shape[-1]] = row
    elif _merged(spec, dot):
        full = full.reshape(out_c, height, 1, -1)
    return full.reshape(*full.shape[:3], -1, dot.channels)


def _merged(spec: ConvSpec, dot: DotProduct) -> bool:
    """Whether the words of a row of taps are neighbours in memory and all wanted."""
    beside = spec.kernel[1] == 1 or (
        spec.dilations[1] == 1 and dot.pixel_words(spec.in_c) == dot.used_words(spec.in_c)
    )
    return spec.group == 1 and beside


def _taps_and_words(spec: ConvSpec, dot: DotProduct) -> tuple[tuple[int, int], int]:
    height, width = spec.kernel
    folded = folded_words(spec, dot)
    if folded:
        return (height, 1), folded
    words = dot.used_words(spec.in_c)
    return ((height, 1), words * width) if _merged(spec, dot) else ((height, width), words)


def block_starts(channels: int, lanes: int) -> list[int]:
    """First channels of vectors that cover 0..channels-1, the last moved back."""
    starts = list(range(0, channels - lanes + 1, lanes))
    if channels % lanes:
        starts.append(channels - lanes)
    return starts


def _word_range(
    spec: ConvSpec, dot: DotProduct, first: int, last: int, words: int
) -> tuple[int, int]:
    """(first word, words) of the input that output channels first..last need."""
    if spec.group == 1:
        return 0, words
    per_in, per_out = spec.in_c // spec.group, spec.out_c // spec.group
    low = min(first, spec.out_c - 1) // per_out * per_in
    high = (min(last, spec.out_c - 1) // per_out + 1) * per_in
    return low // dot.channels, -(-high // dot.channels) - low // dot.channels


def _tile_cost(dot: DotProduct, pixels: int, blocks: int, steps: int) -> int:
    """Instruction slots of one register tile; loads and latency limit small ones."""
    work = pixels * (blocks * dot.word_cost + dot.spread_cost)
    per_step = max(work, pixels + blocks, 5)
    if steps * blocks * _VECTOR_BYTES > _FIRST_CACHE:
        per_step = max(per_step, _FAR_WEIGHT * blocks)
    return per_step * steps + 12 * pixels * blocks + _TILE_OVERHEAD


def _tiles_by_cost(
    dot: DotProduct, row_pixels: int, blocks: int, steps: int, across_samples: bool
) -> list[tuple[int, int]]:
    """(pixels, blocks) of the register tiles that fit the registers, the least cost first."""

    def cost(pixels: int, wide: int) -> int:
        if across_samples:
            # Batch 1 takes tiles of one pixel, large batches whole ones: weigh both.
            return _row_cost(dot, 64, blocks, steps, (pixels, wide)) + 64 * _row_cost(
                dot, 1, blocks, steps, (1, wide)
            )
        return _row_cost(dot, row_pixels, blocks, steps, (pixels, wide))

    most = 64 if across_samples else row_pixels
    shapes = [
        (pixels, wide)
        for wide in range(1, min(blocks, _MAX_BLOCKS) + 1)
        for pixels in range(1, most + 1)
        if pixels * wide + dot.operands * (wide + 1) < dot.registers
    ]
    return sorted(shapes, key=lambda shape: (cost(*shape), -shape[0] * shape[1], shape[1]))


def _row_cost(
    dot: DotProduct, row_pixels: int, blocks: int, steps: int, shape: tuple[int, int]
) -> int:
    """Instruction slots of a row in register tiles of (pixels, blocks)."""
    pixels, wide = shape
    full, rest = divmod(blocks, wide)
    cost = full * _tile_cost(dot, pixels, wide, steps)
    cost += _tile_cost(dot, pixels, rest, steps) if rest else 0
    return -(-row_pixels // pixels) * cost


def _grid(spec: ConvSpec) -> tuple[int, int]:
    """(rows, pixels per row); narrow pointwise maps become one row."""
    if spec.pointwise and spec.out_w < _NARROW:
        return 1, spec.out_h * spec.out_w
    return spec.out_h, spec.out_w


def vector_lanes(spec: ConvSpec, dot: DotProduct) -> int:
    """Output channels per vector: no more than there are."""
    lanes = dot.lanes
    while lanes > padded(spec.out_c):
        lanes //= 2
    return lanes


def register_tiles(spec: ConvSpec, dot: DotProduct) -> list[tuple[int, int]]:
    """(pixels, blocks) of the register tiles of a convolution that is not depthwise.

    The first one is taken where no schedule tells another.
    """
    taps, words = _taps_and_words(spec, dot)
    blocks = len(block_starts(padded(spec.out_c), vector_lanes(spec, dot)))
    steps = taps[0] * taps[1] * words
    return _tiles_by_cost(dot, _grid(spec)[1], blocks, steps, across_samples(spec))


def across_samples(spec: ConvSpec) -> bool:
    """Whether a register tile may hold pixels of several samples."""
    rows, row_pixels = _grid(spec)
    return spec.pointwise and spec.batch != 1 and rows * row_pixels < _NARROW


def dense_tiling(spec: ConvSpec, dot: DotProduct, schedule: Schedule | None = None) -> Tiling:
    """Cut a convolution that is not depthwise into register tiles."""
    channels, lanes = padded(spec.out_c), vector_lanes(spec, dot)
    starts = block_starts(channels, lanes)
    taps, words = _taps_and_words(spec, dot)
    rows, row_pixels = _grid(spec)
    across = across_samples(spec)
    if schedule is None:
        pixels, blocks = register_tiles(spec, dot)[0]
    else:
        pixels, blocks = schedule.pixels, schedule.blocks
    tiles: list[ChannelTile] = []
    offset = 0
    for at in range(0, len(starts), blocks):
        own = tuple(starts[at : at + blocks])
        first_word, wanted = _word_range(spec, dot, own[0], own[-1] + lanes - 1, words)
        _append(tiles, ChannelTile(own, first_word, wanted, offset), lanes)
        offset += taps[0] * taps[1] * wanted * len(own) * dot.word_size(lanes)
    folded = folded_words(spec, dot)
    return Tiling(dot, lanes, pixels, tuple(tiles), rows, row_pixels, taps, folded, across)


def _append(tiles: list[ChannelTile], tile: ChannelTile, lanes: int) -> None:
    """Append `tile`, or count it as a repetition of the last one."""
    if tiles:
        last = tiles[-1]
        shift = last.repeats * len(last.starts) * lanes
        same_words = (last.first_word, last.words) == (tile.first_word, tile.words)
        if same_words and tile.starts == tuple(start + shift for start in last.starts):
            tiles[-1] = replace(last, repeats=last.repeats + 1)
            return
    tiles.append(tile)


def pack_dense(
    weight: Weight, spec: ConvSpec, dot: DotProduct, schedule: Schedule | None = None
) -> Weight:
    """Packed weights of a dense or grouped convolution, one-dimensional.

    Args:
        weight: (O, C/g, kh, kw).
        schedule: that of the kernel.
    """
    tiling = dense_tiling(spec, dot, schedule)
    full = _dense_weight(weight, spec, dot)
    lanes_total = padded(spec.out_c)
    channels = np.zeros((lanes_total, *full.shape[1:]), weight.dtype)
    channels[: spec.out_c] = full
    parts = []
    for tile in tiling.tiles:
        words = slice(tile.first_word, tile.first_word + tile.words)
        for repeat in range(tile.repeats):
            shift = repeat * len(tile.starts) * tiling.lanes
            firsts = [start + shift for start in tile.starts]
            blocks = np.stack([channels[s : s + tiling.lanes, :, :, words] for s in firsts])
            # (blocks, lanes, kh, taps, words, c) -> (kh * taps * words, c, blocks, lanes)
            order = blocks.transpose(2, 3, 4, 5, 0, 1)
            parts.append(tiling.dot.pack(order.reshape(-1, *order.shape[3:])))
    return np.concatenate(parts)
