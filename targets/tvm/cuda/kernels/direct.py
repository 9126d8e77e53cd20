"""Products, one thread per result: convolutions of any kind, matrix products, binary layers.

These are the plain forms; `tiles` has those of large products.
"""

from __future__ import annotations

import math
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.cuda.kernels import depthwise
from actc.targets.tvm.cuda.kernels.thread import (
    Finish,
    Register,
    View,
    argument,
    device_func,
    div,
    each_item,
    indices_of,
    int32,
    loops,
    memory,
    narrowed,
    when,
    widened,
)
from actc.targets.tvm.kernels import tir
from actc.targets.tvm.kernels.attention_spec import BatchMatMul
from actc.targets.tvm.kernels.binary_spec import BinaryConv
from actc.targets.tvm.kernels.float_spec import FloatConv, FloatMatMul, ScalarFunction
from actc.targets.tvm.kernels.scalar_function import apply_function
from actc.targets.tvm.kernels.spec import ConvSpec, Epilogue, padded

Conv = ConvSpec | BinaryConv


def fused_multiply_add(a: Any, b: Any, c: Any) -> Any:
    """``a * b + c`` of float32, rounded once."""
    return T.call_pure_extern("float32", "fmaf", a, b, c)


def tap(spec: Conv, axis: int, index: Any, position: Any) -> Any:
    """Row or column of the map that a tap of the window reads."""
    return index * spec.strides[axis] + position * spec.dilations[axis] - spec.pads[axis]


def inside(spec: Conv, row: Any, column: Any) -> Any:
    """Whether a place lies on the map; None where every tap does."""
    if not any(spec.pads):
        return None
    rows = tirx.And(row >= 0, row < spec.in_h)
    return tirx.And(rows, tirx.And(column >= 0, column < spec.in_w))


class ConvEpilogue:
    """From an accumulator to what a convolution stores; declares bias, multiplier and table."""

    def __init__(self, spec: ConvSpec, epilogue: Epilogue, n: Any) -> None:
        lanes = padded(spec.out_c)
        self._spec, self._epilogue = spec, epilogue
        self.bias = argument("bias", lanes, "int32")
        self._multiplier = self._table = None
        if epilogue.kind != "accumulator":
            self._multiplier = argument("multiplier", lanes, "int32")
        if epilogue.table_size(lanes):
            self._table = argument("table", epilogue.table_size(lanes), "uint8")
        count = tirx.Cast("int64", n) * (spec.out_h * spec.out_w * lanes)
        self._out = argument("out", count, epilogue.out_dtype)

    def store(self, total: Any, at: Any, channel: Any) -> None:
        """Write what becomes of an accumulator with its bias."""
        value = total
        if self._multiplier is not None:
            code = tir.requantize(T.Bind(total), self._multiplier[channel], self._epilogue)
            value = T.Bind(code)
        if self._table is not None:
            by_channel = self._epilogue.kind == "requantize+channel_table"
            value = tir.lookup(self._table, value, channel * 256 if by_channel else int32(0))
        T.buffer_store(self._out, value, [at])


class FloatEpilogue:
    """The same of float32: a scalar function; `dtype` is that of the output in memory."""

    def __init__(
        self, spec: ConvSpec, function: ScalarFunction | None, n: Any, dtype: str = "float32"
    ) -> None:
        lanes = padded(spec.out_c)
        self._function, self._dtype = function, dtype
        self.bias = argument("bias", lanes, "float32")
        count = tirx.Cast("int64", n) * (spec.out_h * spec.out_w * lanes)
        self._out = memory("out", count, dtype)

    def store(self, total: Any, at: Any, _channel: Any) -> None:
        """Write what becomes of a sum."""
        value = T.Bind(total)
        if self._function is not None:
            value = apply_function(self._function, [value], frozenset())
        T.buffer_store(self._out, narrowed(value, self._dtype), [at])


def conv(name: str, spec: ConvSpec) -> Any:
    """A convolution of codes; weights lie as int8 (taps, C / group, padded(O))."""
    if depthwise.fits(spec):
        return depthwise.depthwise_conv(name, spec)

    def body(n: Any) -> None:
        x, weight = _operands(spec, "uint8", "int8", n)
        epilogue = ConvEpilogue(spec, spec.epilogue, n)

        def product(total: Any, code: Any, factor: Any) -> Any:
            return total + tirx.Cast("int32", code) * tirx.Cast("int32", factor)

        _direct(spec, n, x, weight, epilogue, product, "int32", tirx.const(spec.x_zero, "uint8"))

    return device_func(name, body)


