"""Elementwise kernels: one loop nest, vectors along the innermost loop."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.kernels import tir
from actc.targets.tvm.kernels.attention_spec import Logic
from actc.targets.tvm.kernels.float_spec import Apply, FloatTable
from actc.targets.tvm.kernels.logic import apply_logic
from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.parallel import MOST_TASKS, spread_loops
from actc.targets.tvm.kernels.scalar_function import apply_function
from actc.targets.tvm.kernels.spec import Epilogue
from actc.targets.tvm.kernels.staircase import count_passed, search
from actc.targets.tvm.kernels.stream import stream_table, streams
from actc.targets.tvm.kernels.strided import (
    Add,
    Concat,
    Copy,
    Count,
    Dequantize,
    Elementwise,
    Mul,
    Operation,
    Quantize,
    Search,
    TableKind,
)

NARROW_VECTOR = 16
"""Lanes of a step of what holds many values at a time, or gathers."""

VECTOR = 64
"""Lanes of the widest step; LLVM splits what the CPU's registers do not hold."""

_LEAST_CHUNK = 4096
"""Elements of a piece of a long loop, at least."""


class View:
    """A buffer argument seen flat, with the strides of its operand."""

    def __init__(self, name: str, operand: Operand, batch: Any) -> None:
        shape = (batch, *operand.shape) if operand.batched else operand.shape
        self.operand = operand
        self.count = operand.size * batch if operand.batched else operand.size
        align = 64 if operand.aligned else np.dtype(operand.dtype).itemsize
        self.buffer = T.arg(name, T.buffer(shape, operand.dtype, align=align))
        self.data: Any = None

    def open(self) -> None:
        """Declare the flat view; only after the function's last argument."""
        self.data = tir.flat(self.buffer, self.count)

    def at(self, sample: Any, indices: Sequence[Any]) -> Any:
        """Flat index of the element that the loops' `indices` belong to."""
        index = tirx.const(self.operand.offset, "int64")
        if self.operand.batched:
            index = index + sample * self.operand.size
        for i, stride in zip(indices, self.operand.strides, strict=True):
            if stride:
                index = index + i * stride
        return index

    def load(self, start: Any, lanes: int) -> Any:
        """`lanes` elements along the innermost loop."""
        stride = self.operand.strides[-1]
        if lanes == 1:
            return self.data[start]
        if stride == 0:
            return tirx.Broadcast(self.data[start], lanes)
        return self.data[tirx.Ramp(start, stride, lanes)]

    def store(self, start: Any, value: Any) -> None:
        """Emit a store of a vector along the innermost loop."""
        lanes = tir.lanes_of(value)
        index = start if lanes == 1 else tirx.Ramp(start, self.operand.strides[-1], lanes)
        T.buffer_store(self.data, value, [index])


