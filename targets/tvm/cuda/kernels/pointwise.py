"""Kernels of one thread per element: elementwise, concatenation, rows of a table, packed bits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.cuda.kernels.thread import (
    Finish,
    View,
    argument,
    device_func,
    each_item,
    indices_of,
    int32,
    place,
    when,
)
from actc.targets.tvm.kernels import tir
from actc.targets.tvm.kernels.binary_spec import WORD, Pack, Unpack, words
from actc.targets.tvm.kernels.elementwise import apply, quantize
from actc.targets.tvm.kernels.float_spec import FloatTable
from actc.targets.tvm.kernels.spec import padded
from actc.targets.tvm.kernels.staircase import search
from actc.targets.tvm.kernels.strided import Concat, Elementwise, Embed, Operation, Search

NO_FEATURES: frozenset[str] = frozenset()


def elementwise(name: str, spec: Elementwise) -> Any:
    """The kernel of :class:`Elementwise`."""
    extra = int(spec.requantize is not None) + int(spec.table == "channel")
    count = len(spec.inputs) - extra

    def body(n: Any) -> None:
        views = [View(f"x{i}", operand, n) for i, operand in enumerate(spec.inputs[:count])]
        finish = Finish(spec.requantize, spec.table, spec.inputs[count:], spec.table_size, n)
        out = View("out", spec.out, n)
        with each_item(n, math.prod(spec.dims)) as (sample, item):
            indices = indices_of(item, spec.dims)
            finish.store(_result(spec.operation, views, sample, indices), out, sample, indices)

    return device_func(name, body)


def _result(operation: Operation, views: Sequence[View], sample: Any, indices: list[Any]) -> Any:
    if isinstance(operation, FloatTable):
        x, table = views
        value = T.Bind(x.load(sample, indices))
        code = tir.cast("int32", quantize(value, operation.scale, operation.zero))
        return table.data[code]
    if isinstance(operation, Search):
        x, first, points, codes = views
        acc, start = T.Bind(x.load(sample, indices)), first.load(sample, indices)
        return search(acc, start, points.data, codes.data, operation.levels)
    return apply(operation, [T.Bind(v.load(sample, indices)) for v in views], NO_FEATURES)


def concat(name: str, spec: Concat) -> Any:
    """The kernel of :class:`Concat`: each thread copies an element of each part that has one."""
    sizes = [math.prod(part.dims) for part in spec.parts]

    def body(n: Any) -> None:
        views = [View(f"x{i}", part.inputs[0], n) for i, part in enumerate(spec.parts)]
        out = View("out", spec.parts[0].out, n)
        most = max(sizes)
        with each_item(n, most) as (sample, item):
            for view, part, size in zip(views, spec.parts, sizes, strict=True):
                with when(item < size if size < most else None):
                    indices = indices_of(item, part.dims)
                    value = view.load(sample, indices)
                    out.put(place(part.out, sample, indices), value)

    return device_func(name, body)


def embed(name: str, spec: Embed) -> Any:
    """The kernel of :class:`Embed`."""
    last = spec.rows - 1

    def body(n: Any) -> None:
        index = View("index", spec.index, n)
        table = argument("table", spec.rows * spec.width, "uint8")
        out = View("out", spec.out, n)
        with each_item(n, math.prod(spec.dims)) as (sample, item):
            indices = indices_of(item, spec.dims)
            wanted = T.Bind(index.load(sample, indices))
            known = tirx.And(wanted >= 0, wanted < last)
            row = T.Bind(tirx.Select(known, wanted, int32(last)))
            at = tirx.Cast("int64", row) * spec.width + tirx.Cast("int64", indices[-1])
            out.store(sample, indices, table[at])

    return device_func(name, body)


def pack(name: str, spec: Pack) -> Any:
    """The kernel of :class:`Pack`: one thread per word."""
    depth = words(spec.channels)
    dims = (spec.height * spec.width, depth)

    def body(n: Any) -> None:
        count = tirx.Cast("int64", n) * (spec.height * spec.width)
        x = argument("x", count * spec.lanes, spec.dtype)
        points = argument("points", depth * WORD, "int32") if spec.each else None
        flips = argument("flips", depth, "uint32") if spec.each else None
        out = argument("out", count * depth, "uint32")
        with each_item(n, math.prod(dims)) as (sample, item):
            pixel, index = indices_of(item, dims)
            whole = T.Bind(tirx.Cast("int64", sample) * dims[0] + tirx.Cast("int64", pixel))
            bits = T.alloc_buffer((1,), "uint32", scope="local")
            T.buffer_store(bits, tirx.const(0, "uint32"), [0])
            with T.serial(0, WORD) as bit:
                channel = T.Bind(index * WORD + bit)
                with when(channel < spec.channels if spec.channels % WORD else None):
                    value = x[whole * spec.lanes + tirx.Cast("int64", channel)]
                    if points is None:
                        test = value > tirx.const(spec.above, spec.dtype)
                    else:
                        test = tir.cast("int32", value) >= points[channel]
                    one = tirx.const(1, "uint32") << tirx.Cast("uint32", bit)
                    found = tirx.Select(test, one, tirx.const(0, "uint32"))
                    T.buffer_store(bits, bits[0] | found, [0])
            word = bits[0] if flips is None else bits[0] ^ flips[index]
            T.buffer_store(out, word, [whole * depth + tirx.Cast("int64", index)])

    return device_func(name, body)


def unpack(name: str, spec: Unpack) -> Any:
    """The kernel of :class:`Unpack`; lanes beyond the last channel hold the smaller code."""
    depth, width = words(spec.channels), padded(spec.channels)
    dims = (spec.height * spec.width, width)

    def body(n: Any) -> None:
        count = tirx.Cast("int64", n) * (spec.height * spec.width)
        x = argument("x", count * depth, "uint32")
        out = argument("out", count * width, "uint8")
        with each_item(n, math.prod(dims)) as (sample, item):
            pixel, channel = indices_of(item, dims)
            whole = T.Bind(tirx.Cast("int64", sample) * dims[0] + tirx.Cast("int64", pixel))
            word = x[whole * depth + tirx.Cast("int64", tirx.truncdiv(channel, int32(WORD)))]
            bit = tirx.Cast("uint32", tirx.truncmod(channel, int32(WORD)))
            own = (word >> bit) & tirx.const(1, "uint32")
            high, low = tirx.const(spec.high, "uint8"), tirx.const(spec.low, "uint8")
            code = tirx.Select(own != tirx.const(0, "uint32"), high, low)
            T.buffer_store(out, code, [whole * width + tirx.Cast("int64", channel)])

    return device_func(name, body)
