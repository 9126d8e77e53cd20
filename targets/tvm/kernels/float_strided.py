"""float32 kernels over strided loops: reductions, pooling, softmax, normalization, products."""

from __future__ import annotations

import contextlib
import math
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.kernels import float_math, tir
from actc.targets.tvm.kernels.elementwise import View, loops, open_views, pieces, sweep
from actc.targets.tvm.kernels.float_spec import (
    FloatLayerNorm,
    FloatMatMul,
    FloatPool,
    FloatReduce,
    FloatSoftmax,
)
from actc.targets.tvm.kernels.parallel import spread_loops
from actc.targets.tvm.kernels.reduce import Accumulator, pooling_taps

LANES = 16
ROWS = 8


def float_reduce_prim_func(name: str, spec: FloatReduce, features: frozenset[str]) -> Any:
    """The PrimFunc of a reduction; buffers as `FloatReduce` says."""
    count = math.prod(spec.over)

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        x, out = View("x", spec.x, batch), View("out", spec.out, batch)
        open_views(x, out)
        stride = spec.x.strides[len(spec.dims) - 1]
        work = math.prod(spec.dims) * count // 8
        with spread_loops(batch, spec.dims[:-1], work) as (sample, *outer):

            def step(start: Any, lanes: int) -> None:
                total = Accumulator("float32", lanes, _neutral(spec.kind))
                with loops(spec.over) as inner:
                    at = x.at(sample, [*outer, start, *inner])
                    value = x.data[at if lanes == 1 else tirx.Ramp(at, stride, lanes)]
                    total.set(_combine(spec.kind, total.value(lanes), value))
                result = total.value(lanes)
                if spec.kind == "mean":
                    result = result / tir.const(count, "float32", result)
                out.store(out.at(sample, [*outer, start]), result)

            sweep(spec.dims[-1], LANES if stride == 1 else 1, step)

    return tir.prim_func(name, body)


def _neutral(kind: str) -> float:
    return {"max": -math.inf, "min": math.inf}.get(kind, 0.0)


def _combine(kind: str, total: Any, value: Any) -> Any:
    if kind == "max":
        return tirx.Max(total, value)
    return tirx.Min(total, value) if kind == "min" else total + value


def float_pool_prim_func(name: str, spec: FloatPool, features: frozenset[str]) -> Any:
    """The PrimFunc of a maximum or average over windows; buffers as `FloatPool` says."""
    size_in = (spec.in_h, spec.in_w, spec.lanes)
    size_out = (spec.out_h, spec.out_w, spec.lanes)
    kind = "max" if spec.kind == "max" else "sum"

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        x = T.arg("x", T.buffer((batch, *size_in), "float32"))
        out = T.arg("out", T.buffer((batch, *size_out), "float32"))
        work = math.prod(size_out) * math.prod(spec.kernel) // 8
        with spread_loops(batch, [spec.out_h, spec.out_w], work) as (n, i, j):
            taps = pooling_taps(spec, i, j)

            def step(start: Any, lanes: int) -> None:
                total = Accumulator("float32", lanes, _neutral(kind))
                for row, column, inside in taps:
                    with _guard(inside):
                        value = x[n, row, column, tir.span(start, lanes)]
                        total.set(_combine(kind, total.value(lanes), value))
                result = total.value(lanes)
                if spec.kind == "average":
                    result = result / _broadcast(_divisor(spec, taps), lanes)
                T.buffer_store(out, result, [n, i, j, tir.span(start, lanes)])

            sweep(spec.lanes, LANES, step)

    return tir.prim_func(name, body)


def _guard(inside: Any) -> Any:
    """A block that runs if `inside` holds (None: always)."""
    stack = contextlib.ExitStack()
    if inside is not None:
        stack.enter_context(T.If(inside))
        stack.enter_context(T.Then())
    return stack


def _divisor(spec: FloatPool, taps: list[tuple[Any, Any, Any]]) -> Any:
    count = tirx.const(float(len(taps)), "float32")
    if spec.whole or all(inside is None for _, _, inside in taps):
        return count
    one, zero = tirx.const(1.0, "float32"), tirx.const(0.0, "float32")
    total = zero
    for _, _, inside in taps:
        total = total + (one if inside is None else tirx.Select(inside, one, zero))
    return total


