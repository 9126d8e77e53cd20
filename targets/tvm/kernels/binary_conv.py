"""Convolution and matrix product of signs: XOR, population count, a threshold per channel.

A register tile holds counts of a few output pixels times a few vectors of output channels. A
word of a pixel, 32 channels, is compared with the weights of all lanes at once: with AVX-512
VPOPCNTDQ 512 weights per instruction. Without an instruction that counts the bits of 32-bit
lanes, those of bytes are counted (LLVM has a table look-up or an instruction for them on every
CPU) and added to the lanes before they can overflow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm.tirx.script import builder as T

from actc.targets.tvm.kernels import tir
from actc.targets.tvm.kernels.binary_bits import BYTE_STEPS, Counts, joined_bits
from actc.targets.tvm.kernels.binary_spec import (
    WORD,
    BinaryConv,
    BinaryTile,
    BinaryTiling,
    tiling_of,
    words,
)
from actc.targets.tvm.kernels.conv_vector import (
    Buffer,
    Expr,
    accumulators,
    alias,
    constant,
    copy_words,
    fill_words,
    load,
    splat,
    store,
)

_UNROLLED = 8
"""Words of a pixel that are written out; of more, so many per iteration as divide them."""


@dataclass(frozen=True, slots=True)
class _Map:
    """The input of one sample: words, from one row or pixel to the next."""

    buffer: Buffer
    row: int
    pixel: int


@dataclass(frozen=True, slots=True)
class _At:
    """Where a register tile starts: word of its first pixel, its place, its output element."""

    word: Expr
    place: Expr
    out: Expr


@dataclass(frozen=True, slots=True)
class _Kernel:
    """Emits the code of one binary convolution."""

    spec: BinaryConv
    tiling: BinaryTiling
    weight: Buffer
    base: Buffer
    place: Buffer | None
    out: Buffer

    def tile(self, tile: BinaryTile, repeat: Expr, source: _Map, at: _At, pixels: int) -> None:
        """`pixels` output pixels for one repetition of `tile`."""
        lanes, spec = self.tiling.counter.lanes, self.spec
        weight = T.Bind(tile.offset + repeat * self.tiling.size(tile.blocks))
        counts = Counts(self.tiling, pixels * tile.blocks)
        self._reduce(tile, counts, source, weight, at.word, pixels)
        first = T.Bind(tile.first + repeat * (tile.blocks * lanes))
        for pixel in range(pixels):
            row: Expr = first
            if self.place is not None:
                row = T.Bind(first + self.place[at.place + pixel])
            found = [
                T.reinterpret(
                    tir.vector("int32", lanes),
                    load(counts.totals[pixel * tile.blocks + block], 0, lanes),
                )
                for block in range(tile.blocks)
            ]
            rows = [load(self.base, row + block * lanes, lanes) for block in range(tile.blocks)]
            start = at.out + pixel * spec.out_lanes
            if spec.result == "bits":
                self._bits(start + T.floordiv(first, WORD), found, rows)
            else:
                self._sums(start + first, tile.stored, found, rows)

    def _bits(self, start: Expr, found: list[Expr], rows: list[Expr]) -> None:
        lanes = self.tiling.counter.lanes
        per_word = WORD // lanes
        for word in range(len(found) // per_word):
            tests = [
                (found[word * per_word + i] <= rows[word * per_word + i], i * lanes, lanes)
                for i in range(per_word)
            ]
            store(self.out, start + word, joined_bits(tests))

    def _sums(self, start: Expr, stored: int, found: list[Expr], rows: list[Expr]) -> None:
        lanes = self.tiling.counter.lanes
        for block, (count, row) in enumerate(zip(found, rows, strict=True)):
            total = row - count * constant(self.spec.step, "int32", lanes)
            room = min(lanes, stored - block * lanes)
            if room == lanes:
                store(self.out, start + block * lanes, total, lanes)
                continue
            kept = accumulators(1, lanes, "int32")[0]
            store(kept, 0, total, lanes)
            done = 0
            for width in (8, 4):
                if room - done >= width:
                    store(self.out, start + block * lanes + done, load(kept, done, width), width)
                    done += width

    def _reduce(
        self,
        tile: BinaryTile,
        counts: Counts,
        source: _Map,
        weight: Expr,
        word: Expr,
        pixels: int,
    ) -> None:
        """Loop over kernel rows, taps and words."""
        spec, depth = self.spec, words(self.spec.in_c)
        height, width = spec.kernel
        by_bytes = not self.tiling.counter.whole
        flush_row = by_bytes and height * width * depth > BYTE_STEPS
        flush_tap = by_bytes and width * depth > BYTE_STEPS
        size = self.tiling.size(tile.blocks) // self.tiling.steps

        def step(at: Expr, packed: Expr) -> None:
            self._step(tile, counts, source, packed, at, pixels)

        def tap(at: Expr, packed: Expr) -> None:
            _sweep(depth, size, at, packed, step, counts if flush_tap else None)

        with T.serial(0, height) as ky:
            row = word + ky * (spec.dilations[0] * source.row)
            packed_row = weight + ky * (width * depth * size)
            with T.serial(0, width) as kx:
                tap(
                    T.Bind(row + kx * (spec.dilations[1] * source.pixel)),
                    T.Bind(packed_row + kx * (depth * size)),
                )
            if flush_row and not flush_tap:
                counts.flush()
        if not flush_row:
            counts.flush()

    def _step(
        self, tile: BinaryTile, counts: Counts, source: _Map, packed: Expr, word: Expr, pixels: int
    ) -> None:
        """Count one word of every pixel against all blocks."""
        lanes, blocks = self.tiling.counter.lanes, tile.blocks
        signs = [T.Bind(load(self.weight, packed + b * lanes, lanes)) for b in range(blocks)]
        masks = []
        if self.tiling.planes == 2:
            start = packed + blocks * lanes
            masks = [T.Bind(load(self.weight, start + b * lanes, lanes)) for b in range(blocks)]
        stride = self.spec.strides[1] * source.pixel
        for pixel in range(pixels):
            value = T.Bind(splat(source.buffer[word + pixel * stride], lanes))
            for block, sign in enumerate(signs):
                differing = value ^ sign
                if masks:
                    differing = differing & masks[block]
                counts.add(pixel * blocks + block, differing)


def _sweep(
    depth: int,
    size: int,
    word: Expr,
    packed: Expr,
    step: Callable[[Expr, Expr], None],
    flushed: Counts | None,
) -> None:
    """The words of a pixel; `flushed` is brought into its totals in time."""
    if depth <= _UNROLLED:
        for i in range(depth):
            step(word + i, packed + i * size)
        if flushed is not None:
            flushed.flush()
        return
    done = 0
    chunk = depth if flushed is None else BYTE_STEPS // 4 * 4
    while done < depth:
        some = min(chunk, depth - done)
        factor = next(f for f in (4, 2, 1) if some % f == 0)
        repeats = (depth - done) // some if flushed is not None and some == chunk else 1
        with T.serial(0, repeats) as outer:
            with T.serial(0, some // factor) as inner:
                at = T.Bind(done + outer * some + inner * factor)
                for i in range(factor):
                    step(word + at + i, packed + (at + i) * size)
            if flushed is not None:
                flushed.flush()
        done += some * repeats


def _padded(spec: BinaryConv, x: Buffer, target: Buffer) -> _Map:
    """Copy the map into `target` with zeros around it."""
    depth = words(spec.in_c)
    top, left, bottom, right = spec.pads
    row = (spec.in_w + left + right) * depth

    def zero(lanes: int) -> Expr:
        return constant(0, "uint32", lanes)

    fill_words(target, 0, zero, top * row)
    with T.serial(0, spec.in_h) as y:
        start = (y + top) * row
        fill_words(target, start, zero, left * depth)
        copy_words(target, start + left * depth, x, y * spec.in_w * depth, spec.in_w * depth)
        fill_words(target, start + (left + spec.in_w) * depth, zero, right * depth)
    fill_words(target, (top + spec.in_h) * row, zero, bottom * row)
    return _Map(target, row, depth)


def binary_conv_prim_func(name: str, spec: BinaryConv, features: frozenset[str]) -> Expr:
    """The PrimFunc of a binary convolution; see `BinaryConv`."""
    tiling = tiling_of(spec, features)

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        depth = words(spec.in_c)
        x = T.arg("x", T.buffer((batch, spec.in_h, spec.in_w, depth), "uint32"))
        size = tiling.channels * tiling.steps * tiling.planes
        weight = T.arg("weight", T.buffer((size,), "uint32"))
        base = T.arg("base", T.buffer((spec.classes * tiling.channels,), "int32"))
        place = None
        if spec.classes > 1:
            place = T.arg("place", T.buffer((spec.out_h * spec.out_w,), "int32"))
        kind = "uint32" if spec.result == "bits" else "int32"
        out = T.arg("out", T.buffer((batch, spec.out_h, spec.out_w, spec.out_lanes), kind))
        count = spec.out_h * spec.out_w * spec.out_lanes
        flat = alias(out, kind, batch * count)
        kernel = _Kernel(spec, tiling, weight, base, place, flat)
        if spec.pointwise:
            map_words = spec.in_h * spec.in_w * depth
            _pointwise(kernel, alias(x, "uint32", batch * map_words), batch)
        else:
            _maps(kernel, x, batch)

    return tir.prim_func(name, body)


def _pointwise(kernel: _Kernel, x: Buffer, batch: Expr) -> None:
    """All pixels of all samples as one row."""
    spec, pixels = kernel.spec, kernel.tiling.pixels
    depth = words(spec.in_c)
    source, total = _Map(x, 0, depth), batch * (spec.in_h * spec.in_w)

    def at(pixel: Expr) -> _At:
        return _At(pixel * depth, 0, pixel * spec.out_lanes)

    for tile in kernel.tiling.tiles:
        with T.serial(0, tile.repeats) as repeat:
            if isinstance(total, int) and total == pixels:
                kernel.tile(tile, repeat, source, at(0), pixels)
                continue
            whole = T.Bind(T.floordiv(total, pixels))
            with T.serial(0, whole) as step:
                kernel.tile(tile, repeat, source, at(T.Bind(step * pixels)), pixels)
            with T.serial(0, total - whole * pixels) as rest:
                kernel.tile(tile, repeat, source, at(T.Bind(whole * pixels + rest)), 1)


def _maps(kernel: _Kernel, x: Buffer, batch: Expr) -> None:
    """Sample by sample and row by row; the last tile of a row is moved back to end with it."""
    spec, pixels = kernel.spec, kernel.tiling.pixels
    depth = words(spec.in_c)
    size = spec.in_h * spec.in_w * depth
    copied = None
    if any(spec.pads):
        height = spec.in_h + spec.pads[0] + spec.pads[2]
        width = spec.in_w + spec.pads[1] + spec.pads[3]
        copied = T.alloc_buffer((height * width * depth,), "uint32")
    with T.serial(0, batch) as n:
        one = alias(x, "uint32", size, n * size)
        source = _Map(one, spec.in_w * depth, depth)
        if copied is not None:
            source = _padded(spec, one, copied)
        with T.serial(0, spec.out_h) as y:
            for tile in kernel.tiling.tiles:
                steps = -(-spec.out_w // pixels)
                with T.serial(0, tile.repeats) as repeat, T.serial(0, steps) as step:
                    left = T.Bind(T.min(step * pixels, spec.out_w - pixels))
                    place = T.Bind(y * spec.out_w + left)
                    down = y * (spec.strides[0] * source.row)
                    word = T.Bind(down + left * (spec.strides[1] * source.pixel))
                    first = (n * (spec.out_h * spec.out_w) + place) * spec.out_lanes
                    kernel.tile(tile, repeat, source, _At(word, place, first), pixels)
