"""float32 kernels over strided loops: reductions, pooling, softmax, normalization, products."""

from __future__ import annotations

import contextlib
import math
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.kernels import float_math, tir
from actc.targets.tvm.kernels.elementwise import View, loops, open_views, sweep
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
ROWS = 4


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
    result = total.buffer[0]
    for lane in range(1, LANES):
        result = _combine(kind, result, total.buffer[lane])
    return T.Bind(result)


def float_softmax_prim_func(name: str, spec: FloatSoftmax, features: frozenset[str]) -> Any:
    """The PrimFunc of softmax; buffers as `FloatSoftmax` says."""
    count = spec.dims[-1]

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        x, out = View("x", spec.x, batch), View("out", spec.out, batch)
        open_views(x, out)
        with spread_loops(batch, spec.dims[:-1], 4 * math.prod(spec.dims)) as (sample, *outer):
            largest = _fold(x, sample, outer, count, "max")

            def power(value: Any, lanes: int) -> Any:
                return float_math.exp(T.Bind(value - _broadcast(largest, lanes)))

            total = _fold(x, sample, outer, count, "sum", power)
            shift = T.Bind(float_math.log(total)) if spec.log else None

            def step(start: Any, lanes: int) -> None:
                indices = [*outer, start]
                value = x.load(x.at(sample, indices), lanes)
                if shift is None:
                    result = power(value, lanes) / _broadcast(total, lanes)
                else:
                    result = value - _broadcast(largest + shift, lanes)
                out.store(out.at(sample, indices), result)

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
            root = T.Bind(T.sqrt(variance + tirx.const(spec.eps, "float32")))

            def step(start: Any, lanes: int) -> None:
                indices = [*outer, start]
                moved = moved_by(x.load(x.at(sample, indices), lanes), lanes)
                normal = moved / _broadcast(root, lanes)
                scaled = normal * gamma.load(gamma.at(sample, indices), lanes)
                result = scaled + beta.load(beta.at(sample, indices), lanes)
                out.store(out.at(sample, indices), result)

            sweep(count, LANES, step)

    return tir.prim_func(name, body)


def float_matmul_prim_func(name: str, spec: FloatMatMul, features: frozenset[str]) -> Any:
    """The PrimFunc of a product of two activations; buffers as `FloatMatMul` says.

    Vectors run along the columns if `b` has them side by side, else along the depth.
    """
    *outer_dims, rows, columns = spec.dims
    b_column, b_depth = spec.b.strides[-2:]

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        views = (View("a", spec.a, batch), View("b", spec.b, batch), View("out", spec.out, batch))
        open_views(*views)
        with loops([batch, *outer_dims]) as (sample, *outer):
            if b_column == 1 or b_depth != 1:
                _column_product(spec, views, sample, outer, rows, columns)
            else:
                _dot_product(spec, views, sample, outer, rows, columns)

    return tir.prim_func(name, body)


def _column_product(
    spec: FloatMatMul, views: tuple[View, View, View], sample: Any, outer: list[Any],
    rows: int, columns: int,
) -> None:  # fmt: skip
    a, b, out = views
    stride = spec.b.strides[-2]

    def block(first: Any, height: int) -> None:
        def step(start: Any, lanes: int) -> None:
            totals = [Accumulator("float32", lanes) for _ in range(height)]
            with loops([spec.depth]) as (k,):
                at = b.at(sample, [*outer, first, start, k])
                right = T.Bind(b.data[at if lanes == 1 else tirx.Ramp(at, stride, lanes)])
                for row, total in enumerate(totals):
                    left = a.data[a.at(sample, [*outer, first + row, start, k])]
                    total.set(total.value(lanes) + _broadcast(left, lanes) * right)
            for row, total in enumerate(totals):
                out.store(out.at(sample, [*outer, first + row, start]), total.value(lanes))

        sweep(columns, LANES, step)

    sweep(rows, ROWS, block)


def _dot_product(
    spec: FloatMatMul, views: tuple[View, View, View], sample: Any, outer: list[Any],
    rows: int, columns: int,
) -> None:  # fmt: skip
    a, b, out = views
    with loops([rows, columns]) as (i, j):
        total = Accumulator("float32", LANES)

        def step(start: Any, lanes: int) -> None:
            indices = [*outer, i, j, start]
            product = a.load(a.at(sample, indices), lanes) * b.load(b.at(sample, indices), lanes)
            total.set(total.value(lanes) + product)

        sweep(spec.depth, LANES, step)
        result = total.buffer[0]
        for lane in range(1, LANES):
            result = result + total.buffer[lane]
        out.store(out.at(sample, [*outer, i, j]), result)