def _broadcast(value: Any, lanes: int) -> Any:
    return value if lanes == 1 else tirx.Broadcast(value, lanes)


def _fold(
    view: View, sample: Any, outer: list[Any], count: int, kind: str, change: Any = None
) -> Any:
    """Sum or maximum along the last loop, of `change(value)` if given."""
    total = Accumulator("float32", LANES, _neutral(kind))

    def step(start: Any, lanes: int) -> None:
        value = view.load(view.at(sample, [*outer, start]), lanes)
        value = T.Bind(value if change is None else change(value, lanes))
        total.set(_combine(kind, total.value(lanes), value))

    sweep(count, LANES, step)
    return T.Bind(_across(total.buffer, kind))


def _across(lanes: Any, kind: str) -> Any:
    """Sum or maximum of the lanes of a local vector, half by half."""
    width = LANES
    while width > 1:
        width //= 2
        halves = [lanes[tir.span(start, width)] for start in (0, width)]
        lanes = T.alloc_buffer((width,), "float32", scope=tir.register_scope())
        T.buffer_store(lanes, _combine(kind, *halves), [tir.span(0, width)])
    return lanes[0]


def float_softmax_prim_func(name: str, spec: FloatSoftmax, features: frozenset[str]) -> Any:
    """The PrimFunc of softmax; buffers as `FloatSoftmax` says."""
    count = spec.dims[-1]

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        x, out = View("x", spec.x, batch), View("out", spec.out, batch)
        open_views(x, out)
        with spread_loops(batch, spec.dims[:-1], 4 * math.prod(spec.dims)) as (sample, *outer):
            largest = _fold(x, sample, outer, count, "max")

            total = Accumulator("float32", LANES)

            def power(start: Any, lanes: int) -> None:
                indices = [*outer, start]
                value = x.load(x.at(sample, indices), lanes) - _broadcast(largest, lanes)
                result = T.Bind(float_math.exp(T.Bind(value)))
                if not spec.log:
                    out.store(out.at(sample, indices), result)
                total.set(total.value(lanes) + result)

            sweep(count, LANES, power)
            whole = T.Bind(_across(total.buffer, "sum"))
            if spec.log:
                change = T.Bind(float_math.log(whole))
            else:
                change = T.Bind(tirx.const(1.0, "float32") / whole)

            def step(start: Any, lanes: int) -> None:
                indices = [*outer, start]
                at, other = out.at(sample, indices), _broadcast(change, lanes)
                if spec.log:  # the largest first: next to a large number the logarithm is lost
                    value = x.load(x.at(sample, indices), lanes) - _broadcast(largest, lanes)
                    out.store(at, T.Bind(value) - other)
                else:
                    out.store(at, out.load(at, lanes) * other)

            sweep(count, LANES, step)

    return tir.prim_func(name, body)


def float_layer_norm_prim_func(name: str, spec: FloatLayerNorm, features: frozenset[str]) -> Any:
    """The PrimFunc of layer normalization; buffers as `FloatLayerNorm` says."""
    count = spec.dims[-1]

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        x, gamma, beta = (
            View(label, o, batch)
            for label, o in zip(("x", "gamma", "beta"), spec.inputs, strict=True)
        )
        out = View("out", spec.out, batch)
        open_views(x, gamma, beta, out)
        size = tirx.const(float(count), "float32")
        with spread_loops(batch, spec.dims[:-1], math.prod(spec.dims)) as (sample, *outer):
            mean = T.Bind(_fold(x, sample, outer, count, "sum") / size) if spec.centred else None

            def moved_by(value: Any, lanes: int) -> Any:
                return value if mean is None else value - _broadcast(mean, lanes)

            def square(value: Any, lanes: int) -> Any:
                moved = moved_by(value, lanes)
                return moved * moved

            variance = _fold(x, sample, outer, count, "sum", square) / size
            root = T.sqrt(variance + tirx.const(spec.eps, "float32"))
            inverse = T.Bind(tirx.const(1.0, "float32") / root)

            def step(start: Any, lanes: int) -> None:
                indices = [*outer, start]
                moved = moved_by(x.load(x.at(sample, indices), lanes), lanes)
                normal = moved * _broadcast(inverse, lanes)
                scaled = normal * gamma.load(gamma.at(sample, indices), lanes)
                result = scaled + beta.load(beta.at(sample, indices), lanes)
                out.store(out.at(sample, indices), result)

            sweep(count, LANES, step)

    return tir.prim_func(name, body)


