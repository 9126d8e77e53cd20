"""Products of two activations with vpdpbusd.

One factor of the instruction has a sign: codes of `b` less 128. With D terms

    sum (a - p)(b - q) = sum a (b - 128) + (128 - q) sum a - p sum b + D p q

and the sums over `a` and `b` alone come from the same instruction with ones. For each
product `b` is packed first: words of four terms, columns side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.kernels import tir
from actc.targets.tvm.kernels.attention_spec import BatchMatMul
from actc.targets.tvm.kernels.conv_isa import Vnni
from actc.targets.tvm.kernels.elementwise import View, loops
from actc.targets.tvm.kernels.reduce import Accumulator
from actc.targets.tvm.kernels.spec import padded

LANES = 16
_FEATURES = frozenset({"avx512vnni", "avx512vl"})
_BLOCKS = 4
"""Vectors of columns that share a word of `a`."""

_SIGN = 0x80808080 - (1 << 32)
_ONES = 0x01010101

Store = Callable[[Any, Any, Any], None]


def takes(spec: BatchMatMul, features: frozenset[str]) -> bool:
    """Whether words of `a` and vectors of `b` can be read as they lie."""
    rows_of_a = (*spec.a.strides[:-1], spec.a.offset, spec.a.size)
    words = spec.a.strides[-1] == 1 and all(number % 4 == 0 for number in rows_of_a)
    b_column, b_depth = spec.b.strides[-2:]
    places_of_b = (*spec.b.strides[:-1], spec.b.offset, spec.b.size, spec.depth)
    straight = b_column == 1 or (b_depth == 1 and all(n % 4 == 0 for n in places_of_b))
    aligned = spec.a.aligned and spec.b.aligned
    enough = features >= _FEATURES and spec.dims[-1] >= LANES
    return enough and aligned and words and straight


class VnniProduct:
    """Emits one product of two matrices.

    Args:
        spec: what to compute; `takes` it.
        a, b: the operands.
        place: sample and outer loops' indices.
        batch: number of samples.
    """

    def __init__(
        self, spec: BatchMatMul, a: View, b: View, place: Sequence[Any], batch: Any
    ) -> None:
        self.spec, self.a, self.b = spec, a, b
        self.sample, self.outer = place[0], list(place[1:])
        self.columns = spec.dims[-1]
        self.words = padded(spec.depth) // 4
        self.dot = Vnni(LANES, 32)
        self._words_of_a = _as_words(a, batch)
        self._words_of_b = _as_words(b, batch) if spec.b.strides[-1] == 1 else None
        self.packed = T.alloc_buffer((self.words * self.columns,), "int32")
        self.extra = T.alloc_buffer((self.columns,), "int32")

    def emit(self, store: Store) -> None:
        """Pack `b`, then compute row by row; `store(value, row, column)` takes 16 columns."""
        self._pack()
        blocks = -(-self.columns // LANES)
        with loops([self.spec.dims[-2]]) as (row,):
            for first in range(0, blocks, _BLOCKS):
                count = min(_BLOCKS, blocks - first)
                starts = [min((first + i) * LANES, self.columns - LANES) for i in range(count)]
                self._row(row, [tirx.const(start, "int64") for start in starts], store)

    def _pack(self) -> None:
        """Words less 128 per byte, and what each column adds to every row."""
        zero = tirx.const(0, "int64")
        if self._words_of_b is not None:
            with loops([self.columns, self.words]) as (column, word):
                at = self.b.at(self.sample, [*self.outer, zero, column, word * 4])
                value = self._words_of_b[T.floordiv(at, tirx.const(4, "int64"))]
                signed = tirx.bitwise_xor(value, tirx.const(_SIGN, "int32"))
                T.buffer_store(self.packed, signed, [word * self.columns + column])
        else:
            self._each_block(self._pack_columns)
        self._each_block(self._columns_alone)

    def _each_block(self, step: Callable[[Any], None]) -> None:
        with loops([-(-self.columns // LANES)]) as (block,):
            last = tirx.const(self.columns - LANES, "int64")
            step(T.Bind(tirx.Min(block * LANES, last)))

    def _pack_columns(self, start: Any) -> None:
        """Interleave four rows of `b`; terms beyond the last are 0."""
        zero, depth = tirx.const(0, "int64"), self.spec.depth

        def word_of(word: Any, terms: int) -> None:
            total: Any = _all(0)
            for byte in range(terms):
                at = self.b.at(self.sample, [*self.outer, zero, start, word * 4 + byte])
                value = tir.cast("int32", self.b.data[tir.span(at, LANES)])
                signed = tirx.bitwise_xor(value, _all(0x80))
                total = tirx.bitwise_or(total, tirx.shift_left(signed, _all(8 * byte)))
            place = tir.span(word * self.columns + start, LANES)
            T.buffer_store(self.packed, total, [place])

        with loops([depth // 4]) as (word,):
            word_of(word, 4)
        if depth % 4:
            word_of(tirx.const(depth // 4, "int64"), depth % 4)

    def _columns_alone(self, start: Any) -> None:
        spec = self.spec
        sums = Accumulator("int32", LANES)
        with loops([self.words]) as (word,):
            factors = self._factors(word, start)
            sums.set(self._accumulate(sums.value(LANES), _all(_ONES), factors))
        # A term beyond the last is 0 in `packed`, not -128.
        p, q, depth = spec.a_zero, spec.b_zero, spec.depth
        fixed = _all(depth * p * q - p * 128 * depth)
        value = fixed - sums.value(LANES) * _all(p)
        T.buffer_store(self.extra, value, [tir.span(start, LANES)])

    def _row(self, row: Any, starts: list[Any], store: Store) -> None:
        totals = [Accumulator("int32", LANES) for _ in starts]
        own = Accumulator("int32", LANES)
        for start, total in zip(starts, totals, strict=True):
            total.set(self.extra[tir.span(start, LANES)])
        rest = self.spec.depth % 4

        def step(word: Any, ones: int) -> None:
            at = self.a.at(self.sample, [*self.outer, row, starts[0], word * 4])
            value = self._words_of_a[T.floordiv(at, tirx.const(4, "int64"))]
            values = T.Bind(tirx.Broadcast(T.Bind(value), LANES))
            own.set(self._accumulate(own.value(LANES), values, _bytes(_all(ones))))
            for start, total in zip(starts, totals, strict=True):
                factors = self._factors(word, start)
                total.set(self._accumulate(total.value(LANES), values, factors))

        with loops([self.words - (1 if rest else 0)]) as (word,):
            step(word, _ONES)
        if rest:
            step(tirx.const(self.words - 1, "int64"), _ONES & ((1 << 8 * rest) - 1))
        shared = T.Bind(own.value(LANES) * _all(128 - self.spec.b_zero))
        for start, total in zip(starts, totals, strict=True):
            store(total.value(LANES) + shared, row, start)

    def _factors(self, word: Any, start: Any) -> Any:
        return _bytes(self.packed[tir.span(word * self.columns + start, LANES)])

    def _accumulate(self, total: Any, values: Any, factors: Any) -> Any:
        unsigned = T.reinterpret(f"uint8x{4 * LANES}", values)
        return self.dot.accumulate(total, [unsigned], [factors])


def _all(number: int) -> Any:
    return tirx.Broadcast(tirx.const(number, "int32"), LANES)


def _bytes(words: Any) -> Any:
    return T.reinterpret(f"int8x{4 * LANES}", words)


def _as_words(view: View, batch: Any) -> Any:
    """A buffer of bytes as 32-bit words."""
    count = view.operand.size // 4
    size = count * batch if view.operand.batched else count
    return T.decl_buffer((size,), "int32", data=view.buffer.data)
