"""Softmax and normalization: a warp per row.

A lane takes every 32nd element; what the lanes found is joined by exchanges within the warp.
Integer sums do not depend on their order, so these rows are golden's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.cuda.kernels.reductions import combined
from actc.targets.tvm.cuda.kernels.thread import (
    Finish,
    Register,
    View,
    argument,
    device_func,
    each_row,
    indices_of,
    int32,
    shared_out,
    warp_max,
    warp_sum,
)
from actc.targets.tvm.kernels import float_math
from actc.targets.tvm.kernels.attention_spec import MaskedSoftmax
from actc.targets.tvm.kernels.float_spec import FloatLayerNorm, FloatSoftmax
from actc.targets.tvm.kernels.strided import LayerNorm, Softmax


def _int64(value: Any) -> Any:
    return tirx.Cast("int64", value)


def layer_norm(name: str, spec: LayerNorm) -> Any:
    """The kernel of :class:`LayerNorm`; the steps are those of golden, sums in int64."""
    count = spec.dims[-1]

    def body(n: Any) -> None:
        x, gamma, beta = (
            View(label, operand, n)
            for label, operand in zip(("x", "gamma", "beta"), spec.inputs[:3], strict=True)
        )
        finish = Finish(spec.requantize, spec.table, spec.inputs[3:], spec.table_size, n)
        out = View("out", spec.out, n)
        with each_row(n, math.prod(spec.dims[:-1])) as (sample, row, lane):
            outer = indices_of(row, spec.dims[:-1])
            own, squares = Register("int64", 0), Register("int64", 0)
            with shared_out(count, lane) as i:
                code = T.Bind(_int64(x.load(sample, [*outer, i])))
                own.set(own.value + code)
                squares.set(squares.value + code * code)
            totals = [warp_sum(part.value, "int64") for part in (own, squares)]
            factor, offset, variance = _scaled(spec, *totals)
            eps = tirx.const(spec.eps, "float64")
            root = T.Bind(_sqrt(tirx.Cast("float64", variance) + eps))
            with shared_out(count, lane) as i:
                indices = [*outer, i]
                moved = _int64(x.load(sample, indices)) * factor - offset
                ratio = tirx.Cast("float64", moved) / root
                normal = tirx.Cast("int32", _call("float64", "floor", ratio))
                scaled = normal * gamma.load(sample, indices)
                finish.store(scaled + beta.load(sample, indices), out, sample, indices)

    return device_func(name, body)


def _scaled(spec: LayerNorm, total: Any, squares: Any) -> tuple[int, Any, Any]:
    """Factor of a code, what is then subtracted, and the variance in their unit."""
    count = spec.dims[-1]
    if spec.zero is None:
        variance = T.Bind(squares * count - total * total)
        return count << 12, T.Bind(total * 4096), variance
    apart = tirx.const(count * spec.zero * spec.zero, "int64") - total * (2 * spec.zero)
    return 1 << 17, tirx.const(spec.zero << 17, "int64"), T.Bind(squares + apart)


def _call(dtype: str, name: str, *operands: Any) -> Any:
    """A function of C's library, which CUDA has too."""
    return T.call_pure_extern(dtype, name, *operands)


def _sqrt(value: Any) -> Any:
    return _call("float64", "sqrt", value)


def softmax(name: str, spec: Softmax) -> Any:
    """The kernel of :class:`Softmax`."""
    count = spec.dims[-1]

    def body(n: Any) -> None:
        x = View("x", spec.x, n)
        table = argument("table", 256, "int32")
        out = View("out", spec.out, n)
        with each_row(n, math.prod(spec.dims[:-1])) as (sample, row, lane):
            outer = indices_of(row, spec.dims[:-1])

            def code(i: Any) -> Any:
                return tirx.Cast("int32", x.load(sample, [*outer, i]))

            own = Register("int32", 0)
            with shared_out(count, lane) as i:
                own.set(tirx.Max(own.value, code(i)))
            largest = warp_max(own.value, "int32")
            part = Register("int32", 0)
            with shared_out(count, lane) as i:
                part.set(part.value + table[largest - code(i)])
            total = warp_sum(part.value, "int32")
            share = _code_of(total, spec.bits) if spec.bits else _ratio_to(total)
            with shared_out(count, lane) as i:
                out.store(sample, [*outer, i], share(table[largest - code(i)]))

    return device_func(name, body)


def _ratio_to(total: Any) -> Callable[[Any], Any]:
    below = T.Bind(tirx.Cast("float64", total))
    return lambda power: tirx.Cast("float32", tirx.Cast("float64", power) / below)


