"""Dense convolution and matrix product with AMX: tiles of 16 x 64 bytes times 64 x 16.

Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18. A tile of
activations holds up to 16 pixels of up to 16 words (four channels each), a tile of
weights the same words of 16 output channels, and tdpbusd adds their product, exact in 32
bits, to a tile of accumulators. Two tiles of each make four products for four loads.

Linux grants the tiles to a process that asks for them. The kernel asks whenever it is
called, which is quick once it is granted; refused, it multiplies with VNNI, on the same
packed weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.kernels.conv_epilogue import Multiplier
from actc.targets.tvm.kernels.conv_frame import KernelFrame, Output
from actc.targets.tvm.kernels.conv_input import (
    WordMap,
    allocate_scratch,
    prepare_input,
    whole_map,
)
from actc.targets.tvm.kernels.conv_isa import Vnni, Weight
from actc.targets.tvm.kernels.conv_tiling import folded_words
from actc.targets.tvm.kernels.conv_vector import Buffer, Expr, accumulators, load, store
from actc.targets.tvm.kernels.parallel import spread
from actc.targets.tvm.kernels.spec import ConvSpec, padded

_FEATURES = frozenset({"amx-int8", "amx-tile", "avx512vnni", "avx512vl"})
_SIDE = 16
"""Rows of a tile, and 32-bit words of a row."""

_LEAST_STEP, _LEAST_WORDS, _LEAST_PIXELS = 8, 64, 8
"""Where less is multiplied, storing the results takes most of the time, which VNNI does as fast."""

_CONFIGURATION = 64
"""Bytes of the tiles' shapes, in front of the weights."""

_SYSTEM_CALL, _REQUEST, _TILE_DATA = 158, 0x1023, 18
"""Linux on x86-64: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)."""

_ACCUMULATORS, _ACTIVATIONS, _WEIGHTS = 0, 4, 6
"""First tile register of each kind."""


