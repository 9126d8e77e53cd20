"""Convolutions: plain, transposed, deformable, of codes."""

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
    select,
    when,
)
from actc.targets.tvm.generic.places import both, clamped, inside, remainder
from actc.targets.tvm.generic.pools import hits, places
from actc.targets.tvm.generic.windows import Windows, windows


def _windows(k: Kernel, weight: Array) -> Windows:
    x = k.inputs[0]
    return windows(
        dict(k.spec.attributes),
        tuple(int(e) for e in x.shape[2:]),
        tuple(int(e) for e in k.out.shape[2:]),
        tuple(int(e) for e in weight.shape[2:]),
    )


def _conv(k: Kernel) -> None:
    x, weight, bias = (*k.inputs, None)[:3]
    w, per_group = _windows(k, weight), int(k.out.shape[1]) // k.attribute("group", 1)
    with nest(k.out.shape) as index:
        sample, channel = index[:2]
        group = keep(tirx.floordiv(channel, int64(per_group)))
        total = Cell(const(0, k.out.compute))
        with nest([weight.shape[1], *w.kernel]) as (c, *inner):
            place = places(w, index[2:], inner)
            with when(hits(w, place)):
                value = x[[sample, group * int64(weight.shape[1]) + c, *place]]
                total.set(total.value + keep(value * weight[[channel, c, *inner]]))
        if bias is not None:
            total.set(total.value + bias[[channel]])
        k.out.store(index, total.value)


def zero_point(array: Array | None, channel: Expr, dtype: str) -> Expr:
    """The zero point of a channel in `dtype`; 0 where there is none."""
    if array is None:
        return const(0, dtype)
    single = array.rank == 0 or array.shape[0] == 1
    place = [int64(0) if single else channel] if array.rank else []
    return keep(tirx.Cast(dtype, array[place]))


def _integer_sum(
    k: Kernel, x: Array, weight: Array, zeros: tuple[Array | None, Array | None], index: list[Expr]
) -> Cell:
    """The sum of products of codes, each less its zero point, as int32; padding is zero."""
    w, per_group = _windows(k, weight), int(k.out.shape[1]) // k.attribute("group", 1)
    sample, channel = index[:2]
    group = keep(tirx.floordiv(channel, int64(per_group)))
    low = zero_point(zeros[0], int64(0), "int32")
    middle = zero_point(zeros[1], channel, "int32")
    total = Cell(const(0, "int32"))
    with nest([weight.shape[1], *w.kernel]) as (c, *inner):
        place = places(w, index[2:], inner)
        with when(hits(w, place)):
            value = x[[sample, group * int64(weight.shape[1]) + c, *place]]
            left = keep(tirx.Cast("int32", value) - low)
            right = keep(tirx.Cast("int32", weight[[channel, c, *inner]]) - middle)
            total.set(n.add(total.value, n.multiply(left, right)))
    return total


def _conv_integer(k: Kernel) -> None:
    x, weight, x_zero, w_zero = (*k.inputs, None, None)[:4]
    with nest(k.out.shape) as index:
        k.out.store(index, _integer_sum(k, x, weight, (x_zero, w_zero), index).value)


def _qlinear_conv(k: Kernel) -> None:
    """Codes to codes: the sum times the product of the scales, rounded to even, saturated."""
    x, xs, xz, weight, ws, wz, ys, yz, bias = (*k.inputs, None)[:9]
    with nest(k.out.shape) as index:
        total = _integer_sum(k, x, weight, (xz, wz), index)
        if bias is not None:
            total.set(n.add(total.value, bias[[index[1]]]))
        single = ws.rank == 0 or ws.shape[0] == 1
        scale = ws[[int64(0) if single else index[1]] if ws.rank else []]
        scale = keep(keep(first(xs) * scale) / first(ys))
        k.out.store(index, requantized(total.value, scale, yz, k.out.dtype))


def first(array: Array) -> Expr:
    """The element of an array that has one."""
    return keep(array[[0] * array.rank])


def requantized(total: Expr, scale: Expr, zero: Array | None, dtype: str) -> Expr:
    """``round(total * scale) + zero``, saturated to the type of the codes."""
    value = n.intrinsic("roundeven", keep(tirx.Cast("float32", total) * scale))
    low, high = (-128, 127) if dtype == "int8" else (0, 255)
    offset = const(0, "float32") if zero is None else tirx.Cast("float32", first(zero))
    moved = keep(value + offset)
    return tirx.Cast(dtype, n.bounded(moved, const(low, "float32"), const(high, "float32")))


