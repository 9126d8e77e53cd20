"""Large convolutions and matrix products: tiles in shared memory, see `tiling`.

In the end sums go through shared memory, so that neighbouring threads store neighbouring channels.
"""

from __future__ import annotations

from typing import Any, Protocol

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.cuda.half import HALF
from actc.targets.tvm.cuda.kernels.direct import ConvEpilogue, FloatEpilogue
from actc.targets.tvm.cuda.kernels.thread import (
    THREADS,
    argument,
    device_func,
    div,
    int32,
    launch,
    mod,
    when,
)
from actc.targets.tvm.cuda.kernels.tile_block import TileBlock
from actc.targets.tvm.cuda.kernels.tile_products import UNITS, four
from actc.targets.tvm.cuda.tiling import DEPTH, ROW, Tiling
from actc.targets.tvm.kernels.conv_vector import word_of_bytes
from actc.targets.tvm.kernels.float_spec import FloatConv
from actc.targets.tvm.kernels.spec import ConvSpec, padded


class Epilogue(Protocol):
    """What becomes of a sum."""

    bias: Any

    def store(self, total: Any, at: Any, channel: Any) -> None:
        """Write it."""


def tiled_conv(name: str, spec: ConvSpec, tiling: Tiling) -> Any:
    """A convolution of codes by tiles."""

    def body(n: Any) -> None:
        pixels = tirx.Cast("int64", n) * (spec.in_h * spec.in_w * tiling.words)
        x = argument("x", pixels, "int32")
        weight = argument("weight", _weights(tiling), "int32")
        epilogue = ConvEpilogue(spec, spec.epilogue, n)
        _Block(spec, tiling, n, x, weight, epilogue).emit()

    return device_func(name, body)


def tiled_float_conv(
    name: str, spec: FloatConv, tiling: Tiling, x_type: str = "float32", out: str = "float32"
) -> Any:
    """A convolution of float32 by tiles; "mma.f16" rounds both operands to half precision.

    `x_type` and `out` are types in memory; halves are multiplied by "mma.f16" alone.
    """
    conv = spec.conv
    halves = x_type == HALF

    def body(n: Any) -> None:
        pixels = tirx.Cast("int64", n) * (conv.in_h * conv.in_w * padded(conv.in_c))
        words = div(pixels, 2) if halves else pixels
        x = argument("x", words, "int32" if halves else "float32")
        dtype = "float32" if tiling.method == "fma" else "int32"
        weight = argument("weight", _weights(tiling), dtype)
        epilogue = FloatEpilogue(conv, spec.function, n, out)
        _Block(conv, tiling, n, x, weight, epilogue, halves).emit()

    return device_func(name, body)


def _weights(tiling: Tiling) -> int:
    return tiling.columns * tiling.channels * tiling.steps * DEPTH


