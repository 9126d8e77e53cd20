"""Pooling over windows or whole planes, and its inverse."""

from __future__ import annotations

import math

from tvm import tirx

from actc.targets.tvm.generic import arithmetic as n
from actc.targets.tvm.generic.kernel import (
    Array,
    Cell,
    Expr,
    Kernel,
    KernelFunction,
    const,
    dtype_of,
    int64,
    keep,
    nest,
    require,
    select,
    when,
)
from actc.targets.tvm.generic.places import both, inside, number, unfold
from actc.targets.tvm.generic.windows import Windows, windows


def _windows(k: Kernel) -> Windows:
    x = k.inputs[0]
    kernel = k.attribute("kernel_shape", ())
    extents = tuple(int(e) for e in x.shape[2:])
    counts = tuple(int(e) for e in k.out.shape[2:])
    return windows(dict(k.spec.attributes), extents, counts, tuple(kernel))


def places(w: Windows, outer: list[Expr], inner: list[Expr]) -> list[Expr]:
    """Where the input of a window's element lies, perhaps outside."""
    return [
        keep(outer[a] * int64(w.strides[a]) + inner[a] * int64(w.dilations[a]) - int64(w.before[a]))
        for a in w.axes
    ]


def hits(w: Windows, index: list[Expr]) -> Expr:
    """Whether an index lies in the input."""
    return both(const(1, "bool"), *(inside(i, w.extents[a]) for a, i in enumerate(index)))


def _max_pool(k: Kernel) -> None:
    """Output 1: the number of the element, row-major or, with storage_order 1, column-major."""
    x, w = k.inputs[0], _windows(k)
    with nest(k.out.shape) as index:
        best, where = Cell(n.lowest(x.compute)), Cell(int64(-1))
        with nest(w.kernel) as inner:
            place = places(w, index[2:], inner)
            with when(hits(w, place)):
                value = keep(x[[*index[:2], *place]])
                better = tirx.Or(where.value < int64(0), value > best.value)
                if "float" in x.compute:
                    better = tirx.Or(better, n.is_nan(value))
                order = keep(_number(k, x, index[:2], place))
                where.set(select(better, order, where.value))
                best.set(select(better, value, best.value))
        k.out.store(index, where.value if k.spec.index else best.value)


def _number(k: Kernel, x: Array, plane: list[Expr], place: list[Expr]) -> Expr:
    shape, inner = list(x.shape), list(place)
    if k.attribute("storage_order", 0):
        shape, inner = [*shape[:2], *reversed(shape[2:])], list(reversed(inner))
    return number([*plane, *inner], shape)


def _average_pool(k: Kernel) -> None:
    x, w = k.inputs[0], _windows(k)
    padded = bool(k.attribute("count_include_pad", 0))
    with nest(k.out.shape) as index:
        total, count = Cell(const(0, x.compute)), Cell(const(0, x.compute))
        one = const(1, x.compute)
        with nest(w.kernel) as inner:
            place = places(w, index[2:], inner)
            with when(hits(w, place)):
                total.set(total.value + x[[*index[:2], *place]])
                if not padded:
                    count.set(count.value + one)
            if padded:  # what a last window, rounded up, reads behind the padding is no part of it
                known = [
                    i < int64(w.extents[a] + w.after[a]) for a, i in zip(w.axes, place, strict=True)
                ]
                with when(both(*known)):
                    count.set(count.value + one)
        k.out.store(index, keep(total.value / count.value))


def _lp_pool(k: Kernel) -> None:
    x, w = k.inputs[0], _windows(k)
    p = k.attribute("p", 2)
    with nest(k.out.shape) as index:
        total = Cell(const(0, x.compute))
        with nest(w.kernel) as inner:
            place = places(w, index[2:], inner)
            with when(hits(w, place)):
                total.set(total.value + _power(keep(x[[*index[:2], *place]]), p))
        k.out.store(index, _root(total.value, p))


def _power(x: Expr, p: int) -> Expr:
    size = n.magnitude(x)
    if p == 2:
        return keep(size * size)
    return size if p == 1 else n.libm("pow", size, const(p, dtype_of(x)))


def _root(x: Expr, p: int) -> Expr:
    if p == 2:
        return n.intrinsic("sqrt", x)
    return x if p == 1 else n.libm("pow", x, const(1 / p, dtype_of(x)))


def _planes(k: Kernel, how: str) -> None:
    """One number per sample and channel."""
    x = k.inputs[0]
    size = math.prod(x.shape[2:])
    p = k.attribute("p", 2)
    with nest(k.out.shape) as index:
        total = Cell(n.lowest(x.compute) if how == "max" else const(0, x.compute))
        with nest(x.shape[2:]) as inner:
            value = keep(x[[*index[:2], *inner]])
            if how == "max":
                total.set(n.maximum(value, keep(total.value)))
            else:
                total.set(total.value + (_power(value, p) if how == "lp" else value))
        if how == "mean":
            k.out.store(index, keep(total.value / const(size, x.compute)))
        else:
            k.out.store(index, _root(total.value, p) if how == "lp" else total.value)


def _max_unpool(k: Kernel) -> None:
    """Elements back at the numbers of the pooled plane's elements."""
    x, indices, shape = (*k.inputs, None)[:3]
    own = list(k.out.shape)
    with nest(k.out.shape) as index:
        k.out.store(index, const(0, k.out.compute))
    for axis in range(k.out.rank if shape is not None else 0):
        same = tirx.EQ(int64(shape[[axis]]), int64(k.out.shape[axis]))
        require(same, "the shape is not the declared one")
    with nest(x.shape) as index:
        position = keep(int64(indices[index]))
        require(inside(position, math.prod(own)), "an index is outside of the result")
        target = unfold(position, own)
        k.out.store(target, x[index])


KERNELS: dict[str, KernelFunction] = {
    "AveragePool": _average_pool,
    "GlobalAveragePool": lambda k: _planes(k, "mean"),
    "GlobalLpPool": lambda k: _planes(k, "lp"),
    "GlobalMaxPool": lambda k: _planes(k, "max"),
    "LpPool": _lp_pool,
    "MaxPool": _max_pool,
    "MaxUnpool": _max_unpool,
}
