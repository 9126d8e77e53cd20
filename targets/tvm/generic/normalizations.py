"""Softmax and its relatives, and normalizations by mean and variance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ml_dtypes
from tvm import tirx

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
    int64,
    keep,
    nest,
    select,
    when,
)
from actc.targets.tvm.generic.reductions import FOLDS, Fold, fold_over

_WIDE = "float64"
"""Sums are taken in it."""

_LARGEST = {dtype: float(ml_dtypes.finfo(dtype).max) for dtype in WIDER}  # type: ignore[no-untyped-call]
"""The largest number of a type of half precision."""


def _lines(x: Array, axis: int) -> tuple[list[Expr], Callable[[Sequence[Expr], Expr], Index]]:
    """Extents of the axes other than `axis`, and the index from theirs and that along it."""

    def at(outer: Sequence[Expr], i: Expr) -> Index:
        index = list(outer)
        index.insert(axis, i)
        return index

    return [extent for a, extent in enumerate(x.shape) if a != axis], at


def _softmax(k: Kernel) -> None:
    x, axis = k.inputs[0], k.attribute("axis", -1)
    outer_extents, at = _lines(x, axis)
    length, log = [x.shape[axis]], k.spec.op == "LogSoftmax"
    with nest(outer_extents) as outer:

        def along(inner: Index) -> Index:
            return at(outer, inner[0])

        largest = fold_over(x, length, along, FOLDS["ReduceMax"])

        def moved(value: Expr) -> Expr:
            return _as_stored(x, keep(tirx.Cast(_WIDE, value) - largest))

        def power(value: Expr) -> Expr:
            narrow = tirx.Cast(x.compute, moved(value))
            return _as_stored(x, tirx.Cast(_WIDE, n.libm("exp", keep(narrow))))

        total = Cell(const(0, _WIDE))
        with nest(length) as (i,):
            value = power(keep(x[at(outer, i)]))
            if not log:
                k.out.store(at(outer, i), tirx.Cast(x.compute, value))
            total.set(total.value + value)
        level = _as_stored(x, total.value)
        if log:
            level = _as_stored(x, n.libm("log", level))
        with nest(length) as (i,):
            index = at(outer, i)
            stored = moved(keep(x[index])) if log else tirx.Cast(_WIDE, k.out[index])
            value = stored - level if log else stored / level
            k.out.store(index, tirx.Cast(x.compute, value))


def _as_stored(x: Array, value: Expr) -> Expr:
    """A step of softmax as ONNX's definition has it: a tensor of `x`'s type.

    That rounds in half precision, where other kernels round once; but a sum that float16 does not
    hold stays as it is, rather than make all quotients zero.
    """
    if x.dtype not in WIDER:
        return value
    value = keep(value)
    held = keep(tirx.Cast(_WIDE, tirx.Cast(x.dtype, tirx.Cast(x.compute, value))))
    return keep(select(held > const(_LARGEST[x.dtype], _WIDE), value, held))


def _hardmax(k: Kernel) -> None:
    x, axis = k.inputs[0], k.attribute("axis", -1)
    outer_extents, at = _lines(x, axis)
    with nest(outer_extents) as outer:
        best, place = Cell(x[at(outer, int64(0))]), Cell(int64(0))
        with nest([x.shape[axis]]) as (i,):
            value = keep(x[at(outer, i)])
            with when(value > best.value):
                best.set(value)
                place.set(i)
        with nest([x.shape[axis]]) as (i,):
            hit = tirx.EQ(i, place.value)
            k.out.store(at(outer, i), convert(hit, x.compute))


def moments(x: Array, extents: Sequence[Expr], at: Callable[[Index], Index]) -> tuple[Expr, Expr]:
    """Mean and variance (of the population) of ``x[at(r)]``, in float64."""
    count = const(1, _WIDE)
    for extent in extents:
        count = count * tirx.Cast(_WIDE, int64(extent))
    count = keep(count)
    mean = keep(fold_over(x, extents, at, FOLDS["ReduceSum"]) / count)

    def step(total: Expr, value: Expr) -> Expr:
        apart = keep(value - mean)
        return total + apart * apart

    variance = fold_over(x, extents, at, Fold(lambda dtype: const(0, dtype), step)) / count
    return mean, keep(variance)


def _inverse_root(variance: Expr, epsilon: float) -> Expr:
    return keep(const(1, _WIDE) / n.intrinsic("sqrt", keep(variance + const(epsilon, _WIDE))))


def _layer_normalization(k: Kernel) -> None:
    """Result, mean or inverse deviation, as the call's output says."""
    x, axis = k.inputs[0], k.attribute("axis", -1)
    front, back = x.shape[:axis], x.shape[axis:]
    with nest(front) as outer:

        def at(inner: Index) -> Index:
            return [*outer, *inner]

        mean, variance = moments(x, back, at)
        scale = _inverse_root(variance, k.attribute("epsilon", 1e-5))
        if k.spec.index:
            ones = [int64(0)] * (k.out.rank - len(outer))
            value = mean if k.spec.index == 1 else scale
            k.out.store([*outer, *ones], tirx.Cast(k.out.compute, value))
            return
        with nest(back) as inner:
            value = keep((tirx.Cast(_WIDE, x[at(inner)]) - mean) * scale)
            for parameter, function in zip(k.inputs[1:], (n.multiply, n.add), strict=False):
                if parameter is not None:
                    other = tirx.Cast(_WIDE, parameter.broadcast(at(inner)))
                    value = keep(function(value, other))
            k.out.store(at(inner), tirx.Cast(k.out.compute, value))


