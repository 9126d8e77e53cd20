"""Kernels that reduce: one thread per result, for integers and for float32."""

from __future__ import annotations

import math
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.cuda.kernels.thread import (
    Finish,
    Register,
    View,
    device_func,
    each_item,
    indices_of,
    int32,
    loops,
    memory,
    narrowed,
    when,
    widened,
)
from actc.targets.tvm.kernels.float_spec import FloatPool, FloatReduce
from actc.targets.tvm.kernels.reduce import pooling_taps
from actc.targets.tvm.kernels.strided import MaxPool, Reduce

_START = {"sum": 0.0, "mean": 0.0, "max": -math.inf, "min": math.inf}


def reduce(name: str, spec: Reduce) -> Any:
    """The kernel of :class:`Reduce`."""
    dtype = "int32" if spec.kind == "sum" else "uint8"

    def body(n: Any) -> None:
        x = View("x", spec.x, n)
        finish = Finish(spec.requantize, spec.table, spec.inputs, spec.table_size, n)
        out = View("out", spec.out, n)
        with each_item(n, math.prod(spec.dims)) as (sample, item):
            indices = indices_of(item, spec.dims)
            total = Register(dtype, spec.bias)
            with loops(spec.over) as inner:
                value = x.load(sample, [*indices, *inner])
                if spec.kind == "sum":
                    total.set(total.value + tirx.Cast("int32", value))
                else:
                    total.set(tirx.Max(total.value, value))
            finish.store(total.value, out, sample, indices)

    return device_func(name, body)


def float_reduce(name: str, spec: FloatReduce) -> Any:
    """The kernel of :class:`FloatReduce`."""
    count = math.prod(spec.over)

    def body(n: Any) -> None:
        x, out = View("x", spec.x, n), View("out", spec.out, n)
        with each_item(n, math.prod(spec.dims)) as (sample, item):
            indices = indices_of(item, spec.dims)
            total = Register("float32", _START[spec.kind])
            with loops(spec.over) as inner:
                value = x.load(sample, [*indices, *inner])
                total.set(combined(spec.kind, total.value, T.Bind(value)))
            result = total.value
            if spec.kind == "mean":
                result = result / tirx.const(float(count), "float32")
            out.store(sample, indices, result)

    return device_func(name, body)


def combined(kind: str, total: Any, value: Any) -> Any:
    """A sum or extremum with one more value; the extrema are those of the target `cpu`."""
    if kind == "max":
        return tirx.Select(total > value, total, value)
    if kind == "min":
        return tirx.Select(total < value, total, value)
    return total + value


def max_pool(name: str, spec: MaxPool) -> Any:
    """The kernel of :class:`MaxPool`."""

    def join(total: Any, value: Any) -> Any:
        return total | value if spec.dtype == "uint32" else tirx.Max(total, value)

    def body(n: Any) -> None:
        _pool(n, spec, (spec.dtype,) * 3, 0, join, lambda total, taps: total)

    return device_func(name, body)


def float_pool(name: str, spec: FloatPool, x: str = "float32", out: str = "float32") -> Any:
    """The kernel of :class:`FloatPool`; `x` and `out` are types in memory."""
    kind = "max" if spec.kind == "max" else "sum"

    def join(total: Any, value: Any) -> Any:
        return combined(kind, total, value)

    def finish(total: Any, taps: Any) -> Any:
        return total / _divisor(spec, taps) if spec.kind == "average" else total

    def body(n: Any) -> None:
        _pool(n, spec, (x, "float32", out), _START[kind], join, finish)

    return device_func(name, body)


def _pool(
    n: Any,
    spec: MaxPool | FloatPool,
    types: tuple[str, str, str],
    start: float,
    join: Any,
    finish: Any,
) -> None:
    """A thread per result; `types` are those of x, of the total, and of the output."""
    dims = (spec.out_h, spec.out_w, spec.lanes)
    size_in, size_out = spec.in_h * spec.in_w * spec.lanes, math.prod(dims)
    x = memory("x", tirx.Cast("int64", n) * size_in, types[0])
    out = memory("out", tirx.Cast("int64", n) * size_out, types[2])
    with each_item(n, size_out) as (sample, item):
        i, j, lane = indices_of(item, dims)
        total = Register(types[1], start)
        taps = pooling_taps(spec, i, j)
        first = T.Bind(tirx.Cast("int64", sample) * size_in)
        for row, column, inside in taps:
            with when(inside):
                at = (row * spec.in_w + column) * spec.lanes + lane
                value = T.Bind(widened(x[first + tirx.Cast("int64", at)], types[0]))
                total.set(join(total.value, value))
        at = tirx.Cast("int64", sample) * size_out + tirx.Cast("int64", item)
        T.buffer_store(out, narrowed(finish(total.value, taps), types[2]), [at])


def _divisor(spec: FloatPool, taps: list[tuple[Any, Any, Any]]) -> Any:
    if spec.whole or all(inside is None for _, _, inside in taps):
        return tirx.const(float(len(taps)), "float32")
    count: Any = int32(0)
    for _, _, inside in taps:
        here = int32(1) if inside is None else tirx.Select(inside, int32(1), int32(0))
        count = count + here
    return tirx.Cast("float32", count)