def _code_of(total: Any, bits: int) -> Callable[[Any], Any]:
    whole = T.Bind(_int64(total))
    unit, largest = tirx.const(2 << bits, "int64"), tirx.const((1 << bits) - 1, "int64")

    def code(power: Any) -> Any:
        rounded = tirx.truncdiv(_int64(power) * unit + whole, whole + whole)
        return tirx.Cast("int32", tirx.Min(rounded, largest))

    return code


def masked_softmax(name: str, spec: MaskedSoftmax) -> Any:
    """The kernel of :class:`MaskedSoftmax`."""
    count = spec.dims[-1]

    def body(n: Any) -> None:
        x, hidden = View("x", spec.x, n), View("hidden", spec.hidden, n)
        table = argument("table", 256, "int32")
        out = View("out", spec.out, n)
        with each_row(n, math.prod(spec.dims[:-1])) as (sample, row, lane):
            outer = indices_of(row, spec.dims[:-1])

            def code(i: Any) -> Any:
                return tirx.Cast("int32", x.load(sample, [*outer, i]))

            def covered(i: Any) -> Any:
                return hidden.load(sample, [*outer, i]) != tirx.const(0, "uint8")

            shown, any_code = Register("int32", -1), Register("int32", -1)
            with shared_out(count, lane) as i:
                value = T.Bind(code(i))
                shown.set(tirx.Max(shown.value, tirx.Select(covered(i), int32(-1), value)))
                any_code.set(tirx.Max(any_code.value, value))
            highest = warp_max(shown.value, "int32")
            lowest = warp_max(any_code.value, "int32")

            def power(i: Any) -> Any:
                seen = table[tirx.Max(highest - code(i), int32(0))]
                empty = (table[0], table[lowest - code(i)], int32(0))[spec.empty]
                some = tirx.Select(covered(i), int32(0), seen)
                return tirx.Select(highest < int32(0), empty, some)

            part = Register("int32", 0)
            with shared_out(count, lane) as i:
                part.set(part.value + power(i))
            share = _ratio_to(tirx.Max(warp_sum(part.value, "int32"), int32(1)))
            with shared_out(count, lane) as i:
                out.store(sample, [*outer, i], share(power(i)))

    return device_func(name, body)


def float_softmax(name: str, spec: FloatSoftmax) -> Any:
    """The kernel of :class:`FloatSoftmax`."""
    count = spec.dims[-1]

    def body(n: Any) -> None:
        x, out = View("x", spec.x, n), View("out", spec.out, n)
        with each_row(n, math.prod(spec.dims[:-1])) as (sample, row, lane):
            outer = indices_of(row, spec.dims[:-1])
            own = Register("float32", -math.inf)
            with shared_out(count, lane) as i:
                value = T.Bind(x.load(sample, [*outer, i]))
                own.set(combined("max", own.value, value))
            largest = warp_max(own.value, "float32")

            def power(i: Any) -> Any:
                return float_math.exp(T.Bind(x.load(sample, [*outer, i]) - largest))

            part = Register("float32", 0.0)
            with shared_out(count, lane) as i:
                part.set(part.value + power(i))
            total = warp_sum(part.value, "float32")
            shift = T.Bind(largest + float_math.log(total)) if spec.log else None
            with shared_out(count, lane) as i:
                value = x.load(sample, [*outer, i]) if spec.log else power(i)
                out.store(sample, [*outer, i], value / total if shift is None else value - shift)

    return device_func(name, body)


def float_layer_norm(name: str, spec: FloatLayerNorm) -> Any:
    """The kernel of :class:`FloatLayerNorm`."""
    count = spec.dims[-1]
    size = tirx.const(float(count), "float32")

    def body(n: Any) -> None:
        x, gamma, beta = (
            View(label, operand, n)
            for label, operand in zip(("x", "gamma", "beta"), spec.inputs, strict=True)
        )
        out = View("out", spec.out, n)
        with each_row(n, math.prod(spec.dims[:-1])) as (sample, row, lane):
            outer = indices_of(row, spec.dims[:-1])
            mean: Any = tirx.const(0.0, "float32")
            if spec.centred:
                part = Register("float32", 0.0)
                with shared_out(count, lane) as i:
                    part.set(part.value + x.load(sample, [*outer, i]))
                mean = T.Bind(warp_sum(part.value, "float32") / size)
            squares = Register("float32", 0.0)
            with shared_out(count, lane) as i:
                moved = T.Bind(x.load(sample, [*outer, i]) - mean)
                squares.set(squares.value + moved * moved)
            variance = warp_sum(squares.value, "float32") / size
            eps = tirx.const(spec.eps, "float32")
            root = T.Bind(_call("float32", "sqrtf", variance + eps))
            with shared_out(count, lane) as i:
                indices = [*outer, i]
                normal = (x.load(sample, indices) - mean) / root
                result = normal * gamma.load(sample, indices) + beta.load(sample, indices)
                out.store(sample, indices, result)

    return device_func(name, body)