def float_matmul_prim_func(name: str, spec: FloatMatMul, features: frozenset[str]) -> Any:
    """The PrimFunc of a product of two activations; buffers as `FloatMatMul` says.

    Vectors run along the columns. Where `b` does not have them side by side, each of its
    matrices is transposed into scratch memory first.
    """
    *outer_dims, _rows, columns = spec.dims
    beside = spec.b.strides[-2] == 1
    width = -(-columns // LANES) * LANES

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        a, b, out = View("a", spec.a, batch), View("b", spec.b, batch), View("out", spec.out, batch)
        open_views(a, b, out)
        work = math.prod(spec.dims) * spec.depth // 8
        with spread_loops(batch, outer_dims, work) as (sample, *outer):
            place = [sample, *outer]
            if beside:

                def right(start: Any, k: Any, lanes: int) -> Any:
                    zero = tirx.const(0, "int64")
                    return b.data[tir.span(b.at(sample, [*outer, zero, start, k]), lanes)]

                _product(spec, a, right, out, place, padded=False)
            else:
                packed = T.alloc_buffer((spec.depth * width,), "float32")
                _transpose(spec, b, packed, place, width)

                def right(start: Any, k: Any, lanes: int) -> Any:
                    return packed[tir.span(k * width + start, lanes)]

                _product(spec, a, right, out, place, padded=True)

    return tir.prim_func(name, body)


def _transpose(spec: FloatMatMul, b: View, packed: Any, place: list[Any], width: int) -> None:
    """Copy a matrix of `b` so that its columns lie side by side, in rows of `width`."""
    sample, *outer = place
    zero, stride = tirx.const(0, "int64"), spec.b.strides[-2]
    with loops([spec.depth]) as (k,):

        def step(start: Any, lanes: int) -> None:
            at = b.at(sample, [*outer, zero, start, k])
            value = b.data[at if lanes == 1 else tirx.Ramp(at, stride, lanes)]
            T.buffer_store(packed, value, [tir.span(k * width + start, lanes)])

        if spec.dims[-1] % LANES:
            # Leftovers there, as denormal numbers, would slow the products down.
            nothing = _broadcast(tirx.const(0.0, "float32"), LANES)
            T.buffer_store(packed, nothing, [tir.span(k * width + (width - LANES), LANES)])
        sweep(spec.dims[-1], LANES, step)


def _product(
    spec: FloatMatMul, a: View, right: Any, out: View, place: list[Any], *, padded: bool
) -> None:
    """Blocks of rows times vectors of columns; `padded`: those may be read beyond the last."""
    sample, *outer = place
    *_, rows, columns = spec.dims

    def block(first: Any, height: int) -> None:
        def totals_of(start: Any, lanes: int) -> list[Accumulator]:
            totals = [Accumulator("float32", lanes) for _ in range(height)]
            with loops([spec.depth]) as (k,):
                factor = T.Bind(right(start, k, lanes))
                for row, total in enumerate(totals):
                    left = a.data[a.at(sample, [*outer, first + row, start, k])]
                    fused = tirx.call_llvm_pure_intrin(
                        tir.vector("float32", lanes), "llvm.fmuladd",
                        _broadcast(left, lanes), factor, total.value(lanes),
                    )  # fmt: skip
                    total.set(fused)
            return totals

        def step(start: Any, lanes: int) -> None:
            for row, total in enumerate(totals_of(start, lanes)):
                out.store(out.at(sample, [*outer, first + row, start]), total.value(lanes))

        whole = columns // LANES * LANES
        if not padded or whole == columns:
            sweep(columns, LANES, step)
            return
        if whole:
            sweep(whole, LANES, step)
        for row, total in enumerate(totals_of(tirx.const(whole, "int64"), LANES)):
            start = 0
            for lanes in pieces(columns - whole, LANES):
                at = out.at(sample, [*outer, first + row, tirx.const(whole + start, "int64")])
                out.store(at, total.buffer[tir.span(start, lanes)])
                start += lanes

    sweep(rows, ROWS, block)
