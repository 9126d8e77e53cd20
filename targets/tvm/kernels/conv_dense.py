"""Dense and grouped convolution (also every matrix product)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.kernels.conv_cut import (
    Cut,
    across_cut,
    dense_cut,
    steps_of,
    work_of,
)
from actc.targets.tvm.kernels.conv_epilogue import Multiplier
from actc.targets.tvm.kernels.conv_frame import Activation, KernelFrame, Output
from actc.targets.tvm.kernels.conv_input import (
    Band,
    WordMap,
    allocate_scratch,
    prepare_input,
    whole_map,
)
from actc.targets.tvm.kernels.conv_isa import DotProduct
from actc.targets.tvm.kernels.conv_tiling import ChannelTile, Tiling, dense_tiling
from actc.targets.tvm.kernels.conv_vector import Buffer, Expr, accumulators, load, store
from actc.targets.tvm.kernels.parallel import spread
from actc.targets.tvm.kernels.schedule import Schedule
from actc.targets.tvm.kernels.spec import ConvSpec, padded

_PREFETCHED = 1 << 13
"""Packed weights of a tile beyond which they are fetched ahead: hardware stops at every page."""

_AHEAD = 32
"""Steps of the reduction by which weights are fetched ahead."""

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
class _Range:
    """`count` indices from `first` on."""

    first: Expr
    count: Expr


def _part(extent: int, size: int, index: Expr) -> _Range:
    """Part `index` of `extent` indices in parts of `size`."""
    first = T.Bind(index * size) if size < extent else 0
    return _Range(first, size if extent % size == 0 else T.min(size, extent - first))


@dataclass(frozen=True, slots=True)
class _Pass:
    """Emits the code of one channel tile over one map."""

    frame: KernelFrame
    tiling: Tiling
    tile: ChannelTile
    source: WordMap
    out: Output

    def rows(self, rows: _Range, steps: _Range, repeats: _Range) -> None:
        """Some pixel tiles of some output rows, for some repetitions of the tile."""
        with T.serial(0, repeats.count) as repeat:
            channels = self._channels(repeats.first + repeat)
            pixels, width = self.tiling.pixels, self.tiling.row_pixels
            with T.serial(0, rows.count) as row, T.serial(0, steps.count) as step:
                x = T.Bind(T.min((steps.first + step) * pixels, width - pixels))
                self._register_tile(channels, rows.first + row, x, pixels)

    def pixels(self, places: _Range, repeats: _Range) -> None:
        """Pixels of all samples, as many as only the caller's batch tells."""
        pixels = self.tiling.pixels
        with T.serial(0, repeats.count) as repeat:
            channels = self._channels(repeats.first + repeat)
            whole = T.Bind(T.floordiv(places.count, pixels))
            with T.serial(0, whole) as step:
                self._register_tile(channels, 0, places.first + step * pixels, pixels)
            with T.serial(0, places.count - whole * pixels) as rest:
                self._register_tile(channels, 0, places.first + (whole * pixels + rest), 1)

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
            (y * spec.strides[0] - self.source.first) * self.source.row
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
        places = [first + start for start in channels.starts]
        columns = [acc[block::blocks] for block in range(blocks)]
        self.frame.store_pixels(self.out, places, width, columns, channels.multipliers, lanes)

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
        if self.tiling.tile_size(self.tile) > _PREFETCHED:
            self._fetch(first + _AHEAD * blocks * dot.word_size(lanes), blocks)
        stride = self.frame.spec.strides[1] * self.source.pixel
        for pixel in range(len(acc) // blocks):
            values = dot.activation(T.Bind(self.source.buffer[word + pixel * stride]), lanes)
            for block, factors in enumerate(weights):
                vector = acc[pixel * blocks + block]
                total = dot.accumulate(load(vector, 0, lanes), values, factors)
                store(vector, 0, total, lanes)

    def _fetch(self, first: Expr, blocks: int) -> None:
        """Ask for weights before they are needed; beyond the last ones that does nothing."""
        for block in range(blocks):
            at = first + block * self.tiling.dot.word_size(self.tiling.lanes)
            place = tirx.address_of(self.frame.weight[at])
            reads, level, data = (tirx.const(number, "int32") for number in (0, 2, 1))
            T.evaluate(tirx.call_intrin("void", "tirx.prefetch", place, reads, level, data))


@dataclass(frozen=True, slots=True)
class _Kernel:
    """Emits the pieces of a convolution."""

    frame: KernelFrame
    tiling: Tiling
    cut: Cut
    schedule: Schedule | None

    def maps(self) -> None:
        """Sample by sample, each in bands of rows, stretches of rows and ranges of channels."""
        frame, cut = self.frame, self.cut
        if cut.shared:
            scratch = self._allocate(whole_map(frame.spec).rows)
            with T.serial(0, frame.batch) as n:
                words, out = frame.sample(n)
                source = prepare_input(
                    words, frame.spec, self.tiling.dot, scratch, self.tiling.folded
                )
                spread(1, cut.tasks, cut.work, lambda _, task: self._piece(source, out, task))
        else:
            spread(frame.batch, cut.tasks, cut.work, self._own_piece)
        if frame.finishes and not cut.whole_rows:
            work = self.tiling.rows * self.tiling.row_pixels * frame.spec.out_c // 16
            spread(frame.batch, self.tiling.rows, work, self._finish)

    def _allocate(self, rows: int) -> tuple[Buffer | None, Buffer | None]:
        return allocate_scratch(self.frame.spec, self.tiling.dot, self.tiling.folded, rows)

    def _own_piece(self, n: Expr, task: Expr) -> None:
        """A piece with its own copy of the input."""
        spec, tiling = self.frame.spec, self.tiling
        words, out = self.frame.sample(n)
        extent = spec.dilations[0] * (spec.kernel[0] - 1) + 1
        height = (self.cut.band_rows - 1) * spec.strides[0] + extent
        band = whole_map(spec)
        if self.cut.bands > 1 and height < band.rows:
            first = self._place(task)[0] * (self.cut.band_rows * spec.strides[0])
            band = Band(T.Bind(first), height)
        scratch = self._allocate(band.rows)
        source = prepare_input(words, spec, tiling.dot, scratch, tiling.folded, band)
        self._piece(source, out, task)

    def _place(self, task: Expr) -> tuple[Expr, Expr, Expr]:
        """(band, segment, group) of a piece; bands follow each other, with the same weights."""
        cut = self.cut
        group, rest = 0, task
        if cut.groups > 1:
            group = T.Bind(T.floordiv(task, cut.bands * cut.segments))
            rest = task - group * (cut.bands * cut.segments)
        if cut.segments == 1:
            return rest if cut.bands > 1 else 0, 0, group
        if cut.bands == 1:
            return 0, rest, group
        return T.floordiv(rest, cut.segments), T.floormod(rest, cut.segments), group

    def _piece(self, source: WordMap, out: Output, task: Expr) -> None:
        cut, tiling = self.cut, self.tiling
        band, segment, group = self._place(task)
        rows = _part(tiling.rows, cut.band_rows, band)
        steps = _part(steps_of(tiling), cut.segment_steps, segment)

        def emit(tile: ChannelTile, repeats: _Range) -> None:
            _Pass(self.frame, tiling, tile, source, out).rows(rows, steps, repeats)

        self._tiles(group, cut.groups, emit)
        if self.frame.finishes and cut.whole_rows:
            with T.serial(0, rows.count) as row:
                self.frame.finish_row(out, rows.first + row, tiling.row_pixels)

    def _tiles(self, group: Expr, groups: int, emit: Callable[[ChannelTile, _Range], None]) -> None:
        """The channel tiles of a group; those without repetitions fall to the last groups."""
        for index, tile in enumerate(self.tiling.tiles):
            if groups == 1:
                emit(tile, _Range(0, tile.repeats))
            elif tile.repeats < groups:
                with T.If(T.EQ(group, (groups - 1 - index) % groups)), T.Then():
                    emit(tile, _Range(0, tile.repeats))
            else:
                size = -(-tile.repeats // groups)
                emit(tile, _part(tile.repeats, size, group))

    def _finish(self, n: Expr, row: Expr) -> None:
        self.frame.finish_row(self.frame.sample(n)[1], row, self.tiling.row_pixels)

    def pixels(self) -> None:
        """All pixels of all samples as one row."""
        frame, tiling = self.frame, self.tiling
        words, out = frame.samples()
        source = prepare_input(words, frame.spec, tiling.dot, (None, None), 0)
        size, groups = across_cut(tiling, self.schedule)
        count = frame.batch * tiling.row_pixels

        def piece(chunk: Expr, group: Expr) -> None:
            first = T.Bind(chunk * size)
            places = _Range(first, T.Bind(T.min(size, count - first)))

            def emit(tile: ChannelTile, repeats: _Range) -> None:
                _Pass(frame, tiling, tile, source, out).pixels(places, repeats)

            self._tiles(group, groups, emit)

        work = work_of(tiling.dot, tiling)
        spread(frame.batch, groups, work, piece, pieces=(count + (size - 1)) // size)
        if frame.finishes:
            finished = tiling.row_pixels * frame.spec.out_c // 16
            whole = tiling.row_pixels
            spread(frame.batch, 1, finished, lambda n, _: frame.finish_row(out, n, whole))


def dense_prim_func(
    spec: ConvSpec,
    dot: DotProduct,
    features: frozenset[str],
    name: str,
    activation: Activation | None = None,
    schedule: Schedule | None = None,
    residuals: int = 0,
) -> Expr:
    """The PrimFunc of a convolution that is not depthwise; see `ConvSpec`."""
    tiling = dense_tiling(spec, dot, schedule)
    frame = KernelFrame(spec, dot, tiling.packed_size(), features, activation, residuals)
    kernel = _Kernel(frame, tiling, dense_cut(spec, tiling, schedule), schedule)
    return frame.prim_func(name, kernel.pixels if tiling.across_samples else kernel.maps)
