"""Dense and grouped convolution over uint8 (also every matrix product)."""

from __future__ import annotations

from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.kernels.conv_epilogue import Multiplier, load_multiplier, store_tile_vector
from actc.targets.tvm.kernels.conv_frame import KernelFrame
from actc.targets.tvm.kernels.conv_input import WordMap, allocate_scratch, prepare_input
from actc.targets.tvm.kernels.conv_tiling import ChannelTile, Tiling, dense_tiling, packed_size
from actc.targets.tvm.kernels.conv_vector import Buffer, Expr, load, store
from actc.targets.tvm.kernels.spec import ConvSpec, padded

_UNROLLED_STEPS = 12
"""Reductions of at most this many words are written out."""


class _Step:
    """One word of the reduction: blocks x pixels dot products."""

    def __init__(
        self,
        tiling: Tiling,
        tile: ChannelTile,
        source: WordMap,
        weight: Buffer,
        acc: Buffer,
        base: Expr,
        pixel_stride: int,
    ) -> None:
        self.tiling = tiling
        self.tile = tile
        self.source = source
        self.weight = weight
        self.acc = acc
        self.base = base
        self.pixel_stride = pixel_stride

    def emit(self, offset: Expr, step: Expr) -> None:
        """Add the products of the word at `offset` from the tile's base."""
        dot, lanes = self.tiling.dot, self.tiling.lanes
        blocks = len(self.tile.starts)
        size = blocks * dot.word_bytes(lanes)
        weights = dot.weights(self.weight, self.tile.offset + step * size, blocks, lanes)
        for pixel in range(self.tiling.pixels):
            word = self.source.buffer[self.base + (offset + pixel * self.pixel_stride)]
            values = dot.activation(T.Bind(word), lanes)
            for block, factors in enumerate(weights):
                at = (pixel * blocks + block) * lanes
                total = dot.accumulate(load(self.acc, at, lanes), values, factors)
                store(self.acc, at, total, lanes)


class _Reduction:
    """The loops over kernel rows, taps and words of one channel tile."""

    def __init__(self, tiling: Tiling, tile: ChannelTile, source: WordMap, spec: ConvSpec) -> None:
        self.extents = (*tiling.taps, tile.words)
        self.strides = (
            spec.dilations[0] * source.row,
            source.dilation * source.pixel,
            source.word,
        )
        self.steps = tiling.taps[0] * tiling.taps[1] * tile.words

    def run(self, body: _Step) -> None:
        """Call `body.emit(input offset, step)` for every word."""
        self._nest(body, 0, 0, 0)

    def _nest(self, body: _Step, axis: int, offset: Expr, step: Expr) -> None:
        if axis == len(self.extents):
            body.emit(offset, step)
            return
        extent, stride = self.extents[axis], self.strides[axis]
        if extent == 1 or self.steps <= _UNROLLED_STEPS:
            for i in range(extent):
                self._nest(body, axis + 1, offset + i * stride, step * extent + i)
        else:
            with T.serial(0, extent) as i:
                self._nest(body, axis + 1, offset + i * stride, step * extent + i)


def _channel_tile(
    frame: KernelFrame, tiling: Tiling, tile: ChannelTile, source: WordMap, out: Buffer, y: Expr
) -> None:
    """All pixels of row `y` for the channels of one tile."""
    spec, lanes, pixels = frame.spec, tiling.lanes, tiling.pixels
    channels = padded(spec.out_c)
    multipliers: list[Multiplier | None] = [
        None if frame.multiplier is None else load_multiplier(frame.multiplier, start, lanes)
        for start in tile.starts
    ]
    stride = spec.strides[1] * source.pixel
    with T.serial(0, -(-tiling.row_pixels // pixels)) as step:
        x = T.Bind(T.min(step * pixels, tiling.row_pixels - pixels))
        base = T.Bind(
            y * (spec.strides[0] * source.row) + x * stride + tile.first_word * source.word
        )
        acc = T.alloc_buffer((pixels * len(tile.starts) * lanes,), "int32", scope="local")
        for at in range(pixels * len(tile.starts)):
            start = tile.starts[at % len(tile.starts)]
            store(acc, at * lanes, load(frame.bias, start, lanes), lanes)
        body = _Step(tiling, tile, source, frame.weight, acc, base, stride)
        _Reduction(tiling, tile, source, spec).run(body)
        first = (y * tiling.row_pixels + x) * channels
        for at in range(pixels * len(tile.starts)):
            pixel, block = divmod(at, len(tile.starts))
            store_tile_vector(
                out,
                first + (pixel * channels + tile.starts[block]),
                load(acc, at * lanes, lanes),
                multipliers[block],
                spec.epilogue,
                lanes,
            )


def dense_prim_func(spec: ConvSpec, features: frozenset[str], name: str) -> Expr:
    """The PrimFunc of a convolution that is not depthwise; see `ConvSpec`."""
    tiling = dense_tiling(spec, features)
    frame = KernelFrame(spec, packed_size(tiling), features)

    def sample(words: Buffer, out: Buffer, scratch: tuple[Buffer | None, Buffer | None]) -> None:
        source = prepare_input(words, spec, scratch, tiling.folded)
        with T.serial(0, tiling.rows) as y:
            for tile in tiling.tiles:
                _channel_tile(frame, tiling, tile, source, out, y)
            frame.finish_row(out, y, tiling.row_pixels)

    return frame.prim_func(name, lambda: allocate_scratch(spec, tiling.folded), sample)