def _instance_normalization(k: Kernel) -> None:
    x, gamma, beta = k.inputs
    with nest(x.shape[:2]) as (sample, channel):

        def at(inner: Index) -> Index:
            return [sample, channel, *inner]

        mean, variance = moments(x, x.shape[2:], at)
        scale = _inverse_root(variance, k.attribute("epsilon", 1e-5))
        factor = keep(scale * tirx.Cast(_WIDE, gamma[[channel]]))
        with nest(x.shape[2:]) as inner:
            value = (tirx.Cast(_WIDE, x[at(inner)]) - mean) * factor
            value = keep(value) + tirx.Cast(_WIDE, beta[[channel]])
            k.out.store(at(inner), tirx.Cast(k.out.compute, value))


def _batch_normalization(k: Kernel) -> None:
    x, gamma, beta, mean, variance = k.inputs
    with nest(x.shape) as index:
        channel = [index[1]] if x.rank > 1 else [int64(0)]
        centred, spread, factor, offset = (
            keep(tirx.Cast(_WIDE, p[channel])) for p in (mean, variance, gamma, beta)
        )
        scale = keep(_inverse_root(spread, k.attribute("epsilon", 1e-5)) * factor)
        value = keep((tirx.Cast(_WIDE, x[index]) - centred) * scale) + offset
        k.out.store(index, tirx.Cast(k.out.compute, value))


def _lp_normalization(k: Kernel) -> None:
    """Lines of zeros stay zeros."""
    x, axis = k.inputs[0], k.attribute("axis", -1)
    outer_extents, at = _lines(x, axis)
    fold = FOLDS["ReduceL1" if k.attribute("p", 2) == 1 else "ReduceL2"]
    zero = const(0, _WIDE)
    with nest(outer_extents) as outer:
        norm = fold_over(x, [x.shape[axis]], lambda inner: at(outer, inner[0]), fold)
        norm = keep(fold.finish(norm, int64(1)))
        divisor = keep(select(tirx.EQ(norm, zero), const(1, _WIDE), norm))
        with nest([x.shape[axis]]) as (i,):
            index = at(outer, i)
            k.out.store(index, tirx.Cast(x.compute, tirx.Cast(_WIDE, x[index]) / divisor))


def _local_response(k: Kernel) -> None:
    """Division by a power of the mean square over neighbouring channels."""
    x, size = k.inputs[0], k.attribute("size", 1)
    alpha, beta, bias = (
        const(k.attribute(name, default), _WIDE)
        for name, default in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))
    )
    before = (size - 1) // 2
    with nest(x.shape) as (sample, channel, *place):
        total = Cell(const(0, _WIDE))
        with nest([size]) as (offset,):
            near = keep(channel + offset - int64(before))
            with when(tirx.And(near >= int64(0), near < int64(x.shape[1]))):
                value = keep(tirx.Cast(_WIDE, x[[sample, near, *place]]))
                total.set(total.value + value * value)
        base = keep(bias + alpha / const(size, _WIDE) * total.value)
        value = tirx.Cast(_WIDE, x[[sample, channel, *place]]) / n.libm("pow", base, beta)
        k.out.store([sample, channel, *place], tirx.Cast(k.out.compute, value))


KERNELS: dict[str, KernelFunction] = {
    "BatchNormalization": _batch_normalization,
    "Hardmax": _hardmax,
    "InstanceNormalization": _instance_normalization,
    "LRN": _local_response,
    "LayerNormalization": _layer_normalization,
    "LogSoftmax": _softmax,
    "LpNormalization": _lp_normalization,
    "Softmax": _softmax,
}
