"""Kernels of attention: products of two activations, and masked softmax.

Importing this module imports TVM.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.kernels import tir
from actc.targets.tvm.kernels.attention_spec import BatchMatMul, MaskedSoftmax
from actc.targets.tvm.kernels.batch_matmul_vnni import VnniProduct, takes
from actc.targets.tvm.kernels.elementwise import Finish, View, loops, open_views, sweep
from actc.targets.tvm.kernels.parallel import spread_loops
from actc.targets.tvm.kernels.reduce import Accumulator

LANES = 16
"""int32 lanes of a 512-bit register."""
ROWS = 4
"""Rows of the result that share what is loaded of `b`."""


def batch_matmul_prim_func(name: str, spec: BatchMatMul, features: frozenset[str]) -> Any:
    """The PrimFunc of a product of two activations; buffers as `BatchMatMul` says.

    Vectors run along the columns of the result, or, where `b` holds its columns one
    behind the other, along the sum.
    """
    *outer_dims, rows, columns = spec.dims
    b_column, b_depth = spec.b.strides[-2:]

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        a, b = View("a", spec.a, batch), View("b", spec.b, batch)
        finish = Finish(spec.requantize, spec.table, spec.inputs, spec.table_size, batch)
        out = View("out", spec.out, batch)
        open_views(a, b, finish, out)
        work = math.prod(spec.dims) * spec.depth // 8
        with spread_loops(batch, outer_dims, work) as (sample, *outer):

            def store(value: Any, row: Any, column: Any) -> None:
                finish.store(T.Bind(value), out, sample, [*outer, row, column], features)

            if takes(spec, features):
                VnniProduct(spec, a, b, [sample, *outer], batch).emit(store)
                return
            along = _down_the_sum if b_depth == 1 and b_column != 1 else _across_columns
            along(spec, a, b, [sample, *outer], (rows, columns), store)

    return tir.prim_func(name, body)


def _factor(value: Any, zero: int) -> Any:
    moved = tir.cast("int32", value)
    return moved - tir.const(zero, "int32", moved)


def _across_columns(
    spec: BatchMatMul, a: View, b: View, place: Sequence[Any], size: tuple[int, int], store: Any
) -> None:
    sample, *outer = place
    stride = spec.b.strides[-2]

    def block(first: Any, height: int) -> None:
        def step(start: Any, lanes: int) -> None:
            totals = [Accumulator("int32", lanes) for _ in range(height)]
            with loops([spec.depth]) as (k,):
                at = b.at(sample, [*outer, first, start, k])
                loaded = b.data[at if lanes == 1 else tirx.Ramp(at, stride, lanes)]
                right = T.Bind(_factor(loaded, spec.b_zero))
                for row, total in enumerate(totals):
                    left = _factor(
                        a.data[a.at(sample, [*outer, first + row, start, k])], spec.a_zero
                    )
                    wide = left if lanes == 1 else tirx.Broadcast(left, lanes)
                    total.set(total.value(lanes) + wide * right)
            for row, total in enumerate(totals):
                store(total.value(lanes), first + row, start)

        sweep(size[1], LANES, step)

    _blocks(size[0], block)


def _blocks(rows: int, block: Any) -> None:
    """Emit `block(first, height)` over all rows, `ROWS` at a time."""
    full = rows // ROWS
    if full:
        with T.serial(tirx.const(0, "int64"), tirx.const(full, "int64")) as index:
            block(index * ROWS, ROWS)
    if rows % ROWS:
        block(tirx.const(full * ROWS, "int64"), rows % ROWS)


def _down_the_sum(
    spec: BatchMatMul, a: View, b: View, place: Sequence[Any], size: tuple[int, int], store: Any
) -> None:
    sample, *outer = place
    with loops(size) as (i, j):
        total = Accumulator("int32", LANES)

        def step(start: Any, lanes: int) -> None:
            indices = [*outer, i, j, start]
            left = _factor(a.load(a.at(sample, indices), lanes), spec.a_zero)
            right = _factor(b.load(b.at(sample, indices), lanes), spec.b_zero)
            total.set(total.value(lanes) + left * right)

        sweep(spec.depth, LANES, step)
        result = total.buffer[0]
        for lane in range(1, LANES):
            result = result + total.buffer[lane]
        store(result, i, j)


def masked_softmax_prim_func(name: str, spec: MaskedSoftmax, features: frozenset[str]) -> Any:
    """The PrimFunc of IntMaskedSoftmax; buffers as `MaskedSoftmax` says."""
    count = spec.dims[-1]

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        x, hidden = View("x", spec.x, batch), View("hidden", spec.hidden, batch)
        table = T.arg("table", T.buffer((256,), "int32"))
        out = View("out", spec.out, batch)
        open_views(x, hidden, out)
        every = (tirx.const(0, "int64"), tirx.const(count, "int64"))
        nothing, none = tirx.const(0, "int32"), tirx.const(-1, "int32")
        with spread_loops(batch, spec.dims[:-1], 4 * math.prod(spec.dims)) as (sample, *outer):

            def code(i: Any) -> Any:
                return tir.cast("int32", x.load(x.at(sample, [*outer, i]), 1))

            def covered(i: Any) -> Any:
                return hidden.load(hidden.at(sample, [*outer, i]), 1) != tirx.const(0, "uint8")

            highest, lowest = Accumulator("int32", 1, -1), Accumulator("int32", 1, -1)
            with T.serial(*every) as i:
                value = T.Bind(code(i))
                shown = tirx.Select(covered(i), none, value)
                highest.set(tirx.Max(highest.value(1), shown))
                lowest.set(tirx.Max(lowest.value(1), value))
            alone = highest.value(1) < nothing

            def power(i: Any) -> Any:
                seen = table[tirx.Max(highest.value(1) - code(i), nothing)]
                empty = {
                    0: table[0],
                    1: table[lowest.value(1) - code(i)],
                    2: nothing,
                }[spec.empty]
                return tirx.Select(alone, empty, tirx.Select(covered(i), nothing, seen))

            total = Accumulator("int32", 1)
            with T.serial(*every) as i:
                total.set(total.value(1) + power(i))
            below = T.Bind(tir.cast("float64", tirx.Max(total.value(1), tirx.const(1, "int32"))))
            with T.serial(*every) as i:
                ratio = tir.cast("float64", power(i)) / below
                out.store(out.at(sample, [*outer, i]), tir.cast("float32", ratio))

    return tir.prim_func(name, body)
