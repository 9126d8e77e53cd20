"""Matrix products of all ranks and types, and sums of products by Einstein's convention."""

from __future__ import annotations

from collections.abc import Sequence

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.generic import arithmetic as n
from actc.targets.tvm.generic.cast import convert
from actc.targets.tvm.generic.kernel import (
    WIDER,
    Array,
    Cell,
    Expr,
    Index,
    Kernel,
    KernelFunction,
    const,
    dtype_of,
    int64,
    keep,
    nest,
)
from actc.targets.tvm.generic.reductions import accumulator_type


def _matmul(k: Kernel) -> None:
    """Sums run along rows of the second operand, so that LLVM makes vectors of them."""
    a, b, out = k.inputs[0], k.inputs[1], k.out
    row, column = a.rank > 1, b.rank > 1
    front = out.shape[: out.rank - row - column]
    rows = a.shape[-2] if row else 1
    columns = b.shape[-1] if column else 1

    def left(batch: Index, i: Expr, d: Expr) -> Expr:
        return a[[*_broadcast(a, 2, batch), i, d] if row else [d]]

    def right(batch: Index, d: Expr, j: Expr) -> Expr:
        return b[[*_broadcast(b, 2, batch), d, j] if column else [d]]

    def place(batch: Index, i: Expr, j: Expr) -> list[Expr]:
        return [*batch, *([i] if row else []), *([j] if column else [])]

    half = out.dtype in WIDER  # then the sums of a row are taken beside it, in float32
    with nest([*front, rows]) as (*batch, i):
        sums = T.alloc_buffer((int64(columns),), out.compute) if half else None

        def total(j: Expr) -> Expr:
            return out[place(batch, i, j)] if sums is None else sums[j]

        def store(j: Expr, value: Expr) -> None:
            if sums is None:
                out.store(place(batch, i, j), value)
            else:
                T.buffer_store(sums, value, [j])

        with nest([columns]) as (j,):
            store(j, const(0, out.compute))
        with nest([a.shape[-1]]) as (d,):
            factor = keep(left(batch, i, d))
            with nest([columns]) as (j,):
                store(j, n.add(total(j), n.multiply(factor, right(batch, d, j))))
        if sums is not None:
            with nest([columns]) as (j,):
                out.store(place(batch, i, j), sums[j])


def _broadcast(x: Array, matrix: int, batch: Index) -> list[Expr]:
    """The index of the axes in front of a matrix, for that of the result."""
    extents = x.shape[: x.rank - matrix]
    own = list(batch)[len(batch) - len(extents) :]
    return [int64(0) if e == 1 else i for i, e in zip(own, extents, strict=True)]


def _gemm(k: Kernel) -> None:
    a, b, *rest = k.inputs
    c = rest[0] if rest else None
    across, down = k.attribute("transA", 0), k.attribute("transB", 0)
    dtype = k.out.compute
    alpha, beta = (_factor(k.attribute(name, 1.0), dtype) for name in ("alpha", "beta"))
    depth = a.shape[0] if across else a.shape[1]
    with nest(k.out.shape) as (i, j):
        total = Cell(const(0, dtype))
        with nest([depth]) as (d,):
            left = a[[d, i] if across else [i, d]]
            right = b[[j, d] if down else [d, j]]
            total.set(n.add(total.value, n.multiply(left, right)))
        value = _scaled(total.value, alpha)
        if c is not None:
            value = n.add(keep(value), keep(_scaled(c.broadcast([i, j]), beta)))
        k.out.store([i, j], value)


def _factor(value: float, dtype: str) -> Expr | None:
    return None if value == 1 else const(value, dtype if "float" in dtype else "float64")


def _scaled(value: Expr, factor: Expr | None) -> Expr:
    if factor is None:
        return value
    dtype = dtype_of(value)
    wide = value if dtype == dtype_of(factor) else tirx.Cast(dtype_of(factor), value)
    return convert(keep(wide * factor), dtype)


def _einsum(k: Kernel) -> None:
    """`terms`: the letters of each operand; `result`: those of the output, the rest is summed."""
    terms: Sequence[str] = k.attribute("terms", ())
    result: str = k.attribute("result", "")
    extents: dict[str, Expr] = {}
    for term, x in zip(terms, k.inputs, strict=True):
        for letter, extent in zip(term, x.shape, strict=True):
            if letter not in extents or extents[letter] == 1:
                extents[letter] = extent
    summed = [letter for letter in extents if letter not in result]
    dtype = accumulator_type(k.out.compute)
    with nest([extents[letter] for letter in result]) as outer:
        total = Cell(const(0, dtype))
        with nest([extents[letter] for letter in summed]) as inner:
            places = dict(zip([*result, *summed], [*outer, *inner], strict=True))
            product = None
            for term, x in zip(terms, k.inputs, strict=True):
                index = [
                    int64(0) if extent == 1 else places[letter]
                    for letter, extent in zip(term, x.shape, strict=True)
                ]
                factor = convert(x[index], dtype)
                product = factor if product is None else keep(n.multiply(product, factor))
            total.set(n.add(total.value, product))
        k.out.store(outer, convert(total.value, k.out.compute))


KERNELS: dict[str, KernelFunction] = {"Einsum": _einsum, "Gemm": _gemm, "MatMul": _matmul}
