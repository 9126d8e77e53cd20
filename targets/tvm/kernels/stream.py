"""A table over a row of codes that is longer than the caches.

Ordinary stores read each line of the destination first. movdir64b writes whole lines past
the caches; it takes them from memory, so that a small buffer of results comes between.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.kernels import tir
from actc.targets.tvm.kernels.parallel import spread
from actc.targets.tvm.kernels.strided import Copy, Elementwise

PIECE = 2048
"""Bytes of the small buffer."""

TASK = 64 * PIECE
"""Bytes of a thread's piece."""

LEAST = 1 << 22
"""Bytes of a row from which on it pays; less is better kept in a second-level cache."""

_LINE = 64


def streams(spec: Elementwise, features: frozenset[str]) -> bool:
    """Whether a kernel is one long row of codes through one table of 256."""
    plain = isinstance(spec.operation, Copy) and spec.requantize is None
    shared = spec.table == "shared" and spec.table_size == 256
    row = len(spec.dims) == 1 and spec.dims[0] >= LEAST
    along = all(o.strides == (1,) and o.dtype == "uint8" for o in (*spec.inputs, spec.out))
    lines = spec.out.aligned and spec.out.offset % _LINE == 0
    lines = lines and (spec.batch == 1 or spec.out.size % _LINE == 0)
    able = "movdir64b" in features and tir.has_byte_permute(features)
    return able and plain and shared and row and along and lines


def stream_table(spec: Elementwise, x: Any, table: Any, out: Any, batch: Any) -> None:
    """Emit ``out = table[x]``.

    Args:
        spec: what to compute; `streams` it.
        x, out: the operands' views, opened.
        table: its 256 bytes.
        batch: number of samples.
    """
    size, zero = spec.dims[0], tirx.const(0, "int64")
    tasks, rest = divmod(size, TASK)

    def lines(source: Any, target: Any, found: Any, count: int) -> None:
        """Up to PIECE bytes, a multiple of a line."""
        blocks = tirx.const(count // _LINE, "int64")
        with T.serial(zero, blocks) as block:
            at = block * _LINE
            codes = T.Bind(x.data[tir.span(source + at, _LINE)])
            T.buffer_store(found, tir.lookup64(table, codes), [tir.span(at, _LINE)])
        with T.serial(zero, blocks) as block:
            at = block * _LINE
            pointers = (T.address_of(out.data[target + at]), T.address_of(found[at]))
            T.evaluate(tirx.call_llvm_intrin("void", "llvm.x86.movdir64b", *pointers))

    def part(sample: Any, first: Any, count: int) -> None:
        found = T.alloc_buffer((PIECE,), "uint8")
        source = T.Bind(x.at(sample, [zero]) + first)
        target = T.Bind(out.at(sample, [zero]) + first)
        pieces, tail = divmod(count // _LINE * _LINE, PIECE)
        with T.serial(zero, tirx.const(pieces, "int64")) as piece:
            lines(source + piece * PIECE, target + piece * PIECE, found, PIECE)
        if tail:
            lines(source + pieces * PIECE, target + pieces * PIECE, found, tail)
        # Other threads read the row next.
        T.evaluate(tirx.call_llvm_intrin("void", "llvm.x86.sse.sfence"))
        with T.serial(zero, tirx.const(count % _LINE, "int64")) as i:
            at = tirx.const(pieces * PIECE + tail, "int64") + i
            T.buffer_store(out.data, tir.lookup(table, x.data[source + at]), [target + at])

    def task(sample: Any, index: Any) -> None:
        part(sample, tir.cast("int64", index) * TASK, TASK)

    spread(batch, tasks, size // 8, task)
    if rest:
        last = tirx.const(tasks * TASK, "int64")
        spread(batch, 1, rest // 8, lambda sample, _: part(sample, last, rest))
