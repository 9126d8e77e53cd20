"""Depthwise convolutions: a strip of a row per thread, its inputs and weights in registers.

A thread computes neighbouring results of one row, for four channels of codes or one of float32.
For each row of the window it loads what the strip sees of the map once, and the row's weights
once; neighbouring threads have neighbouring channels, so that a warp reads whole lines.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.cuda.kernels.thread import (
    argument,
    device_func,
    each_item,
    indices_of,
    int32,
    memory,
    when,
    widened,
)
from actc.targets.tvm.kernels.conv_vector import word_of_bytes
from actc.targets.tvm.kernels.float_spec import FloatConv
from actc.targets.tvm.kernels.spec import ConvSpec, padded

STRIP = 4
"""Results of a thread along a row."""
_MOST_REGISTERS = 48
CODES = 4
"""Channels of codes in a word, which a thread takes together."""


def fits(spec: ConvSpec) -> bool:
    """Whether a strip saves loads: windows overlap, and registers hold what a row of them sees."""
    wide = spec.out_w >= STRIP and spec.kernel[1] > spec.strides[1]
    return spec.depthwise and wide and _span(spec) + spec.kernel[1] <= _MOST_REGISTERS


def _span(spec: ConvSpec) -> int:
    """Columns of the map that a strip sees."""
    return (STRIP - 1) * spec.strides[1] + (spec.kernel[1] - 1) * spec.dilations[1] + 1


def depthwise_conv(name: str, spec: ConvSpec) -> Any:
    """A depthwise convolution of codes; weights lie as int8 (taps, padded(O))."""
    from actc.targets.tvm.cuda.kernels.direct import ConvEpilogue

    def body(n: Any) -> None:
        lanes = padded(spec.out_c)
        pixels = tirx.Cast("int64", n) * (spec.in_h * spec.in_w)
        x = argument("x", pixels * (lanes // CODES), "int32")
        taps = spec.kernel[0] * spec.kernel[1]
        weight = argument("weight", taps * (lanes // CODES), "int32")
        strips = _Strips(spec, n, ConvEpilogue(spec, spec.epilogue, n), CODES)
        strips.load = lambda at: x[at]
        strips.weight = lambda at: weight[at]
        strips.border = int32(word_of_bytes(spec.x_zero))
        strips.value, strips.factor = _code, _signed
        strips.emit("int32", "int32", lambda total, a, b: total + a * b)

    return device_func(name, body)


def depthwise_float_conv(name: str, spec: FloatConv, x_type: str, out: str) -> Any:
    """A depthwise convolution of float32; weights lie as (taps, padded(O))."""
    from actc.targets.tvm.cuda.kernels.direct import FloatEpilogue, fused_multiply_add

    conv = spec.conv

    def body(n: Any) -> None:
        lanes = padded(conv.out_c)
        pixels = tirx.Cast("int64", n) * (conv.in_h * conv.in_w)
        x = memory("x", pixels * lanes, x_type)
        weight = argument("weight", conv.kernel[0] * conv.kernel[1] * lanes, "float32")
        strips = _Strips(conv, n, FloatEpilogue(conv, spec.function, n, out), 1)
        strips.load = lambda at: widened(x[at], x_type)
        strips.weight = lambda at: weight[at]
        strips.border = tirx.const(0.0, "float32")
        strips.value = strips.factor = lambda word, _: word

        def add(total: Any, a: Any, b: Any) -> Any:
            return fused_multiply_add(a, b, total)

        strips.emit("float32", "float32", add)

    return device_func(name, body)


def _code(word: Any, k: int) -> Any:
    """Unsigned byte `k` of a word."""
    return tirx.bitwise_and(word >> int32(8 * k), int32(255))


def _signed(word: Any, k: int) -> Any:
    """Signed byte `k` of a word."""
    up = tirx.reinterpret(
        "int32", tirx.reinterpret("uint32", word) << tirx.const(24 - 8 * k, "uint32")
    )
    return up >> int32(24)


class _Strips:
    """Writes the code of a thread; what differs between codes and float32 is set from outside."""

    load: Any
    weight: Any
    border: Any
    value: Any
    factor: Any

    def __init__(self, spec: ConvSpec, n: Any, epilogue: Any, together: int) -> None:
        self._spec, self._n, self._epilogue, self._together = spec, n, epilogue, together
        self._groups = padded(spec.out_c) // together

    def emit(self, word: str, dtype: str, add: Any) -> None:
        """All of it, behind the arguments."""
        spec, strips = self._spec, -(-self._spec.out_w // STRIP)
        dims = (spec.out_h, strips, self._groups)
        with each_item(self._n, dims[0] * dims[1] * dims[2]) as (sample, item):
            i, strip, group = indices_of(item, dims)
            first = T.Bind(tirx.Cast("int64", sample) * (spec.in_h * spec.in_w * self._groups))
            self._sums = T.alloc_buffer((STRIP * self._together,), dtype, scope="local")
            for at in range(STRIP * self._together):
                bias = self._epilogue.bias[group * self._together + at % self._together]
                T.buffer_store(self._sums, bias, [at])
            seen = T.alloc_buffer((_span(spec),), word, scope="local")
            left = T.Bind(strip * (STRIP * spec.strides[1]) - spec.pads[1])
            with T.serial(0, spec.kernel[0]) as u:
                row = T.Bind(i * spec.strides[0] + u * spec.dilations[0] - spec.pads[0])
                self._see(seen, row, left, first, group)
                for v in range(spec.kernel[1]):
                    weight = T.Bind(self.weight((u * spec.kernel[1] + v) * self._groups + group))
                    self._multiply(seen, v, weight, add)
            self._store(sample, i, strip, group)

    def _see(self, seen: Any, row: Any, left: Any, first: Any, group: Any) -> None:
        """Load what the strip sees of a row of the map."""
        spec = self._spec
        down = tirx.And(row >= 0, row < spec.in_h)
        for q in range(_span(spec)):
            column = T.Bind(left + q)
            T.buffer_store(seen, self.border, [q])
            with when(tirx.And(down, tirx.And(column >= 0, column < spec.in_w))):
                at = first + tirx.Cast("int64", (row * spec.in_w + column) * self._groups + group)
                T.buffer_store(seen, self.load(at), [q])

    def _multiply(self, seen: Any, v: int, weight: Any, add: Any) -> None:
        spec = self._spec
        for k in range(self._together):
            factor = T.Bind(self.factor(weight, k))
            for p in range(STRIP):
                at = p * self._together + k
                value = self.value(seen[p * spec.strides[1] + v * spec.dilations[1]], k)
                T.buffer_store(self._sums, add(self._sums[at], value, factor), [at])

    def _store(self, sample: Any, i: Any, strip: Any, group: Any) -> None:
        spec, lanes = self._spec, padded(self._spec.out_c)
        start = T.Bind(tirx.Cast("int64", sample) * (spec.out_h * spec.out_w * lanes))
        for p in range(STRIP):
            j = T.Bind(strip * STRIP + p)
            with when(j < spec.out_w if spec.out_w % STRIP else None):
                for k in range(self._together):
                    channel = T.Bind(group * self._together + k)
                    inner = (i * spec.out_w + j) * lanes + channel
                    total = self._sums[p * self._together + k]
                    self._epilogue.store(total, start + tirx.Cast("int64", inner), channel)
