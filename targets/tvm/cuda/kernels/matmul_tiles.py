"""Products of two activations, as attention has them: tiles in shared memory.

The tiles are those of large convolutions (see `tiles`), filled from operands with any strides. Of
codes, `a` stays unsigned and `b` becomes signed by taking 128 off, as dp4a and tensor cores want
them; zero points follow from the sums of rows and columns, which whoever loads them adds up:
``sum (a - p)(b - q) = sum a b - p sum b - q sum a + depth p q``.
"""

from __future__ import annotations

import math
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.cuda.kernels.thread import (
    THREADS,
    Finish,
    View,
    device_func,
    div,
    int32,
    launch,
    mod,
    when,
)
from actc.targets.tvm.cuda.kernels.tile_block import TileBlock
from actc.targets.tvm.cuda.kernels.tile_products import UNITS, four
from actc.targets.tvm.cuda.tiling import PACKED, ROW, Tiling
from actc.targets.tvm.kernels.attention_spec import BatchMatMul
from actc.targets.tvm.kernels.float_spec import FloatMatMul

_SIGN = 128
"""What is taken off the codes of `b`."""
_ONES = 0x01010101
_ROWS = THREADS // UNITS
"""Rows of a tile that the threads load at once."""


def tiled_batch_matmul(name: str, spec: BatchMatMul, tiling: Tiling) -> Any:
    """The kernel of :class:`BatchMatMul` by tiles."""

    def body(n: Any) -> None:
        views = View("a", spec.a, n), View("b", spec.b, n)
        finish = Finish(spec.requantize, spec.table, spec.inputs, spec.table_size, n)
        out = View("out", spec.out, n)

        def store(total: Any, sample: Any, indices: Any) -> None:
            finish.store(total, out, sample, indices)

        _Block(spec, tiling, n, views, store).emit()

    return device_func(name, body)


def tiled_float_matmul(name: str, spec: FloatMatMul, tiling: Tiling) -> Any:
    """The kernel of :class:`FloatMatMul` by tiles."""

    def body(n: Any) -> None:
        views = View("a", spec.a, n), View("b", spec.b, n)
        out = View("out", spec.out, n)

        def store(total: Any, sample: Any, indices: Any) -> None:
            out.store(sample, indices, total)

        _Block(spec, tiling, n, views, store).emit()

    return device_func(name, body)