@dataclass(frozen=True, slots=True)
class AmxPlan:
    """How a convolution is cut into tiles.

    Attributes:
        rows, row_pixels: output pixels as a grid; a pointwise kernel sees one long row.
        pixels: of a tile of activations; the last tile of a row is moved back to fit.
        runs: (height, width) of the loops over stretches of words that lie together.
        steps: tiles of words in a stretch.
        words: of a tile.
    """

    rows: int
    row_pixels: int
    pixels: int
    runs: tuple[int, int]
    steps: int
    words: int

    @property
    def row_tiles(self) -> int:
        """Tiles of activations in a row."""
        return -(-self.row_pixels // self.pixels)

    @property
    def products(self) -> int:
        """Tiles of words in all."""
        return self.runs[0] * self.runs[1] * self.steps


def amx_plan(spec: ConvSpec, features: frozenset[str]) -> AmxPlan | None:
    """The tiles of a convolution; None where AMX is not there or gains nothing."""
    dot = Vnni(_SIDE, 32)
    fits = spec.group == 1 and padded(spec.out_c) >= _SIDE and not folded_words(spec, dot)
    if not (fits and features >= _FEATURES):
        return None
    words, (height, width) = dot.pixel_words(spec.in_c), spec.kernel
    beside = width == 1 or spec.dilations[1] == 1
    runs, stretch = ((height, 1), width * words) if beside else ((height, width), words)
    step = max(d for d in range(1, _SIDE + 1) if stretch % d == 0)
    rows, row_pixels = spec.out_h, spec.out_w
    if spec.pointwise:
        rows, row_pixels = 1, rows * row_pixels
    if (
        step < _LEAST_STEP
        or runs[0] * runs[1] * stretch < _LEAST_WORDS
        or min(row_pixels, _SIDE) * rows < _LEAST_PIXELS
        or row_pixels < _LEAST_PIXELS // 2
    ):
        return None
    pixels = -(-row_pixels // -(-row_pixels // _SIDE))
    return AmxPlan(rows, row_pixels, pixels, runs, stretch // step, step)


def pack_amx(weight: Weight, spec: ConvSpec, plan: AmxPlan) -> Weight:
    """The tiles' shapes, then weights by (block of 16 channels, word, channel, byte).

    Args:
        weight: (O, C, kh, kw).
    """
    channels, in_c = padded(spec.out_c), padded(spec.in_c)
    full = np.zeros((channels, *spec.kernel, in_c), np.int8)
    full[: spec.out_c, :, :, : spec.in_c] = weight.transpose(0, 2, 3, 1)
    blocks = [full[s : s + _SIDE].reshape(_SIDE, -1, 4) for s in _starts(channels)]
    ordered = np.stack(blocks).transpose(0, 2, 1, 3)
    return np.concatenate([_configuration(plan), ordered.reshape(-1)])


def _starts(channels: int) -> list[int]:
    """First channels of the blocks; the last is moved back to fit."""
    return [min(at, channels - _SIDE) for at in range(0, channels, _SIDE)]


def _configuration(plan: AmxPlan) -> Weight:
    """What ldtilecfg reads: palette 1, bytes per row at 16, rows at 48."""
    config = np.zeros(_CONFIGURATION, np.uint8)
    config[0] = 1
    widths, heights = config[16:32].view("<u2"), config[48:56]
    widths[:], heights[:] = 4 * _SIDE, plan.pixels
    widths[_ACTIVATIONS : _ACTIVATIONS + 2] = 4 * plan.words
    heights[_WEIGHTS : _WEIGHTS + 2] = plan.words
    return config.view(np.int8)


def _tile(name: str, *operands: Any) -> None:
    """Emit one of LLVM's tile instructions; a Python number is a tile register."""
    values = [tirx.const(o, "int8") if isinstance(o, int) else o for o in operands]
    T.evaluate(tirx.call_llvm_intrin("void", f"llvm.x86.{name}", *values))


def _bytes(count: int) -> Expr:
    return tirx.const(count, "int64")


class _AmxKernel:
    """Emits the code of one convolution."""

    def __init__(self, spec: ConvSpec, plan: AmxPlan, features: frozenset[str]) -> None:
        self.spec, self.plan, self.dot = spec, plan, Vnni(_SIDE, 32)
        self.channels = padded(spec.out_c)
        self.blocks = -(-self.channels // _SIDE)
        self.wide = min(2, self.blocks)
        self.high = min(2, plan.rows * plan.row_tiles)
        self.block_size = plan.products * plan.words * 4 * _SIDE
        size = _CONFIGURATION + self.blocks * self.block_size
        self.frame = KernelFrame(spec, self.dot, size, features)
        self.granted: Expr = None

    def emit(self) -> None:
        """The kernel's body."""
        request = [tirx.const(n, "int64") for n in (_SYSTEM_CALL, _REQUEST, _TILE_DATA)]
        self.granted = T.Bind(tirx.call_extern("int64", "syscall", *request))
        frame, spec = self.frame, self.spec
        tasks = -(-self.blocks // 2)
        pixels = self.plan.rows * self.plan.row_pixels
        work = pixels * self.blocks * (self.plan.products + 12)
        if any(spec.pads):
            scratch = allocate_scratch(spec, self.dot, 0, whole_map(spec).rows)
            with T.serial(0, frame.batch) as n:
                words, out = frame.sample(n)
                source = prepare_input(words, spec, self.dot, scratch, 0)
                spread(1, tasks, work, lambda _, task: self._task(source, out, task))
        else:
            spread(frame.batch, tasks, work, self._own_task)
        if frame.finishes:
            finishing = pixels * self.channels // 16
            spread(frame.batch, self.plan.rows, finishing, self._finish)

    def _finish(self, n: Expr, row: Expr) -> None:
        self.frame.finish_row(self.frame.sample(n)[1], row, self.plan.row_pixels)

    def _own_task(self, n: Expr, task: Expr) -> None:
        words, out = self.frame.sample(n)
        source = prepare_input(words, self.spec, self.dot, (None, None), 0)
        self._task(source, out, task)

    def _task(self, source: WordMap, out: Output, task: Expr) -> None:
        """All pixels of two blocks of output channels."""
        results = T.alloc_buffer((2 * _SIDE * 2 * _SIDE,), "int32")
        first = T.Bind(T.min(2 * task, self.blocks - self.wide))
        starts = [
            T.Bind(T.min((first + b) * _SIDE, self.channels - _SIDE)) for b in range(self.wide)
        ]
        multipliers = self.frame.multipliers(starts, _SIDE)
        weights = [T.Bind(_CONFIGURATION + (first + b) * self.block_size) for b in range(self.wide)]

        def all_pixels(multiply: Callable[..., None]) -> None:
            tiles = self.plan.rows * self.plan.row_tiles
            with T.serial(0, -(-tiles // self.high)) as pair:
                at = T.Bind(T.min(pair * self.high, tiles - self.high))
                places = [self._place(at + t) for t in range(self.high)]
                bases = [T.Bind(self._base(source, *place)) for place in places]
                multiply(source, bases, weights, results)
                for index, place in enumerate(places):
                    self._store(out, place, index, results, starts, multipliers)

        with T.If(self.granted == tirx.const(0, "int64")):
            with T.Then():
                _tile("ldtilecfg", T.address_of(self.frame.weight[0]))
                all_pixels(self._by_tiles)
                _tile("tilerelease")
            with T.Else():
                all_pixels(self._by_vectors)

    def _place(self, tile: Expr) -> tuple[Expr, Expr]:
        """(row, first pixel) of a tile."""
        plan = self.plan
        if plan.row_tiles == 1:
            return tile, 0
        if plan.rows == 1:
            row, step = 0, tile
        else:
            row = T.Bind(T.floordiv(tile, plan.row_tiles))
            step = tile - row * plan.row_tiles
        return row, T.Bind(T.min(step * plan.pixels, plan.row_pixels - plan.pixels))

    def _base(self, source: WordMap, row: Expr, pixel: Expr) -> Expr:
        """First input word of a tile."""
        down, right = self.spec.strides
        return (row * down - source.first) * source.row + pixel * (right * source.pixel)

    def _over_words(self, source: WordMap, step: Callable[[Expr, Expr], None]) -> None:
        """Emit `step(input word, number)` for every tile of words."""
        (height, width), steps = self.plan.runs, self.plan.steps
        with T.serial(0, height) as y, T.serial(0, width) as x, T.serial(0, steps) as s:
            down = y * (self.spec.dilations[0] * source.row)
            word = down + x * (source.dilation * source.pixel) + s * self.plan.words
            step(word, (y * width + x) * steps + s)

    def _by_tiles(
        self, source: WordMap, bases: list[Expr], weights: list[Expr], results: Buffer
    ) -> None:
        stride = _bytes(4 * self.spec.strides[1] * source.pixel)
        squares = [(t, b) for t in range(self.high) for b in range(self.wide)]
        for t, b in squares:
            _tile("tilezero", _ACCUMULATORS + 2 * t + b)

        def step(word: Expr, number: Expr) -> None:
            for b, start in enumerate(weights):
                address = start + number * (self.plan.words * 4 * _SIDE)
                pointer = T.address_of(self.frame.weight[address])
                _tile("tileloadd64", _WEIGHTS + b, pointer, _bytes(4 * _SIDE))
            for t, base in enumerate(bases):
                pointer = T.address_of(source.buffer[base + word])
                _tile("tileloadd64", _ACTIVATIONS + t, pointer, stride)
            for t, b in squares:
                tile = _ACCUMULATORS + 2 * t + b
                _tile("tdpbusd", tile, _ACTIVATIONS + t, _WEIGHTS + b)

        self._over_words(source, step)
        for t, b in squares:
            pointer = T.address_of(results[(t * _SIDE * 2 + b) * _SIDE])
            _tile("tilestored64", _ACCUMULATORS + 2 * t + b, pointer, _bytes(8 * _SIDE))

    def _by_vectors(
        self, source: WordMap, bases: list[Expr], weights: list[Expr], results: Buffer
    ) -> None:
        stride = self.spec.strides[1] * source.pixel
        size = self.dot.word_size(_SIDE)
        for t, base in enumerate(bases):
            with T.serial(0, self.plan.pixels) as pixel:
                sums = accumulators(self.wide, _SIDE, "int32")
                for vector in sums:
                    store(vector, 0, tirx.Broadcast(tirx.const(0, "int32"), _SIDE), _SIDE)

                def step(
                    word: Expr,
                    number: Expr,
                    at: Expr = base + pixel * stride,
                    sums: list[Buffer] = sums,
                ) -> None:
                    with T.serial(0, self.plan.words) as w:
                        value = T.Bind(source.buffer[at + word + w])
                        values = self.dot.activation(value, _SIDE)
                        for b, vector in enumerate(sums):
                            start = weights[b] + (number * self.plan.words + w) * size
                            factors = self.dot.weights(self.frame.weight, start, 1, _SIDE)[0]
                            total = self.dot.accumulate(load(vector, 0, _SIDE), values, factors)
                            store(vector, 0, total, _SIDE)

                self._over_words(source, step)
                for b, vector in enumerate(sums):
                    place = ((t * _SIDE + pixel) * 2 + b) * _SIDE
                    store(results, place, load(vector, 0, _SIDE), _SIDE)

    def _store(
        self,
        out: Output,
        place: tuple[Expr, Expr],
        index: int,
        results: Buffer,
        starts: list[Expr],
        multipliers: list[Multiplier],
    ) -> None:
        """Bias, requantization and store of one tile of pixels."""
        row, first = place
        biases = [T.Bind(load(self.frame.bias, start, _SIDE)) for start in starts]
        with T.serial(0, self.plan.pixels) as pixel:
            at = T.Bind((row * self.plan.row_pixels + first + pixel) * self.channels)
            for b, start in enumerate(starts):
                total = load(results, ((index * _SIDE + pixel) * 2 + b) * _SIDE, _SIDE)
                multiplier = multipliers[b] if multipliers else None
                self.frame.store(out, at + start, T.Bind(total + biases[b]), multiplier, _SIDE)


def amx_prim_func(spec: ConvSpec, plan: AmxPlan, features: frozenset[str], name: str) -> Expr:
    """The PrimFunc of a convolution by tiles; see `ConvSpec`."""
    kernel = _AmxKernel(spec, plan, features)
    return kernel.frame.prim_func(name, kernel.emit)
