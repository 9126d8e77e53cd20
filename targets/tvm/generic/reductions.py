"""Reductions over any axes, known or read when the kernel runs, and running sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.generic import arithmetic as n
from actc.targets.tvm.generic.cast import convert
from actc.targets.tvm.generic.kernel import (
    Array,
    Cell,
    Expr,
    Index,
    Kernel,
    KernelFunction,
    const,
    dtype_of,
    int64,
    is_float,
    keep,
    nest,
    require,
    select,
    when,
)

Inner = Callable[[], object]
"""Opens the loops over what is reduced; the context gives the index into x."""


@dataclass(frozen=True)
class Fold:
    """A reduction of one element after the other.

    Attributes:
        start: value of nothing, for the accumulator's type.
        step: from the accumulator and an element, both of its type.
        finish: from the accumulator and the number of elements to the result.
    """

    start: Callable[[str], Expr]
    step: Callable[[Expr, Expr], Expr]
    finish: Callable[[Expr, Expr], Expr] = lambda total, count: total


def _zero(dtype: str) -> Expr:
    return const(0, dtype)


def _mean(total: Expr, count: Expr) -> Expr:
    return n.divide(total, tirx.Cast(dtype_of(total), count))


def _root(total: Expr, count: Expr) -> Expr:
    return _in_float(lambda x: n.intrinsic("sqrt", x), total)


def _logarithm(total: Expr, count: Expr) -> Expr:
    return _in_float(lambda x: n.libm("log", x), total)


def _in_float(function: Callable[[Expr], Expr], value: Expr) -> Expr:
    dtype = dtype_of(value)
    if is_float(dtype):
        return function(value)
    return convert(function(keep(tirx.Cast("float64", value))), dtype)


FOLDS = {
    "ReduceSum": Fold(_zero, n.add),
    "ReduceMean": Fold(_zero, n.add, _mean),
    "ReduceProd": Fold(lambda dtype: const(1, dtype), n.multiply),
    "ReduceMax": Fold(n.lowest, n.maximum),
    "ReduceMin": Fold(n.highest, n.minimum),
    "ReduceL1": Fold(_zero, lambda total, x: n.add(total, n.magnitude(x))),
    "ReduceL2": Fold(_zero, lambda total, x: n.add(total, n.multiply(x, x)), _root),
    "ReduceSumSquare": Fold(_zero, lambda total, x: n.add(total, n.multiply(x, x))),
    "ReduceLogSum": Fold(_zero, n.add, _logarithm),
}


def accumulator_type(dtype: str) -> str:
    """Type in which elements of a loaded type are summed: floats in float64."""
    if is_float(dtype):
        return "float64"
    return "uint8" if dtype == "bool" else dtype


def fold_over(x: Array, extents: Sequence[Expr], at: Callable[[Index], Index], fold: Fold) -> Expr:
    """The accumulated value of ``x[at(r)]`` for all r below `extents`, before `finish`."""
    dtype = accumulator_type(x.compute)
    total = Cell(fold.start(dtype))
    with nest(extents) as inner:
        total.set(fold.step(total.value, keep(convert(x[at(inner)], dtype))))
    return total.value


def log_sum_exp(x: Array, extents: Sequence[Expr], at: Callable[[Index], Index]) -> Expr:
    """``log(sum(exp(x)))``, shifted by the maximum where that is finite."""
    largest = fold_over(x, extents, at, FOLDS["ReduceMax"])
    finite = n.magnitude(largest) < const(float("inf"), "float64")
    shift = keep(select(finite, largest, const(0, "float64")))
    fold = Fold(_zero, lambda total, v: total + n.libm("exp", keep(v - shift)))
    return n.libm("log", fold_over(x, extents, at, fold)) + shift


def _reduced(k: Kernel, extents: Sequence[Expr], at: Callable[[Index], Index], count: Expr) -> Expr:
    x = k.inputs[0]
    if k.spec.op == "ReduceLogSumExp":
        value = log_sum_exp(x, extents, at)
    else:
        fold = FOLDS[k.spec.op]
        value = fold.finish(fold_over(x, extents, at, fold), count)
    return convert(keep(value), k.out.compute)


def _reduce(k: Kernel) -> None:
    if len(k.inputs) > 1 and k.inputs[1] is not None:
        _reduce_at_run_time(k)
        return
    x, over = k.inputs[0], k.attribute("axes", ())
    kept = [axis for axis in range(x.rank) if axis not in over]
    extents = [x.shape[axis] for axis in over]
    count = _product(extents)
    wide = k.out.rank == x.rank  # keepdims
    if over and x.rank - 1 not in over and k.spec.op in FOLDS and isinstance(x.shape[-1], int):
        _reduce_rows(k, kept[:-1], over, count)
        return
    with nest([x.shape[axis] for axis in kept]) as outer:

        def at(inner: Index) -> Index:
            places = dict(zip([*kept, *over], [*outer, *inner], strict=True))
            return [places[axis] for axis in range(x.rank)]

        value = _reduced(k, extents, at, count)
        if wide:
            places = dict(zip(kept, outer, strict=True))
            k.out.store([places.get(axis, int64(0)) for axis in range(x.rank)], value)
        else:
            k.out.store(outer, value)


def _reduce_rows(k: Kernel, kept: Sequence[int], over: Sequence[int], count: Expr) -> None:
    """As `_reduce` where the last axis stays: whole rows are added, in the order of memory."""
    x, fold = k.inputs[0], FOLDS[k.spec.op]
    dtype, width = accumulator_type(x.compute), int64(x.shape[-1])
    with nest([x.shape[axis] for axis in kept]) as outer:
        totals = T.alloc_buffer((width,), dtype)
        with nest([width]) as (j,):
            T.buffer_store(totals, fold.start(dtype), [j])
        with nest([*(x.shape[axis] for axis in over), width]) as (*inner, j):
            places = dict(zip([*kept, *over], [*outer, *inner], strict=True))
            value = keep(convert(x[[*(places[axis] for axis in range(x.rank - 1)), j]], dtype))
            T.buffer_store(totals, fold.step(totals[j], value), [j])
        with nest([width]) as (j,):
            value = convert(keep(fold.finish(keep(totals[j]), count)), k.out.compute)
            places = dict(zip(kept, outer, strict=True))
            front = [places.get(axis, int64(0)) for axis in range(x.rank - 1)]
            k.out.store([*(front if k.out.rank == x.rank else outer), j], value)


def _product(extents: Sequence[Expr]) -> Expr:
    total = int64(1)
    for extent in extents:
        total = total * int64(extent)
    return total


def _reduce_at_run_time(k: Kernel) -> None:
    """The axes are an input; element q of the result is found through strides computed here."""
    x, axes = k.inputs[0], k.inputs[1]
    flags = [_among(axes, axis, x.rank) for axis in range(x.rank)]
    one, zero = int64(1), int64(0)
    strides: list[Expr] = []
    size = stride = one
    for flag, extent in zip(reversed(flags), reversed(x.shape), strict=True):
        strides.insert(0, stride)
        kept = keep(select(tirx.NE(flag, zero), one, int64(extent)))
        size = keep(size * kept)
        stride = keep(stride * tirx.Max(kept, one))
    total = _product(k.out.shape)
    require(tirx.EQ(size, total), f"{k.spec.op}: the axes do not give the declared shape")
    extents = [
        keep(select(tirx.NE(flag, zero), int64(extent), one))
        for flag, extent in zip(flags, x.shape, strict=True)
    ]
    out = T.decl_buffer((total,), k.out.dtype, data=k.out.buffer.data)
    with nest([total]) as (q,):
        base = [
            keep(select(tirx.NE(flag, zero), zero, _modulo(q // stride, extent)))
            for flag, stride, extent in zip(flags, strides, x.shape, strict=True)
        ]
        value = _reduced(
            k, extents, lambda r: [b + i for b, i in zip(base, r, strict=True)], _product(extents)
        )
        T.buffer_store(out, tirx.Cast(k.out.dtype, value), [q])


def _modulo(value: Expr, extent: Any) -> Expr:
    return value if isinstance(extent, int) and extent == 0 else value % int64(extent)


def _among(axes: Array, axis: int, rank: int) -> Expr:
    """1 if `axis`, also counted from the back, is among `axes`, else 0."""
    flag = Cell(int64(0))
    with nest(axes.shape) as index:
        given = keep(tirx.Cast("int64", axes[index]))
        hit = T.Or(tirx.EQ(given, int64(axis)), tirx.EQ(given, int64(axis - rank)))
        flag.set(select(hit, int64(1), flag.value))
    return flag.value


def _arg(
    better: Callable[[Expr, Expr], Expr], ties: Callable[[Expr, Expr], Expr]
) -> KernelFunction:
    """ArgMax or ArgMin: the index of the first best, or of the last with select_last_index."""

    def kernel(k: Kernel) -> None:
        x, axis = k.inputs[0], k.attribute("axis", 0)
        wins = ties if k.attribute("select_last_index", 0) else better
        outer_axes = [a for a in range(x.rank) if a != axis]
        with nest([x.shape[a] for a in outer_axes]) as outer:

            def at(i: Expr) -> Index:
                index = list(outer)
                index.insert(axis, i)
                return index

            best, place = Cell(x[at(int64(0))]), Cell(int64(0))
            with T.serial(int64(1), int64(x.shape[axis])) as i:
                value = keep(x[at(i)])
                with when(wins(value, best.value)):
                    best.set(value)
                    place.set(i)
            k.out.store(at(int64(0)) if k.out.rank == x.rank else outer, place.value)

    return kernel


def _running(step: Callable[[Expr, Expr], Expr], start: int) -> KernelFunction:
    """CumSum or CumProd; the axis is an attribute, or an input read here."""

    def kernel(k: Kernel) -> None:
        x = k.inputs[0]
        if len(k.inputs) == 1:
            _run_along(k, k.attribute("axis", 0), step, start)
            return
        given = keep(tirx.Cast("int64", k.inputs[1][[0] * k.inputs[1].rank]))
        rank = int64(x.rank)
        require(T.And(given < rank, given >= int64(-x.rank)), f"{k.spec.op}: no such axis")
        for axis in range(x.rank):
            with when(T.Or(tirx.EQ(given, int64(axis)), tirx.EQ(given, int64(axis - x.rank)))):
                _run_along(k, axis, step, start)

    return kernel


def _run_along(k: Kernel, axis: int, step: Callable[[Expr, Expr], Expr], start: int) -> None:
    x, dtype = k.inputs[0], accumulator_type(k.inputs[0].compute)
    exclusive, backwards = k.attribute("exclusive", 0), k.attribute("reverse", 0)
    length = int64(x.shape[axis])
    with nest([extent for a, extent in enumerate(x.shape) if a != axis]) as outer:
        total = Cell(const(start, dtype))
        with T.serial(int64(0), length) as i:
            index = list(outer)
            index.insert(axis, keep(length - int64(1) - i) if backwards else i)
            after = keep(step(total.value, convert(x[index], dtype)))
            k.out.store(index, convert(total.value if exclusive else after, x.compute))
            total.set(after)


KERNELS: dict[str, KernelFunction] = {
    **dict.fromkeys([*FOLDS, "ReduceLogSumExp"], _reduce),
    "ArgMax": _arg(lambda a, b: a > b, lambda a, b: a >= b),
    "ArgMin": _arg(lambda a, b: a < b, lambda a, b: a <= b),
    "CumProd": _running(n.multiply, 1),
    "CumSum": _running(n.add, 0),
}
