"""Dense and grouped convolution (also every matrix product)."""

from __future__ import annotations

from dataclasses import dataclass

from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.kernels.conv_epilogue import Multiplier
from actc.targets.tvm.kernels.conv_frame import Activation, KernelFrame
from actc.targets.tvm.kernels.conv_input import Scratch, WordMap, allocate_scratch, prepare_input
from actc.targets.tvm.kernels.conv_isa import DotProduct
from actc.targets.tvm.kernels.conv_tiling import ChannelTile, Tiling, dense_tiling
from actc.targets.tvm.kernels.conv_vector import Buffer, Expr, accumulators, load, store
from actc.targets.tvm.kernels.spec import ConvSpec, padded

_UNROLLED_STEPS = 4
"""Reductions of at most this many words are written out."""


@dataclass(frozen=True, slots=True)
class _Channels:
    """One repetition of a channel tile.

    Attributes:
        starts: first output channel of each block.
        weight: first element of the packed weights.
        multipliers: one per block; empty when accumulators are stored.
    """

    starts: list[Expr]
    weight: Expr
    multipliers: list[Multiplier]


@dataclass(frozen=True, slots=True)
class _Pass:
    """Emits the code of one channel tile over one map."""

    frame: KernelFrame
    tiling: Tiling
    tile: ChannelTile
    source: WordMap
    out: Buffer

    def row(self, y: Expr) -> None:
        """All pixels of output row `y`, for every repetition of the tile."""
        with T.serial(0, self.tile.repeats) as repeat:
            channels = self._channels(repeat)
            pixels, width = self.tiling.pixels, self.tiling.row_pixels
            with T.serial(0, -(-width // pixels)) as step:
                x = T.Bind(T.min(step * pixels, width - pixels))
                self._register_tile(channels, y, x, pixels)

    def all_samples(self, pixels_in_all: Expr) -> None:
        """Every pixel of every sample, as many as only the caller's batch tells."""
        pixels = self.tiling.pixels
        with T.serial(0, self.tile.repeats) as repeat:
            channels = self._channels(repeat)
            whole = T.Bind(T.floordiv(pixels_in_all, pixels))
            with T.serial(0, whole) as step:
                self._register_tile(channels, 0, step * pixels, pixels)
            with T.serial(0, pixels_in_all - whole * pixels) as rest:
                self._register_tile(channels, 0, whole * pixels + rest, 1)

    def _channels(self, repeat: Expr) -> _Channels:
        lanes = self.tiling.lanes
        shift = T.Bind(repeat * (len(self.tile.starts) * lanes))
        starts = [start + shift for start in self.tile.starts]
        weight = T.Bind(self.tile.offset + repeat * self.tiling.tile_size(self.tile))
        return _Channels(starts, weight, self.frame.multipliers(starts, lanes))

    def _register_tile(self, channels: _Channels, y: Expr, x: Expr, pixels: int) -> None:
        """`pixels` output pixels from (y, x) on."""
        spec, lanes, blocks = self.frame.spec, self.tiling.lanes, len(channels.starts)
        stride = spec.strides[1] * self.source.pixel
        base = T.Bind(
            y * (spec.strides[0] * self.source.row)
            + x * stride
            + self.tile.first_word * self.source.word
        )
        acc = accumulators(pixels * blocks, lanes, self.tiling.dot.total_type)
        for at, vector in enumerate(acc):
            start = channels.starts[at % blocks]
            store(vector, 0, load(self.frame.bias, start, lanes), lanes)
        self._reduce(channels, acc, base, 0, 0)
        width = padded(spec.out_c)
        first = (y * self.tiling.row_pixels + x) * width
        for at, vector in enumerate(acc):
            pixel, block = divmod(at, blocks)
            place = first + (pixel * width + channels.starts[block])
            multiplier = channels.multipliers[block] if channels.multipliers else None
            total = load(vector, 0, lanes)
            self.frame.store(self.out, place, total, multiplier, lanes)

    def _reduce(
        self, channels: _Channels, acc: list[Buffer], word: Expr, step: Expr, axis: int
    ) -> None:
        """Loop over kernel rows, taps and words from `axis` on."""
        spec, source = self.frame.spec, self.source
        extents = (*self.tiling.taps, self.tile.words)
        strides = (spec.dilations[0] * source.row, source.dilation * source.pixel, source.word)
        if axis == len(extents):
            self._multiply(channels, acc, word, step)
            return
        extent, stride = extents[axis], strides[axis]
        if extents[0] * extents[1] * extents[2] <= _UNROLLED_STEPS or extent == 1:
            for i in range(extent):
                self._reduce(channels, acc, word + i * stride, step * extent + i, axis + 1)
        else:
            with T.serial(0, extent) as i:
                self._reduce(channels, acc, word + i * stride, step * extent + i, axis + 1)

    def _multiply(self, channels: _Channels, acc: list[Buffer], word: Expr, step: Expr) -> None:
        """Add the products of one word of every pixel."""
        dot, lanes, blocks = self.tiling.dot, self.tiling.lanes, len(channels.starts)
        first = channels.weight + step * (blocks * dot.word_size(lanes))
        weights = dot.weights(self.frame.weight, first, blocks, lanes)
        stride = self.frame.spec.strides[1] * self.source.pixel
        for pixel in range(len(acc) // blocks):
            values = dot.activation(T.Bind(self.source.buffer[word + pixel * stride]), lanes)
            for block, factors in enumerate(weights):
                vector = acc[pixel * blocks + block]
                total = dot.accumulate(load(vector, 0, lanes), values, factors)
                store(vector, 0, total, lanes)


def dense_prim_func(
    spec: ConvSpec,
    dot: DotProduct,
    features: frozenset[str],
    name: str,
    activation: Activation | None = None,
) -> Expr:
    """The PrimFunc of a convolution that is not depthwise; see `ConvSpec`."""
    tiling = dense_tiling(spec, dot)
    frame = KernelFrame(spec, dot, tiling.packed_size(), features, activation)

    def sample(words: Buffer, out: Buffer, scratch: Scratch) -> None:
        source = prepare_input(words, spec, dot, scratch, tiling.folded)
        with T.serial(0, tiling.rows) as y:
            for tile in tiling.tiles:
                _Pass(frame, tiling, tile, source, out).row(y)
            frame.finish_row(out, y, tiling.row_pixels)

    def all_samples(words: Buffer, out: Buffer, batch: Expr) -> None:
        source = prepare_input(words, spec, dot, (None, None), 0)
        for tile in tiling.tiles:
            _Pass(frame, tiling, tile, source, out).all_samples(batch * tiling.row_pixels)
        with T.serial(0, batch) as n:
            frame.finish_row(out, n, tiling.row_pixels)

    if tiling.across_samples:
        return frame.prim_func_across(name, all_samples)
    return frame.prim_func(name, lambda: allocate_scratch(spec, dot, tiling.folded), sample)
