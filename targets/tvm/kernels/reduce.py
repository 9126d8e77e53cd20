"""Kernels that reduce: sums, maxima, pooling, softmax, layer normalization; and row look-up."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.kernels import tir
from actc.targets.tvm.kernels.elementwise import VECTOR, Finish, View, loops, open_views, sweep
from actc.targets.tvm.kernels.float_spec import FloatPool
from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.parallel import spread_loops
from actc.targets.tvm.kernels.strided import (
    Embed,
    MaxPool,
    Reduce,
    Softmax,
)

SUM_LANES = 16


class Accumulator:
    """A vector that stays in registers over a loop."""

    def __init__(self, dtype: str, lanes: int, start: float = 0) -> None:
        self.buffer = T.alloc_buffer((lanes,), dtype, scope=tir.register_scope())
        self.set(tir.const(start, dtype, self.value(lanes)))

    def value(self, lanes: int) -> Any:
        """The first `lanes` lanes."""
        return self.buffer[tir.span(0, lanes)]

    def set(self, value: Any) -> None:
        """Replace as many lanes as `value` has."""
        T.buffer_store(self.buffer, value, [tir.span(0, tir.lanes_of(value))])


def reduce_prim_func(name: str, spec: Reduce, features: frozenset[str]) -> Any:
    """The PrimFunc of a sum or maximum; buffers as `Reduce` says."""
    dtype = "int32" if spec.kind == "sum" else "uint8"

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        x = View("x", spec.x, batch)
        finish = Finish(spec.requantize, spec.table, spec.inputs, spec.table_size, batch)
        out = View("out", spec.out, batch)
        open_views(x, finish, out)
        stride = spec.x.strides[len(spec.dims) - 1]

        work = math.prod(spec.dims) * math.prod(spec.over) // 8
        with spread_loops(batch, spec.dims[:-1], work) as (sample, *outer):

            def step(start: Any, lanes: int) -> None:
                total = Accumulator(dtype, lanes, spec.bias)
                with loops(spec.over) as inner:
                    at = x.at(sample, [*outer, start, *inner])
                    value = x.data[at if lanes == 1 else tirx.Ramp(at, stride, lanes)]
                    total.set(_combine(spec.kind, total.value(lanes), value))
                indices = [*outer, start]
                finish.store(T.Bind(total.value(lanes)), out, sample, indices, features)

            sweep(spec.dims[-1], VECTOR if stride == 1 else 1, step)

    return tir.prim_func(name, body)


def _combine(kind: str, total: Any, value: Any) -> Any:
    return total + tir.cast("int32", value) if kind == "sum" else tirx.Max(total, value)


def max_pool_prim_func(name: str, spec: MaxPool, features: frozenset[str]) -> Any:
    """The PrimFunc of a maximum over windows; buffers x, out, typed as `spec` says."""
    size_in = (spec.in_h, spec.in_w, spec.lanes)
    size_out = (spec.out_h, spec.out_w, spec.lanes)

    def larger(a: Any, b: Any) -> Any:
        return a | b if spec.dtype == "uint32" else tirx.Max(a, b)

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        x = T.arg("x", T.buffer((batch, *size_in), spec.dtype))
        out = T.arg("out", T.buffer((batch, *size_out), spec.dtype))
        work = math.prod(size_out) * math.prod(spec.kernel) // 16
        with spread_loops(batch, [spec.out_h, spec.out_w], work) as (n, i, j):

            def step(start: Any, lanes: int) -> None:
                largest = Accumulator(spec.dtype, lanes)
                for row, column, inside in pooling_taps(spec, i, j):
                    if inside is None:
                        value = x[n, row, column, tir.span(start, lanes)]
                        largest.set(larger(largest.value(lanes), value))
                        continue
                    with T.If(inside), T.Then():
                        value = x[n, row, column, tir.span(start, lanes)]
                        largest.set(larger(largest.value(lanes), value))
                T.buffer_store(out, largest.value(lanes), [n, i, j, tir.span(start, lanes)])

            sweep(spec.lanes, VECTOR, step)

    return tir.prim_func(name, body)


def pooling_taps(spec: MaxPool | FloatPool, i: Any, j: Any) -> list[tuple[Any, Any, Any]]:
    """Row, column and the condition of being inside (None: always) of every tap."""
    taps = []
    for u in range(spec.kernel[0]):
        for v in range(spec.kernel[1]):
            tests: list[Any] = []
            row = _tap(i, u, 0, spec, spec.in_h, spec.out_h, tests)
            column = _tap(j, v, 1, spec, spec.in_w, spec.out_w, tests)
            inside = None
            for test in tests:
                inside = test if inside is None else tirx.And(inside, test)
            taps.append((row, column, inside))
    return taps


def _tap(
    index: Any,
    tap: int,
    axis: int,
    spec: MaxPool | FloatPool,
    size: int,
    out_size: int,
    tests: list[Any],
) -> Any:
    shift = tap * spec.dilations[axis] - spec.pads[axis]
    place = index * spec.strides[axis] + shift
    if shift < 0:
        tests.append(place >= 0)
    if (out_size - 1) * spec.strides[axis] + shift >= size:
        tests.append(place < size)
    return place


def softmax_prim_func(name: str, spec: Softmax, features: frozenset[str]) -> Any:
    """The PrimFunc of IntSoftmax or IntProbabilities; buffers as `Softmax` says."""
    count = spec.dims[-1]

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        x = View("x", spec.x, batch)
        table = T.arg("table", T.buffer((256,), "int32"))
        out = View("out", spec.out, batch)
        open_views(x, out)
        with spread_loops(batch, spec.dims[:-1], 4 * math.prod(spec.dims)) as (sample, *outer):
            largest = Accumulator("int32", 1)
            with T.serial(tirx.const(0, "int64"), tirx.const(count, "int64")) as i:
                code = tir.cast("int32", x.load(x.at(sample, [*outer, i]), 1))
                largest.set(tirx.Max(largest.value(1), code))
            total = Accumulator("int32", 1)

            def power(i: Any) -> Any:
                code = tir.cast("int32", x.load(x.at(sample, [*outer, i]), 1))
                return table[largest.value(1) - code]

            with T.serial(tirx.const(0, "int64"), tirx.const(count, "int64")) as i:
                total.set(total.value(1) + power(i))
            share = _code_of(total, spec.bits) if spec.bits else _ratio_to(total)
            with T.serial(tirx.const(0, "int64"), tirx.const(count, "int64")) as i:
                out.store(out.at(sample, [*outer, i]), share(power(i)))

    return tir.prim_func(name, body)


def _ratio_to(total: Accumulator) -> Callable[[Any], Any]:
    """The share of a power as float32."""
    below = T.Bind(tir.cast("float64", total.value(1)))
    return lambda power: tir.cast("float32", tir.cast("float64", power) / below)


def _code_of(total: Accumulator, bits: int) -> Callable[[Any], Any]:
    """The share of a power in units of 2^-bits, rounded half up; 1 is the largest code."""
    sum = T.Bind(tir.cast("int64", total.value(1)))
    unit, largest = tirx.const(2 << bits, "int64"), tirx.const((1 << bits) - 1, "int64")

    def code(power: Any) -> Any:
        rounded = T.truncdiv(tir.cast("int64", power) * unit + sum, sum + sum)
        return tir.cast("int32", tirx.Min(rounded, largest))

    return code


def embed_prim_func(name: str, spec: Embed, features: frozenset[str]) -> Any:
    """The PrimFunc of IntEmbed; buffers index int32, table uint8 (rows, width), out uint8."""

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        index = View("index", spec.index, batch)
        shape = (spec.rows, spec.width)
        table = View("table", Operand("uint8", shape, False, (0,) * len(spec.dims)), batch)
        out = View("out", spec.out, batch)
        open_views(index, table, out)
        last = spec.rows - 1
        with spread_loops(batch, spec.dims[:-1], math.prod(spec.dims) // 16) as (sample, *outer):
            first = index.at(sample, [*outer, tirx.const(0, "int64")])
            wanted = T.Bind(index.load(first, 1))
            known = tirx.And(wanted >= 0, wanted < last)
            row = T.Bind(tir.cast("int64", tirx.Select(known, wanted, tirx.const(last, "int32"))))

            def step(start: Any, lanes: int) -> None:
                value = table.data[tir.span(row * spec.width + start, lanes)]
                out.store(out.at(sample, [*outer, start]), value)

            sweep(spec.width, VECTOR, step)

    return tir.prim_func(name, body)
