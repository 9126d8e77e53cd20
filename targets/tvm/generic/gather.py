"""What reads or writes where other tensors say: the gather and scatter families."""

from __future__ import annotations

from tvm import tirx

from actc.targets.tvm.generic import arithmetic as n
from actc.targets.tvm.generic.kernel import (
    Array,
    Expr,
    Index,
    Kernel,
    KernelFunction,
    const,
    int64,
    keep,
    nest,
    require,
    select,
    when,
)
from actc.targets.tvm.generic.places import (
    both,
    entries,
    inside,
    integer,
    remainder,
    unfold,
    wrapped,
)

_OUTSIDE = "an index is outside of its axis"


def checked(index: Expr, extent: Expr) -> Expr:
    """An index that may count from the end; the call fails where it is outside."""
    place = wrapped(index, extent)
    require(inside(place, extent), _OUTSIDE)
    return place


def _gather(k: Kernel) -> None:
    x, indices = k.inputs
    axis = k.attribute("axis", 0) % x.rank
    with nest(k.out.shape) as index:
        where = index[axis : axis + indices.rank]
        place = checked(int64(indices[where]), x.shape[axis])
        k.out.store(index, x[[*index[:axis], place, *index[axis + indices.rank :]]])


def _gather_elements(k: Kernel) -> None:
    x, indices = k.inputs
    axis = k.attribute("axis", 0) % x.rank
    with nest(k.out.shape) as index:
        place = checked(int64(indices[index]), x.shape[axis])
        k.out.store(index, x[[place if a == axis else i for a, i in enumerate(index)]])


def _gather_nd(k: Kernel) -> None:
    x, indices = k.inputs
    batch = k.attribute("batch_dims", 0)
    width = int(indices.shape[-1])
    outer = indices.rank - 1
    with nest(k.out.shape) as index:
        where = index[:outer]
        places = [
            checked(int64(indices[[*where, int64(j)]]), x.shape[batch + j]) for j in range(width)
        ]
        k.out.store(index, x[[*index[:batch], *places, *index[outer:]]])


def _copy(k: Kernel) -> None:
    with nest(k.out.shape) as index:
        k.out.store(index, k.inputs[0][index])


def _combine(k: Kernel, place: Index, value: Expr) -> None:
    """Join a scattered value with what lies there."""
    how = k.attribute("reduction", "none")
    if how == "none":
        k.out.store(place, value)
        return
    old, new = keep(k.out[place]), keep(value)
    if k.out.dtype == "bool":
        k.out.store(place, tirx.And(old, new) if how in ("mul", "min") else tirx.Or(old, new))
        return
    function = {"add": n.add, "mul": n.multiply, "max": n.maximum, "min": n.minimum}[how]
    k.out.store(place, function(old, new))


def _scatter_elements(k: Kernel) -> None:
    x, indices, updates = k.inputs
    axis = k.attribute("axis", 0) % x.rank
    _copy(k)
    with nest(indices.shape) as index:
        place = checked(int64(indices[index]), x.shape[axis])
        target = [place if a == axis else i for a, i in enumerate(index)]
        _combine(k, target, updates[index])


def _scatter_nd(k: Kernel) -> None:
    x, indices, updates = k.inputs
    width, outer = int(indices.shape[-1]), indices.rank - 1
    _copy(k)
    with nest(updates.shape) as index:
        where = index[:outer]
        places = [checked(int64(indices[[*where, int64(j)]]), x.shape[j]) for j in range(width)]
        _combine(k, [*places, *index[outer:]], updates[index])


def _tensor_scatter(k: Kernel) -> None:
    """A cache with new entries from a position on, in a circle or not."""
    cache, update, starts = (*k.inputs, None)[:3]
    axis, circular = k.attribute("axis", -2) % cache.rank, k.attribute("mode", "linear")
    _copy(k)
    with nest(update.shape) as index:
        start = int64(0) if starts is None else int64(starts[[index[0]]])
        place = keep(start + index[axis])
        if circular == "circular":
            place = keep(remainder(place, cache.shape[axis]))
        require(inside(place, cache.shape[axis]), _OUTSIDE)
        target = [place if a == axis else i for a, i in enumerate(index)]
        k.out.store(target, update[index])


def _one_hot(k: Kernel) -> None:
    indices, depth, values = k.inputs
    axis = k.attribute("axis", -1) % k.out.rank
    size = int64(k.out.shape[axis])
    position = [0] if depth.rank else []
    require(tirx.EQ(int64(depth[position]), size), "the depth is not the declared extent")
    with nest(k.out.shape) as index:
        raw = indices[[i for a, i in enumerate(index) if a != axis]]
        place = wrapped(int64(raw), size)
        hot = tirx.EQ(place, index[axis])
        if k.out.dtype == "bool":
            on, off = values[[1]], values[[0]]
            k.out.store(index, tirx.Or(tirx.And(hot, on), tirx.And(tirx.Not(hot), off)))
        else:
            on, off = keep(values[[1]]), keep(values[[0]])
            k.out.store(index, select(hot, on, off))