class _Block(TileBlock):
    """Writes the code of a block of threads: so many pixels and channels of a map."""

    def __init__(
        self,
        spec: ConvSpec,
        tiling: Tiling,
        n: Any,
        x: Any,
        weight: Any,
        epilogue: Epilogue,
        halves: bool = False,
    ) -> None:
        super().__init__(tiling, "int32" if tiling.method in ("dp4a", "mma.u8s8") else "float32")
        self._spec, self._n, self._halves = spec, n, halves
        self._x, self._weight, self._epilogue = x, weight, epilogue
        self._floats = tiling.method == "fma"
        self._map = spec.out_h * spec.out_w

    def emit(self) -> None:
        """All of it, behind the arguments."""
        tiling = self._tiling
        self._total = self._n * self._map
        rows = div(self._total + (tiling.pixels - 1), tiling.pixels)
        with launch(rows * tiling.columns) as (block, thread):
            self._first_pixel = T.Bind(div(block, tiling.columns) * tiling.pixels)
            self._first_channel = T.Bind(mod(block, tiling.columns) * tiling.channels)
            self._begin(thread)
            self._prepare_loads()
            self._multiply()
            self._finish()

    # ---- from memory to shared memory ---------------------------------------------------

    def _prepare_loads(self) -> None:
        """What a thread knows of the rows that it moves: place on the map, sample."""
        spec = self._spec
        self._unit = T.Bind(mod(self._thread, UNITS))
        self._row = T.Bind(div(self._thread, UNITS))
        self._places = []
        step = THREADS // UNITS
        for q in range(-(-self._tiling.pixels // step)):
            pixel = T.Bind(self._first_pixel + self._row + q * step)
            there = pixel < self._total
            if self._tiling.pixels % step:
                there = tirx.And(there, self._row + q * step < self._tiling.pixels)
            sample, rest = T.Bind(div(pixel, self._map)), T.Bind(mod(pixel, self._map))
            i, j = div(rest, spec.out_w), mod(rest, spec.out_w)
            # A pixel behind the last one lies nowhere on the map.
            far = int32(-(1 << 20))
            row = T.Bind(tirx.Select(there, i * spec.strides[0] - spec.pads[0], far))
            column = T.Bind(j * spec.strides[1] - spec.pads[1])
            base = T.Bind(tirx.Cast("int64", sample) * (spec.in_h * spec.in_w))
            self._places.append((row, column, base))
        self._own_rows = -(-self._tiling.channels // step)
        count = 4 * (len(self._places) + self._own_rows)
        self._moved = T.alloc_buffer((count,), self._word, scope="local")

    def _load(self, step: Any) -> None:
        """From memory to registers: the words of a step."""
        tiling = self._tiling
        unit = T.Bind(step * UNITS + self._unit)
        for q, place in enumerate(self._places):
            if tiling.wide:
                self._load_words(q, place, unit, 4)
            else:
                for k in range(4):
                    self._load_words(4 * q + k, place, unit * 4 + k, 1)
        for q in range(self._own_rows):
            row = T.Bind(self._row + q * (THREADS // UNITS))
            with when(row < tiling.channels if tiling.channels % (THREADS // UNITS) else None):
                at = (self._first_channel + row) * (tiling.steps * UNITS) + unit
                to = four(int32(len(self._places) + q))
                T.buffer_store(self._moved, self._weight[four(at)], [to])

    def _load_words(self, to: int, place: Any, word: Any, lanes: int) -> None:
        """A word of a pixel, or a group of four, or what stands for them outside of the map.

        Places and words count in groups of `lanes`.
        """
        spec, tiling = self._spec, self._tiling
        row, column, base = place
        tap = T.Bind(div(word, tiling.words // lanes))
        inner = T.Bind(mod(word, tiling.words // lanes))
        down = T.Bind(row + div(tap, spec.kernel[1]) * spec.dilations[0])
        right = T.Bind(column + mod(tap, spec.kernel[1]) * spec.dilations[1])
        test = tirx.And(down >= 0, down < spec.in_h)
        test = tirx.And(test, tirx.And(right >= 0, right < spec.in_w))
        test = tirx.And(test, tap < spec.kernel[0] * spec.kernel[1])
        index = to if lanes == 1 else four(int32(to))
        border = tirx.const(0.0 if self._floats else self._border(), self._word)
        value = border if lanes == 1 else tirx.Broadcast(border, lanes)
        T.buffer_store(self._moved, value, [index])
        with when(test):
            pixel = T.Bind(base + tirx.Cast("int64", down * spec.in_w + right))
            T.buffer_store(self._moved, self._words_at(pixel, inner, lanes), [index])

    def _border(self) -> int:
        return 0 if self._sum == "float32" else word_of_bytes(self._spec.x_zero)

    def _words_at(self, pixel: Any, word: Any, lanes: int) -> Any:
        tiling = self._tiling
        if self._halves:
            return self._stored_pairs(pixel, word, lanes)
        if tiling.method != "mma.f16":
            size = padded(self._spec.in_c) if self._floats else tiling.words
            at = T.Bind(pixel * (size // lanes) + tirx.Cast("int64", word))
            return self._x[at if lanes == 1 else four(at)]
        first = T.Bind(word * lanes)
        start = T.Bind(pixel * padded(self._spec.in_c) + tirx.Cast("int64", first) * 2)
        found = [self._half_pair(start, first, k) for k in range(lanes)]
        return found[0] if lanes == 1 else tirx.Shuffle(found, list(range(lanes)))

    def _stored_pairs(self, pixel: Any, word: Any, lanes: int) -> Any:
        at = T.Bind(pixel * (padded(self._spec.in_c) // 2 // lanes) + tirx.Cast("int64", word))
        found = self._x[at if lanes == 1 else four(at)]
        if self._spec.in_c % 2 == 0:
            return found
        # The last word's upper half is a padding lane, which may hold anything.
        found, low, every = T.Bind(found), int32(0xFFFF), int32(-1)
        last = tirx.EQ(word, int32(self._tiling.words // lanes - 1))
        mask = tirx.Select(last, low, every)
        if lanes > 1:
            mask = tirx.Shuffle([every] * (lanes - 1) + [mask], list(range(lanes)))
        return found & mask

    def _half_pair(self, start: Any, word: Any, k: int) -> Any:
        low, high = self._x[start + 2 * k], self._x[start + (2 * k + 1)]
        if self._spec.in_c % 2:  # padding lanes may hold anything
            inside = (word + k) * 2 + 1 < self._spec.in_c
            high = tirx.Select(inside, high, tirx.const(0.0, "float32"))
        return T.call_pure_extern("int32", "actc_halves", low, high)

    def _commit(self, half: Any) -> None:
        """From registers to shared memory."""
        step = THREADS // UNITS
        for q in range(len(self._places)):
            row = T.Bind(self._row + q * step)
            with when(row < self._tiling.pixels if self._tiling.pixels % step else None):
                at = half + row * (ROW // 4) + self._unit
                T.buffer_store(self._shared, self._moved[four(int32(q))], [four(at)])
        for q in range(self._own_rows):
            row = T.Bind(self._row + q * step)
            with when(row < self._tiling.channels if self._tiling.channels % step else None):
                at = half + (row + self._tiling.pixels) * (ROW // 4) + self._unit
                start = int32(len(self._places) + q)
                T.buffer_store(self._shared, self._moved[four(start)], [four(at)])

    # ---- from sums to results -----------------------------------------------------------

    def _finish(self) -> None:
        """Each thread takes a sum of every so many rows out of shared memory."""
        channels, lanes = self._tiling.channels, padded(self._spec.out_c)
        rows = THREADS // channels
        own = T.Bind(mod(self._thread, channels))
        channel = T.Bind(self._first_channel + own)
        with when(channel < lanes if lanes % channels else None):
            bias = T.Bind(self._epilogue.bias[channel])
            with T.serial(0, self._tiling.pixels // rows) as turn:
                row = T.Bind(turn * rows + div(self._thread, channels))
                pixel = T.Bind(self._first_pixel + row)
                with when(pixel < self._total):
                    total = self._shared[row * (channels + 1) + own]
                    if self._sum != self._word:
                        total = T.reinterpret(self._sum, total)
                    at = tirx.Cast("int64", pixel) * lanes + tirx.Cast("int64", channel)
                    self._epilogue.store(total + bias, at, channel)