class _Side:
    """One operand: which of its rows a thread loads, and the sum of its codes in them."""

    def __init__(self, view: View, row_axis: int, rows: int, tile: int, shift: int) -> None:
        self.view, self.row_axis, self.rows = view, row_axis, rows
        self.tile, self.shift = tile, shift
        self.turns = -(-tile // _ROWS)


class _Block(TileBlock):
    """Writes the code of a block of threads; it has one tile of one product."""

    def __init__(
        self,
        spec: BatchMatMul | FloatMatMul,
        tiling: Tiling,
        n: Any,
        views: tuple[View, View],
        store: Any,
    ) -> None:
        self._codes = isinstance(spec, BatchMatMul)
        super().__init__(tiling, "int32" if self._codes else "float32")
        self._spec, self._n, self._end = spec, n, store
        self._outer, (rows, columns) = spec.dims[:-2], spec.dims[-2:]
        a, b = views
        # strides: the outer loops, rows, columns, depth
        self._sides = (
            _Side(a, -3, rows, tiling.pixels, 0),
            _Side(b, -2, columns, tiling.channels, _SIGN),
        )

    def emit(self) -> None:
        """All of it, behind the arguments."""
        tiling, (rows, columns) = self._tiling, self._spec.dims[-2:]
        down = -(-rows // tiling.pixels)
        per_product = down * tiling.columns
        per_sample = per_product * math.prod(self._outer)
        with launch(self._n * per_sample) as (block, thread):
            self._sample = T.Bind(div(block, per_sample))
            rest = T.Bind(mod(block, per_sample))
            self._indices = []
            for axis, extent in enumerate(self._outer):
                inner = math.prod(self._outer[axis + 1 :]) * per_product
                self._indices.append(T.Bind(mod(div(rest, inner), extent)))
            tile = T.Bind(mod(rest, per_product))
            self._first = (
                T.Bind(div(tile, tiling.columns) * tiling.pixels),
                T.Bind(mod(tile, tiling.columns) * tiling.channels),
            )
            self._begin(thread)
            self._prepare()
            self._multiply()
            self._finish(rows, columns)

    def _prepare(self) -> None:
        self._unit = T.Bind(mod(self._thread, UNITS))
        self._row = T.Bind(div(self._thread, UNITS))
        turns = sum(side.turns for side in self._sides)
        self._moved = T.alloc_buffer((4 * turns,), self._word, scope="local")
        self._bases = [
            T.Bind(tirx.Cast("int64", self._base(side, self._first[k] + self._row)))
            for k, side in enumerate(self._sides)
        ]
        if self._codes:
            sums = sum(side.tile for side in self._sides)
            self._totals = T.alloc_buffer((sums * UNITS,), "int32", scope="shared")
            self._own = T.alloc_buffer((turns,), "int32", scope="local")
            for k in range(turns):
                T.buffer_store(self._own, int32(0), [k])

    def _base(self, side: _Side, row: Any) -> Any:
        """Flat index of the first element of a row."""
        strides = side.view.operand.strides
        inner = int32(side.view.operand.offset) + row * int32(strides[side.row_axis])
        for index, stride in zip(self._indices, strides, strict=False):
            inner = inner + index * int32(stride)
        if not side.view.operand.batched:
            return inner
        return tirx.Cast("int64", self._sample) * side.view.operand.size + tirx.Cast("int64", inner)

    def _keep_more(self) -> None:
        """The sums of codes."""
        if self._codes:
            for row, at, turn in self._loaded_rows():
                with when(row):
                    total = self._own[turn]
                    T.buffer_store(self._totals, total, [at * UNITS + self._unit])

    def _loaded_rows(self) -> list[tuple[Any, Any, int]]:
        """What this thread loads: whether the row is of the tile, its place, its turn."""
        found, first, turn = [], 0, 0
        for side in self._sides:
            for q in range(side.turns):
                row = self._row + q * _ROWS
                inside = row < side.tile if side.tile % _ROWS else None
                found.append((inside, row + first, turn))
                turn += 1
            first += side.tile
        return found

    def _load(self, step: Any) -> None:
        """From memory to registers: four words of each row."""
        packed = PACKED[self._tiling.method]
        start = T.Bind((step * UNITS + self._unit) * (4 * packed))
        turn = 0
        for k, side in enumerate(self._sides):
            for q in range(side.turns):
                row = T.Bind(self._row + q * _ROWS)
                there = self._first[k] + row < side.rows
                if side.tile % _ROWS:
                    there = tirx.And(there, row < side.tile)
                there = T.Bind(there)
                for w in range(4):
                    word = self._word_of(side, k, q, there, start + w * packed)
                    T.buffer_store(self._moved, word, [4 * turn + w])
                if self._codes:
                    self._add_codes(turn)
                turn += 1

    def _word_of(self, side: _Side, k: int, q: int, there: Any, first: Any) -> Any:
        """A word of a row from element `first` on; zeros behind the end."""
        method = self._tiling.method
        values = []
        for i in range(PACKED[method]):
            dtype = "uint32" if self._codes else "float32"
            value = T.alloc_buffer((1,), dtype, scope="local")
            T.buffer_store(value, tirx.const(0, dtype), [0])
            inside = tirx.And(there, first + i < self._spec.depth)
            with when(inside):
                T.buffer_store(value, self._element(side, k, q, first + i), [0])
            values.append(value[0])
        if method == "fma":
            return values[0]
        if method == "mma.f16":
            return T.call_pure_extern("int32", "actc_halves", *values)
        word: Any = values[0]
        for i, value in enumerate(values[1:], 1):
            word = word | (value << tirx.const(8 * i, "uint32"))
        return T.reinterpret("int32", word)

    def _element(self, side: _Side, k: int, q: int, index: Any) -> Any:
        strides = side.view.operand.strides
        inner = index * int32(strides[-1]) + int32(q * _ROWS * strides[side.row_axis])
        value = side.view.get(self._bases[k] + tirx.Cast("int64", inner))
        if not self._codes:
            return value
        code = tirx.Cast("uint32", value)
        return code ^ tirx.const(side.shift, "uint32") if side.shift else code

    def _add_codes(self, turn: int) -> None:
        side_b = turn >= self._sides[0].turns
        total = self._own[turn]
        for w in range(4):
            word = self._moved[4 * turn + w]
            pair = (int32(_ONES), word) if side_b else (word, int32(_ONES))
            total = T.call_pure_extern("int32", "actc_dp4a", *pair, total)
        T.buffer_store(self._own, total, [turn])

    def _commit(self, half: Any) -> None:
        """From registers to shared memory."""
        for inside, row, turn in self._loaded_rows():
            with when(inside):
                at = half + row * (ROW // 4) + self._unit
                T.buffer_store(self._shared, self._moved[four(int32(turn))], [four(at)])

    def _finish(self, rows: int, columns: int) -> None:
        """Each thread takes a sum of every so many rows out of shared memory."""
        width = self._tiling.channels
        apart = THREADS // width
        own = T.Bind(mod(self._thread, width))
        column = T.Bind(self._first[1] + own)
        with when(column < columns):
            of_column = self._corrected(int32(self._tiling.pixels) + own)
            with T.serial(0, self._tiling.pixels // apart) as turn:
                place = T.Bind(turn * apart + div(self._thread, width))
                row = T.Bind(self._first[0] + place)
                with when(row < rows):
                    total = self._shared[place * (width + 1) + own]
                    if self._sum != self._word:
                        total = T.reinterpret(self._sum, total)
                    if self._codes:
                        total = self._without_zeros(total, self._corrected(place), of_column)
                    self._end(total, self._sample, [*self._indices, row, column])

    def _corrected(self, place: Any) -> Any:
        """The sum of the codes of a row or column."""
        if not self._codes:
            return None
        total = self._totals[place * UNITS]
        for unit in range(1, UNITS):
            total = total + self._totals[place * UNITS + unit]
        return T.Bind(total)

    def _without_zeros(self, total: Any, row: Any, column: Any) -> Any:
        spec = self._spec
        assert isinstance(spec, BatchMatMul)
        p, q = spec.a_zero, spec.b_zero - _SIGN
        return total - column * int32(p) - row * int32(q) + int32(spec.depth * p * q)
