"""Products of two tiles in shared memory: thread by thread, or by a warp's tensor cores."""

from __future__ import annotations

from typing import Any, Protocol

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.cuda.kernels.thread import THREADS, WARP, div, int32, mod
from actc.targets.tvm.cuda.tiling import DEPTH, ROW, Tiling

UNITS = DEPTH // 4
"""Groups of four words of a row: a thread moves one at a time."""


def four(unit: Any) -> Any:
    """Indices of a group of four words: visibly aligned, so that they are moved at once."""
    return tirx.Ramp(unit * 4, 1, 4)


class Block(Protocol):
    """The block of threads that multiplies."""

    @property
    def parts(self) -> tuple[Any, Tiling, Any, str, str]:
        """Thread, tiling, shared memory, type of words, type of sums."""

    def keep_sum(self, row: Any, column: Any, total: Any) -> None:
        """Put a sum where the block finds it."""


class LaneProducts:
    """Products without tensor cores: 16 by 16 threads, each with every 16th row and column."""

    _SIDE = 16

    def __init__(self, block: Block) -> None:
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
        with T.serial(0, UNITS) as unit:
            for i in range(self._rows + self._columns):
                if i < self._rows:
                    row = self._down + i * self._SIDE
                else:
                    row = self._right + (self._pixels + (i - self._rows) * self._SIDE)
                words = self._shared[four(half + row * (ROW // 4) + unit)]
                T.buffer_store(self._operands, words, [four(int32(i))])
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


class WarpProducts:
    """Tensor cores: each warp has rows and columns of its own, in pieces of 16 by 8.

    Fragments are those of PTX's mma.m16n8k32 for bytes and mma.m16n8k16 for halves, which are
    the same in words: lane 4 g + t has rows g and g + 8, words t and t + 4 of `a`; column g,
    words t and t + 4 of `b`; rows g and g + 8, columns 2 t and 2 t + 1 of the sums.
    """

    def __init__(self, block: Block) -> None:
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