def float_conv(name: str, spec: FloatConv, x_type: str = "float32", out: str = "float32") -> Any:
    """A convolution of float32; weights lie as (taps, C / group, padded(O)).

    `x_type` and `out` are types in memory.
    """
    if depthwise.fits(spec.conv):
        return depthwise.depthwise_float_conv(name, spec, x_type, out)

    def body(n: Any) -> None:
        x, weight = _operands(spec.conv, x_type, "float32", n)
        epilogue = FloatEpilogue(spec.conv, spec.function, n, out)

        def product(total: Any, value: Any, factor: Any) -> Any:
            return fused_multiply_add(widened(value, x_type), factor, total)

        _direct(spec.conv, n, x, weight, epilogue, product, "float32", None)

    return device_func(name, body)


def _operands(spec: ConvSpec, x_type: str, weight_type: str, n: Any) -> tuple[Any, Any]:
    pixels = spec.in_h * spec.in_w * padded(spec.in_c)
    x = memory("x", tirx.Cast("int64", n) * pixels, x_type)
    taps = spec.kernel[0] * spec.kernel[1]
    size = padded(spec.out_c) * taps * (spec.in_c // spec.group)
    return x, argument("weight", size, weight_type)


def _direct(
    spec: ConvSpec, n: Any, x: Any, weight: Any, epilogue: Any, product: Any, dtype: str,
    border: Any,
) -> None:  # fmt: skip
    """One thread per pixel and output channel; `border` is read outside the map."""
    lanes, depth = padded(spec.out_c), spec.in_c // spec.group
    dims = (spec.out_h, spec.out_w, lanes)
    with each_item(n, math.prod(dims)) as (sample, item):
        i, j, channel = indices_of(item, dims)
        # lanes behind the last channel belong to the last group
        group = div(tirx.Min(channel, int32(spec.out_c - 1)), spec.out_c // spec.group)
        first = T.Bind(tirx.Cast("int64", sample) * (spec.in_h * spec.in_w * padded(spec.in_c)))
        start = T.Bind(group * depth)
        total = Register(dtype, epilogue.bias[channel])
        with loops(spec.kernel) as (u, v):
            row, column = T.Bind(tap(spec, 0, i, u)), T.Bind(tap(spec, 1, j, v))
            condition = inside(spec, row, column)
            place = (row * spec.in_w + column) * padded(spec.in_c) + start
            first_row = (u * spec.kernel[1] + v) * depth

            def add(value: Any, k: Any, first_row: Any = first_row) -> None:
                factor = weight[(first_row + k) * lanes + channel]
                total.set(product(total.value, value, factor))

            with when(condition), T.serial(0, depth) as k:
                add(x[first + tirx.Cast("int64", place + k)], k)
            if border is not None and condition is not None:
                with when(tirx.Not(condition)), T.serial(0, depth) as k:
                    add(border, k)
        at = tirx.Cast("int64", sample) * math.prod(dims) + tirx.Cast("int64", item)
        epilogue.store(total.value, at, channel)


def batch_matmul(name: str, spec: BatchMatMul) -> Any:
    """The kernel of :class:`BatchMatMul`."""

    def body(n: Any) -> None:
        a, b = View("a", spec.a, n), View("b", spec.b, n)
        finish = Finish(spec.requantize, spec.table, spec.inputs, spec.table_size, n)
        out = View("out", spec.out, n)
        with each_item(n, math.prod(spec.dims)) as (sample, item):
            indices = indices_of(item, spec.dims)
            total = Register("int32", 0)
            with T.serial(0, spec.depth) as k:
                left = tirx.Cast("int32", a.load(sample, [*indices, k])) - spec.a_zero
                right = tirx.Cast("int32", b.load(sample, [*indices, k])) - spec.b_zero
                total.set(total.value + left * right)
            finish.store(total.value, out, sample, indices)

    return device_func(name, body)


def float_matmul(name: str, spec: FloatMatMul) -> Any:
    """The kernel of :class:`FloatMatMul`."""

    def body(n: Any) -> None:
        a, b, out = View("a", spec.a, n), View("b", spec.b, n), View("out", spec.out, n)
        with each_item(n, math.prod(spec.dims)) as (sample, item):
            indices = indices_of(item, spec.dims)
            total = Register("float32", 0.0)
            with T.serial(0, spec.depth) as k:
                left, right = a.load(sample, [*indices, k]), b.load(sample, [*indices, k])
                total.set(fused_multiply_add(left, right, total.value))
            out.store(sample, indices, total.value)

    return device_func(name, body)
