"""Large convolutions and matrix products: tiles in shared memory, see `tiling`.

While a block multiplies what lies in one half of its shared memory, the words of the next step
are on their way into registers and then into the other half; one barrier per step suffices. In
the end sums go through shared memory, so that neighbouring threads store neighbouring channels.
"""

from __future__ import annotations

from typing import Any, Protocol

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.cuda.kernels.direct import ConvEpilogue, FloatEpilogue
from actc.targets.tvm.cuda.kernels.thread import (
    THREADS,
    WARP,
    argument,
    device_func,
    div,
    int32,
    launch,
    mod,
    when,
)
from actc.targets.tvm.cuda.tiling import DEPTH, ROW, Tiling
from actc.targets.tvm.kernels.conv_vector import word_of_bytes
from actc.targets.tvm.kernels.float_spec import FloatConv
from actc.targets.tvm.kernels.spec import ConvSpec, padded

_UNITS = DEPTH // 4
"""Groups of four words of a row: a thread moves one at a time."""


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


def tiled_float_conv(name: str, spec: FloatConv, tiling: Tiling) -> Any:
    """A convolution of float32 by tiles; "mma.f16" rounds both operands to half precision."""
    conv = spec.conv

    def body(n: Any) -> None:
        pixels = tirx.Cast("int64", n) * (conv.in_h * conv.in_w * padded(conv.in_c))
        x = argument("x", pixels, "float32")
        dtype = "float32" if tiling.method == "fma" else "int32"
        weight = argument("weight", _weights(tiling), dtype)
        epilogue = FloatEpilogue(conv, spec.function, n)
        _Block(conv, tiling, n, x, weight, epilogue).emit()

    return device_func(name, body)


def _weights(tiling: Tiling) -> int:
    return tiling.columns * tiling.channels * tiling.steps * DEPTH


def _four(unit: Any) -> Any:
    """Indices of a group of four words: visibly aligned, so that they are moved at once."""
    return tirx.Ramp(unit * 4, 1, 4)