@contextlib.contextmanager
def loops(extents: Sequence[Any]) -> Iterator[list[Any]]:
    """Nested serial loops; yields their variables (int64)."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(T.serial(tirx.const(0, "int64"), e)) for e in map(_int64, extents)
        ]


def _int64(extent: Any) -> Any:
    return tirx.const(extent, "int64") if isinstance(extent, int) else extent


def pieces(extent: int, width: int) -> list[int]:
    """`extent` below `width` as powers of two, largest first: what no full vector takes."""
    return [1 << k for k in range(width.bit_length() - 1, -1, -1) if extent >> k & 1]


def sweep(extent: int, width: int, step: Callable[[Any, int], None]) -> None:
    """Emit `step(start, lanes)` over `extent` elements: full vectors, then the rest."""
    full = extent // width
    if full:
        with T.serial(tirx.const(0, "int64"), tirx.const(full, "int64")) as block:
            step(block * width, width)
    start = full * width
    for lanes in pieces(extent - start, width):
        step(tirx.const(start, "int64"), lanes)
        start += lanes


def apply(operation: Operation, values: Sequence[Any], features: frozenset[str]) -> Any:
    """The operation as an expression over the loaded inputs."""
    a = values[0]
    match operation:
        case Copy():
            return a
        case Add(a_mul, b_mul, bias):
            left = tir.cast("int32", a) * tir.const(a_mul, "int32", a)
            right = tir.cast("int32", values[1]) * tir.const(b_mul, "int32", a)
            return left + right + tir.const(bias, "int32", a)
        case Mul(a_zero, b_zero):
            left = tir.cast("int32", a) - tir.const(a_zero, "int32", a)
            return left * (tir.cast("int32", values[1]) - tir.const(b_zero, "int32", a))
        case Quantize(scale, zero):
            return quantize(a, scale, zero)
        case Dequantize(zero):
            moved = tir.cast("int32", a) - tir.const(zero, "int32", a)
            return tir.cast("float32", moved) * values[1]
        case Apply(function):
            return apply_function(function, values, features)
        case Logic():
            return apply_logic(operation, values)
        case Count():
            return count_passed(values)
    raise AssertionError(operation)


def quantize(x: Any, scale: float, zero: int) -> Any:
    """QuantizeLinear as onnxruntime computes it: a NaN becomes the lowest code.

    Clamping before rounding is the same and keeps the conversion to int32 in range.
    """
    ratio = x / tir.const(float(np.float32(scale)), "float32", x)
    low, high = (tir.const(bound - zero, "float32", x) for bound in (0, 255))
    ratio = tirx.Select(ratio > low, ratio, low)
    ratio = tirx.Select(ratio < high, ratio, high)
    whole = tir.cast("int32", T.nearbyint(ratio))
    return tir.cast("uint8", whole + tir.const(zero, "int32", x))


class Finish:
    """What follows the operation: requantization, then a table."""

    def __init__(
        self,
        requantize: Epilogue | None,
        table: TableKind,
        operands: Sequence[Operand],
        table_size: int,
        batch: Any,
    ) -> None:
        rest = list(operands)
        self.epilogue = requantize
        self.kind = table
        self.multiplier = View("multiplier", rest.pop(0), batch) if requantize else None
        self.offset = View("offset", rest.pop(0), batch) if table == "channel" else None
        self.table = T.arg("table", T.buffer((table_size,), "uint8")) if table != "none" else None

    def open(self) -> None:
        """Declare the flat views; only after the function's last argument."""
        for view in (self.multiplier, self.offset):
            if view is not None:
                view.open()

    def code(self, value: Any, sample: Any, indices: Sequence[Any]) -> Any:
        """The value requantized, without the table."""
        if self.multiplier is None or self.epilogue is None:
            return value
        factor = self.multiplier.load(self.multiplier.at(sample, indices), tir.lanes_of(value))
        return tir.requantize(value, factor, self.epilogue)

    def store(
        self,
        value: Any,
        out: View,
        sample: Any,
        indices: Sequence[Any],
        features: frozenset[str],
    ) -> None:
        """Emit requantization, table look-up and store of one vector."""
        code = self.code(value, sample, indices)
        lanes, start = tir.lanes_of(code), out.at(sample, indices)
        if self.table is None:
            out.store(start, code)
        elif self.offset is not None:
            base = self.offset.load(self.offset.at(sample, indices), lanes)
            out.store(start, tir.lookup(self.table, T.Bind(code), base))
        elif lanes == tir.TABLE_BLOCK and tir.has_byte_permute(features):
            out.store(start, tir.lookup64(self.table, T.Bind(code)))
        elif lanes > 1 and out.operand.strides[-1] == 1:
            out.store(start, code)
            tir.table_in_place(out.data, start, lanes, self.table, features)
        else:
            out.store(start, tir.lookup(self.table, T.Bind(code)))


def open_views(*views: View | Finish) -> None:
    """Declare the flat views of all arguments; only after the last of them."""
    for view in views:
        view.open()