def _eye_like(k: Kernel) -> None:
    shift = k.attribute("k", 0)
    with nest(k.out.shape) as index:
        hit = tirx.EQ(index[1], index[0] + int64(shift))
        if k.out.dtype == "bool":
            k.out.store(index, hit)
        else:
            k.out.store(index, select(hit, const(1, k.out.compute), const(0, k.out.compute)))


def _constant_of_shape(k: Kernel) -> None:
    shape, value = k.inputs
    for axis in range(entries(shape) if k.out.rank else 0):
        same = tirx.EQ(integer(shape, axis), int64(k.out.shape[axis]))
        require(same, "the shape is not the declared one")
    with nest(k.out.shape) as index:
        k.out.store(index, value[[0] * value.rank])


def _range(k: Kernel) -> None:
    start, limit, delta = (keep(x[[0] * x.rank]) for x in k.inputs)
    wide = "float64" if "float" in k.out.dtype else "int64"
    first, last, step = (keep(tirx.Cast(wide, v)) for v in (start, limit, delta))
    count = int(k.out.shape[0])

    def before(place: int) -> Expr:
        """Whether element `place` lies before the limit."""
        value = keep(first + const(place, wide) * step)
        up = step > const(0, wide)
        return keep(tirx.Cast("int32", select(up, value < last, value > last)))

    one = const(1, "int32")
    fits = tirx.NE(before(count), one)
    if count:
        fits = tirx.And(fits, tirx.EQ(before(count - 1), one))
    require(fits, "the range has another length than the model declares")
    dtype = k.out.compute
    with nest(k.out.shape) as index:
        k.out.store(index, n.add(start, keep(n.multiply(tirx.Cast(dtype, index[0]), delta))))


def _bit_cast(k: Kernel) -> None:
    """The same bytes as another type of the same width."""
    x = k.inputs[0]
    with nest(k.out.shape) as index:
        raw = x.buffer[tuple(index) if index else (int64(0),)]
        if x.dtype == "bool":
            raw = tirx.Cast("uint8", raw)
        if k.out.dtype == "bool":
            k.out.store(index, tirx.NE(raw, const(0, x.dtype)))
        elif x.dtype == "bool" and k.out.dtype == "uint8":
            k.out.store(index, raw)
        else:
            k.out.store(index, tirx.reinterpret(k.out.dtype, raw))


def _col2im(k: Kernel) -> None:
    """Columns of blocks added up at their places in the image."""
    x, image, block = k.inputs
    axes = k.out.rank - 2
    dilations = k.attribute("dilations", (1,) * axes)
    strides = k.attribute("strides", (1,) * axes)
    pads = k.attribute("pads", (0,) * (2 * axes))
    sides, counts = [int64(1)], [int64(1)]
    for a in range(axes):
        extent, side = k.out.shape[2 + a], integer(block, a)
        same = tirx.EQ(integer(image, a), int64(extent))
        require(tirx.And(same, side > int64(0)), "the image has not the declared shape")
        room = int64(extent + pads[a] + pads[a + axes] - 1) - int64(dilations[a]) * (
            side - int64(1)
        )
        sides.append(side)
        counts.append(keep(tirx.floordiv(room, int64(strides[a])) + int64(1)))
    with nest(k.out.shape) as index:
        k.out.store(index, const(0, k.out.compute))
    with nest(x.shape) as (sample, row, column):
        channel, *inner = unfold(row, sides)
        _, *outer = unfold(column, counts)
        places = [
            keep(o * int64(strides[a]) + i * int64(dilations[a]) - int64(pads[a]))
            for a, (o, i) in enumerate(zip(outer, inner, strict=True))
        ]
        hit = both(
            inside(channel, k.out.shape[1]),
            *(inside(p, k.out.shape[2 + a]) for a, p in enumerate(places)),
        )
        with when(hit):
            target = [sample, channel, *places]
            k.out.store(target, keep(n.add(keep(k.out[target]), x[[sample, row, column]])))


def line(index: Index, axis: int, place: Expr) -> list[Expr]:
    """`index` with another place along an axis."""
    return [place if a == axis else i for a, i in enumerate(index)]


def flat(x: Array, position: Expr) -> Expr:
    """An element by its number."""
    return x[unfold(position, x.shape)]


KERNELS: dict[str, KernelFunction] = {
    "BitCast": _bit_cast,
    "Col2Im": _col2im,
    "ConstantOfShape": _constant_of_shape,
    "EyeLike": _eye_like,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "OneHot": _one_hot,
    "Range": _range,
    "Scatter": _scatter_elements,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "TensorScatter": _tensor_scatter,
}