class _Block:
    """Writes the code of a block of threads."""

    def __init__(
        self, spec: ConvSpec, tiling: Tiling, n: Any, x: Any, weight: Any, epilogue: Epilogue
    ) -> None:
        self._spec, self._tiling, self._n = spec, tiling, n
        self._x, self._weight, self._epilogue = x, weight, epilogue
        self._floats = tiling.method == "fma"
        self._word = "float32" if self._floats else "int32"
        self._sum = "int32" if tiling.method in ("dp4a", "mma.u8s8") else "float32"
        self._map = spec.out_h * spec.out_w
        self._stage = (tiling.pixels + tiling.channels) * ROW

    def emit(self) -> None:
        """All of it, behind the arguments."""
        tiling = self._tiling
        self._total = self._n * self._map
        rows = div(self._total + (tiling.pixels - 1), tiling.pixels)
        with launch(rows * tiling.columns) as (block, thread):
            self._thread = thread
            self._first_pixel = T.Bind(div(block, tiling.columns) * tiling.pixels)
            self._first_channel = T.Bind(mod(block, tiling.columns) * tiling.channels)
            size = max(2 * self._stage, tiling.pixels * (tiling.channels + 1))
            self._shared = T.alloc_buffer((size,), self._word, scope="shared")
            self._prepare_loads()
            multiply = _Lanes(self) if tiling.method in ("dp4a", "fma") else _Warps(self)
            self._load(int32(0))
            self._commit(int32(0))
            _barrier()
            with T.serial(0, tiling.steps) as step:
                half = T.Bind(mod(step, 2) * (self._stage // 4))
                other = T.Bind(int32(self._stage // 4) - half)
                more = step + 1 < tiling.steps
                with when(more):
                    self._load(step + 1)
                multiply.step(half)
                with when(more):
                    self._commit(other)
                _barrier()
            multiply.store()
            _barrier()
            self._finish()

    # ---- from memory to shared memory ---------------------------------------------------

    def _prepare_loads(self) -> None:
        """What a thread knows of the rows that it moves: place on the map, sample."""
        spec = self._spec
        self._unit = T.Bind(mod(self._thread, _UNITS))
        self._row = T.Bind(div(self._thread, _UNITS))
        self._places = []
        step = THREADS // _UNITS
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
        unit = T.Bind(step * _UNITS + self._unit)
        for q, place in enumerate(self._places):
            if tiling.wide:
                self._load_words(q, place, unit, 4)
            else:
                for k in range(4):
                    self._load_words(4 * q + k, place, unit * 4 + k, 1)
        for q in range(self._own_rows):
            row = T.Bind(self._row + q * (THREADS // _UNITS))
            with when(row < tiling.channels if tiling.channels % (THREADS // _UNITS) else None):
                at = (self._first_channel + row) * (tiling.steps * _UNITS) + unit
                to = _four(int32(len(self._places) + q))
                T.buffer_store(self._moved, self._weight[_four(at)], [to])

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
        index = to if lanes == 1 else _four(int32(to))
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
        if tiling.method != "mma.f16":
            size = padded(self._spec.in_c) if self._floats else tiling.words
            at = T.Bind(pixel * (size // lanes) + tirx.Cast("int64", word))
            return self._x[at if lanes == 1 else _four(at)]
        first = T.Bind(word * lanes)
        start = T.Bind(pixel * padded(self._spec.in_c) + tirx.Cast("int64", first) * 2)
        found = [self._half_pair(start, first, k) for k in range(lanes)]
        return found[0] if lanes == 1 else tirx.Shuffle(found, list(range(lanes)))

    def _half_pair(self, start: Any, word: Any, k: int) -> Any:
        low, high = self._x[start + 2 * k], self._x[start + (2 * k + 1)]
        if self._spec.in_c % 2:  # padding lanes may hold anything
            inside = (word + k) * 2 + 1 < self._spec.in_c
            high = tirx.Select(inside, high, tirx.const(0.0, "float32"))
        return T.call_pure_extern("int32", "actc_halves", low, high)

    def _commit(self, half: Any) -> None:
        """From registers to shared memory."""
        step = THREADS // _UNITS
        for q in range(len(self._places)):
            row = T.Bind(self._row + q * step)
            with when(row < self._tiling.pixels if self._tiling.pixels % step else None):
                at = half + row * (ROW // 4) + self._unit
                T.buffer_store(self._shared, self._moved[_four(int32(q))], [_four(at)])
        for q in range(self._own_rows):
            row = T.Bind(self._row + q * step)
            with when(row < self._tiling.channels if self._tiling.channels % step else None):
                at = half + (row + self._tiling.pixels) * (ROW // 4) + self._unit
                start = int32(len(self._places) + q)
                T.buffer_store(self._shared, self._moved[_four(start)], [_four(at)])

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

    def keep_sum(self, row: Any, column: Any, total: Any) -> None:
        """Put a sum where `_finish` finds it."""
        if self._sum != self._word:
            total = T.reinterpret(self._word, total)
        at = row * (self._tiling.channels + 1) + column
        T.buffer_store(self._shared, total, [at])

    @property
    def parts(self) -> tuple[Any, Tiling, Any, str, str]:
        """Thread, tiling, shared memory, type of words, type of sums."""
        return self._thread, self._tiling, self._shared, self._word, self._sum


def _barrier() -> None:
    T.evaluate(tirx.call_intrin("int32", "tirx.tvm_storage_sync", "shared"))


class _Lanes:
    """Products without tensor cores: 16 by 16 threads, each with every 16th row and column."""

    _SIDE = 16

    def __init__(self, block: _Block) -> None:
        self._block = block
        thread, tiling, self._shared, self._word, dtype = block.parts
        self._method = tiling.method
        self._down = T.Bind(div(thread, self._SIDE))
        self._right = T.Bind(mod(thread, self._SIDE))
        self._pixels = tiling.pixels
        self._rows = tiling.pixels // self._SIDE
        self._columns = tiling.channels // self._SIDE
        self._sums = T.alloc_buffer((self._rows * self._columns,), dtype, scope="local")
        for k in range(self._rows * self._columns):
            T.buffer_store(self._sums, tirx.const(0, dtype), [k])
        # Four words of each row and column.
        count = 4 * (self._rows + self._columns)
        self._operands = T.alloc_buffer((count,), self._word, scope="local")

    def step(self, half: Any) -> None:
        """Multiply what lies in one half of the shared memory, which begins at group `half`."""
        with T.serial(0, _UNITS) as unit:
            for i in range(self._rows + self._columns):
                if i < self._rows:
                    row = self._down + i * self._SIDE
                else:
                    row = self._right + (self._pixels + (i - self._rows) * self._SIDE)
                words = self._shared[_four(half + row * (ROW // 4) + unit)]
                T.buffer_store(self._operands, words, [_four(int32(i))])
            for k in range(4):
                for i in range(self._rows):
                    for j in range(self._columns):
                        self._add(i, j, k)

    def _add(self, i: int, j: int, k: int) -> None:
        at = i * self._columns + j
        a, b = self._operands[4 * i + k], self._operands[4 * (self._rows + j) + k]
        name = "actc_dp4a" if self._method == "dp4a" else "fmaf"
        dtype = "int32" if self._method == "dp4a" else "float32"
        T.buffer_store(self._sums, T.call_pure_extern(dtype, name, a, b, self._sums[at]), [at])

    def store(self) -> None:
        """Hand the sums to the block."""
        for i in range(self._rows):
            for j in range(self._columns):
                row, column = self._down + i * self._SIDE, self._right + j * self._SIDE
                self._block.keep_sum(row, column, self._sums[i * self._columns + j])


class _Warps:
    """Tensor cores: each warp has rows and columns of its own, in pieces of 16 by 8.

    Fragments are those of PTX's mma.m16n8k32 for bytes and mma.m16n8k16 for halves, which are
    the same in words: lane 4 g + t has rows g and g + 8, words t and t + 4 of `a`; column g,
    words t and t + 4 of `b`; rows g and g + 8, columns 2 t and 2 t + 1 of the sums.
    """

    def __init__(self, block: _Block) -> None:
        self._block = block
        thread, tiling, self._shared, self._word, dtype = block.parts
        self._name = "actc_mma_u8s8" if tiling.method == "mma.u8s8" else "actc_mma_f16"
        down = min(THREADS // WARP // (2 if tiling.channels == 64 else 1), tiling.pixels // 16)
        across = THREADS // WARP // down
        self._pixels = tiling.pixels
        self._height, self._width = tiling.pixels // down, tiling.channels // across
        warp, lane = T.Bind(div(thread, WARP)), mod(thread, WARP)
        self._first_row = T.Bind(div(warp, across) * self._height)
        self._first_column = T.Bind(mod(warp, across) * self._width)
        self._group, self._part = T.Bind(div(lane, 4)), T.Bind(mod(lane, 4))
        self._rows, self._columns = self._height // 16, self._width // 8
        count = self._rows * self._columns * 4
        self._sums = T.alloc_buffer((count,), dtype, scope="local")
        for k in range(count):
            T.buffer_store(self._sums, tirx.const(0, dtype), [k])
        size = 4 * self._rows + 2 * self._columns
        self._fragments = T.alloc_buffer((size,), self._word, scope="local")

    def step(self, half: Any) -> None:
        """Multiply what lies in one half of the shared memory, which begins at group `half`."""
        for start in range(0, DEPTH, 8):
            for i in range(self._rows):
                row = self._first_row + self._group + i * 16
                for k, (down, right) in enumerate(((0, 0), (8, 0), (0, 4), (8, 4))):
                    self._fetch(4 * i + k, half, row + down, start + right)
            for j in range(self._columns):
                row = self._first_column + self._group + (self._pixels + j * 8)
                for k in range(2):
                    at = 4 * self._rows + 2 * j + k
                    self._fetch(at, half, row, start + 4 * k)
            for i in range(self._rows):
                for j in range(self._columns):
                    self._multiply(i, j)

    def _fetch(self, to: int, half: Any, row: Any, word: int) -> None:
        value = self._shared[half * 4 + row * ROW + self._part + word]
        T.buffer_store(self._fragments, value, [to])

    def _multiply(self, i: int, j: int) -> None:
        first = (i * self._columns + j) * 4
        a = [self._fragments[4 * i + k] for k in range(4)]
        b = [self._fragments[4 * self._rows + 2 * j + k] for k in range(2)]
        sums = T.address_of(self._sums[first])
        T.evaluate(T.call_extern("int32", self._name, sums, *a, *b))

    def store(self) -> None:
        """Hand the sums to the block."""
        for i in range(self._rows):
            for j in range(self._columns):
                for k in range(4):
                    row = self._first_row + self._group + (i * 16 + 8 * (k // 2))
                    column = self._first_column + self._part * 2 + (j * 8 + k % 2)
                    total = self._sums[(i * self._columns + j) * 4 + k]
                    self._block.keep_sum(row, column, total)