def _nest(
    dims: Sequence[int],
    batch: Any,
    views: Sequence[View],
    operation: Operation,
    features: frozenset[str],
    finish: Callable[[Any, Any, list[Any]], None],
) -> None:
    narrow = isinstance(operation, (Apply, Search))
    width = NARROW_VECTOR if narrow else VECTOR
    outer_dims, size, chunk = dims[:-1], dims[-1], _chunk(dims)
    if chunk:
        outer_dims = (*dims[:-1], size // chunk)
    with spread_loops(batch, outer_dims, _work(dims, operation)) as (sample, *places):
        outer = places[: len(dims) - 1]

        def step(start: Any, lanes: int) -> None:
            indices = [*outer, start]
            if isinstance(operation, FloatTable):
                x, table = views
                value = T.Bind(x.load(x.at(sample, indices), lanes))
                code = tir.cast("int32", quantize(value, operation.scale, operation.zero))
                finish(table.data[code], sample, indices)
                return
            if isinstance(operation, Search):
                x, first, points, codes = views
                at = [view.load(view.at(sample, indices), lanes) for view in (x, first)]
                found = search(T.Bind(at[0]), at[1], points.data, codes.data, operation.levels)
                finish(found, sample, indices)
                return
            values = [T.Bind(view.load(view.at(sample, indices), lanes)) for view in views]
            finish(apply(operation, values, features), sample, indices)

        if not chunk:
            sweep(size, width, step)
            return
        first = T.Bind(places[-1] * chunk)
        sweep(chunk, width, lambda start, lanes: step(first + start, lanes))
        if size % chunk:
            rest = size // chunk * chunk
            with T.If(places[-1] >= size // chunk - 1), T.Then():
                sweep(size % chunk, width, lambda start, lanes: step(start + rest, lanes))


def _chunk(dims: Sequence[int]) -> int:
    """Elements of the pieces of a long innermost loop under few others; 0: it stays whole."""
    if math.prod(dims[:-1]) >= MOST_TASKS or dims[-1] < 2 * _LEAST_CHUNK:
        return 0
    pieces = min(MOST_TASKS, dims[-1] // _LEAST_CHUNK)
    return dims[-1] // pieces // VECTOR * VECTOR


def _work(dims: Sequence[int], operation: Operation) -> int:
    """Vector instructions of a sample, roughly."""
    each = 4 if isinstance(operation, Copy) else 16
    if isinstance(operation, Apply):
        each = 16 * len(operation.function.steps)
    return math.prod(dims) * each // NARROW_VECTOR


def elementwise_prim_func(name: str, spec: Elementwise, features: frozenset[str]) -> Any:
    """The PrimFunc of an elementwise kernel; buffers as `Elementwise` says."""

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        extra = int(spec.requantize is not None) + int(spec.table == "channel")
        count = len(spec.inputs) - extra
        views = [View(f"x{i}", o, batch) for i, o in enumerate(spec.inputs[:count])]
        rest = spec.inputs[count:]
        finish = Finish(spec.requantize, spec.table, rest, spec.table_size, batch)
        out = View("out", spec.out, batch)
        open_views(*views, finish, out)

        if streams(spec, features):
            stream_table(spec, views[0], finish.table, out, batch)
            return

        def store(value: Any, sample: Any, indices: list[Any]) -> None:
            finish.store(value, out, sample, indices, features)

        _nest(spec.dims, batch, views, spec.operation, features, store)

    return tir.prim_func(name, body)


def concat_prim_func(name: str, spec: Concat, features: frozenset[str]) -> Any:
    """The PrimFunc of several copies into one buffer."""

    def body() -> None:
        batch = tir.batch_var(spec.parts[0].batch)
        views = [View(f"x{i}", part.inputs[0], batch) for i, part in enumerate(spec.parts)]
        out = View("out", spec.parts[0].out, batch)
        open_views(*views, out)
        for view, part in zip(views, spec.parts, strict=True):
            _copy_part(view, _with_operand(out, part.out), part, batch, features)

    return tir.prim_func(name, body)


def _copy_part(
    view: View, out: View, part: Elementwise, batch: Any, features: frozenset[str]
) -> None:
    def store(value: Any, sample: Any, indices: list[Any]) -> None:
        out.store(out.at(sample, indices), value)

    _nest(part.dims, batch, [view], part.operation, features, store)


def _with_operand(view: View, operand: Operand) -> View:
    other = View.__new__(View)
    other.operand, other.buffer, other.data = operand, view.buffer, view.data
    other.count = view.count
    return other