def _conv_transpose(k: Kernel) -> None:
    """Each output gathers the inputs whose windows cover it."""
    x, weight, bias = (*k.inputs, None)[:3]
    rank = x.rank - 2
    strides = k.attribute("strides", (1,) * rank)
    dilations = k.attribute("dilations", (1,) * rank)
    before = _transposed_pads(k, rank, strides, dilations)
    groups = k.attribute("group", 1)
    per_group, inputs = int(weight.shape[1]), int(x.shape[1]) // groups
    with nest(k.out.shape) as index:
        sample, channel = index[:2]
        group = keep(tirx.floordiv(channel, int64(per_group)))
        within = keep(remainder(channel, per_group))
        total = Cell(const(0, k.out.compute))
        with nest([inputs, *weight.shape[2:]]) as (c, *inner):
            spots = [
                keep(index[2 + a] + int64(before[a]) - inner[a] * int64(dilations[a]))
                for a in range(rank)
            ]
            sources = [keep(tirx.floordiv(s, int64(strides[a]))) for a, s in enumerate(spots)]
            whole = [tirx.EQ(remainder(s, strides[a]), int64(0)) for a, s in enumerate(spots)]
            near = [inside(s, x.shape[2 + a]) for a, s in enumerate(sources)]
            with when(both(*whole, *near)):
                source = group * int64(inputs) + c
                product = x[[sample, source, *sources]] * weight[[source, within, *inner]]
                total.set(total.value + keep(product))
        if bias is not None:
            total.set(total.value + bias[[channel]])
        k.out.store(index, total.value)


def _transposed_pads(
    k: Kernel, rank: int, strides: tuple[int, ...], dilations: tuple[int, ...]
) -> list[int]:
    """The padding in front of each axis: given, or what the output's extent leaves."""
    x, weight = k.inputs[:2]
    extra = k.attribute("output_padding", (0,) * rank)
    how = k.attribute("auto_pad", "NOTSET")
    pads = list(k.attribute("pads", (0,) * (2 * rank)))
    if how == "VALID":
        return [0] * rank
    if how == "NOTSET" and "output_shape" not in dict(k.spec.attributes):
        return pads[:rank]
    found = []
    for a in range(rank):
        span = (int(weight.shape[2 + a]) - 1) * dilations[a] + 1
        full = strides[a] * (int(x.shape[2 + a]) - 1) + extra[a] + span
        total = max(full - int(k.out.shape[2 + a]), 0)
        found.append(total // 2 if how == "SAME_UPPER" else total - total // 2)
    return found


def _deform_conv(k: Kernel) -> None:
    """Windows whose elements are moved by offsets and weighted by a mask; linear in between."""
    x, weight, offset, bias, mask = (*k.inputs, None, None)[:5]
    w, per_group = _windows(k, weight), int(k.out.shape[1]) // k.attribute("group", 1)
    fields = k.attribute("offset_group", 1)
    per_field, size = int(x.shape[1]) // fields, math.prod(w.kernel)
    dtype = k.out.compute
    with nest(k.out.shape) as index:
        sample, channel = index[:2]
        group = keep(tirx.floordiv(channel, int64(per_group)))
        total = Cell(const(0, dtype))
        with nest([weight.shape[1], *w.kernel]) as (c, *inner):
            source = keep(group * int64(weight.shape[1]) + c)
            field = keep(tirx.floordiv(source, int64(per_field)))
            order = int64(0)
            for a in w.axes:
                order = order * int64(w.kernel[a]) + inner[a]
            order = keep(field * int64(size) + order)
            at = []
            for a, place in enumerate(places(w, index[2:], inner)):
                row = order * int64(len(w.axes)) + int64(a)
                at.append(keep(tirx.Cast(dtype, place) + offset[[sample, row, *index[2:]]]))
            value = sampled(x, [sample, source], at)
            if mask is not None:
                value = keep(value * mask[[sample, order, *index[2:]]])
            total.set(total.value + keep(value * weight[[channel, c, *inner]]))
        if bias is not None:
            total.set(total.value + bias[[channel]])
        k.out.store(index, total.value)


def sampled(x: Array, plane: list[Expr], at: list[Expr]) -> Expr:
    """A plane at a place between elements, linear in each axis; zero outside."""
    dtype = x.compute
    lows = [n.intrinsic("floor", place) for place in at]
    total = Cell(const(0, dtype))
    for corner in range(2 ** len(at)):
        share, index = const(1, dtype), []
        for axis, (place, low) in enumerate(zip(at, lows, strict=True)):
            up = corner >> axis & 1
            part = place - low if up else const(1, dtype) - (place - low)
            share = keep(share * part)
            index.append(keep(whole(low) + int64(up)))
        hit = both(*(inside(i, x.shape[2 + a]) for a, i in enumerate(index)))
        safe = [clamped(i, 0, int64(x.shape[2 + a]) - int64(1)) for a, i in enumerate(index)]
        value = select(hit, x[[*plane, *safe]], const(0, dtype))
        total.set(total.value + keep(share * value))
    return total.value


def whole(value: Expr) -> Expr:
    """A whole number in floating point as int64; far and undefined ones as one far outside."""
    dtype = dtype_of(value)
    far = const(2.0**40, dtype)
    near = n.magnitude(value) < far
    return keep(tirx.Cast("int64", keep(select(near, value, n.negate(far)))))


KERNELS: dict[str, KernelFunction] = {
    "Conv": _conv,
    "ConvInteger": _conv_integer,
    "ConvTranspose": _conv_transpose,
    "DeformConv": _deform_conv,
    "QLinearConv": _qlinear_conv,
}
