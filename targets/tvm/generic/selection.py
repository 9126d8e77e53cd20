"""What picks elements by their values: the largest, those that differ, those that are not zero."""

from __future__ import annotations

import math

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.generic.gather import flat, line
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
from actc.targets.tvm.generic.places import both, either, integer, unfold

_COUNT = "the data gives another number of elements than the model declares"


def _top_k(k: Kernel) -> None:
    """Each element goes where as many others come before it; equal ones in their order."""
    x, count = k.inputs
    axis = k.attribute("axis", -1) % x.rank
    size = k.out.shape[axis]
    require(tirx.EQ(integer(count), int64(size)), _COUNT)
    largest = k.attribute("largest", 1)
    extents = [1 if a == axis else e for a, e in enumerate(x.shape)]
    with nest(extents) as outer, nest([x.shape[axis]]) as (place,):
        value = keep(x[line(outer, axis, place)])
        before = Cell(int64(0))
        with nest([x.shape[axis]]) as (other,):
            rival = keep(x[line(outer, axis, other)])
            better = rival > value if largest else rival < value
            tie = tirx.And(tirx.EQ(rival, value), other < place)
            wins = tirx.Or(better, tie)
            before.set(before.value + select(wins, int64(1), int64(0)))
        with when(before.value < int64(size)):
            target = line(outer, axis, before.value)
            k.out.store(target, place if k.spec.index else value)


def _non_zero(k: Kernel) -> None:
    x = k.inputs[0]
    found, size = Cell(int64(0)), int64(k.out.shape[1])
    with nest([math.prod(x.shape)]) as (position,):
        index = unfold(position, x.shape)
        value = x[index]
        with when(value if x.dtype == "bool" else tirx.NE(value, const(0, dtype_of(value)))):
            require(found.value < size, _COUNT)
            for axis, place in enumerate(index):
                k.out.store([int64(axis), found.value], place)
            found.set(found.value + int64(1))
    require(tirx.EQ(found.value, size), _COUNT)


def _compress(k: Kernel) -> None:
    x, condition = k.inputs
    axis = k.attribute("axis", 0) if "axis" in dict(k.spec.attributes) else None
    found = Cell(int64(0))
    extent = k.out.shape[0 if axis is None else axis % x.rank]
    with nest([condition.shape[0]]) as (place,), when(condition[[place]]):
        require(found.value < int64(extent), _COUNT)
        if axis is None:
            k.out.store([found.value], flat(x, place))
        else:
            own = [1 if a == axis % x.rank else e for a, e in enumerate(x.shape)]
            with nest(own) as outer:
                source = line(outer, axis % x.rank, place)
                k.out.store(line(outer, axis % x.rank, found.value), x[source])
        found.set(found.value + int64(1))
    require(tirx.EQ(found.value, int64(extent)), _COUNT)


class _Slices:
    """The pieces of a tensor along an axis, or its elements; compared in row-major order."""

    def __init__(self, x: Array, axis: int | None) -> None:
        self.x, self.axis = x, axis
        self.count = math.prod(x.shape) if axis is None else int(x.shape[axis])
        self.rest = [] if axis is None else [1 if a == axis else e for a, e in enumerate(x.shape)]

    def element(self, place: Expr, outer: list[Expr]) -> Expr:
        """One element of a piece."""
        if self.axis is None:
            return flat(self.x, place)
        return self.x[line(outer, self.axis, place)]

    def compare(self, a: Expr, b: Expr) -> Expr:
        """-1, 0 or 1: piece `a` is less, equal or greater."""
        found = Cell(const(0, "int32"))
        with nest(self.rest) as outer:
            one, two = keep(self.element(a, outer)), keep(self.element(b, outer))
            if dtype_of(one) == "bool":
                one, two = (tirx.Cast("int32", v) for v in (one, two))
            less, more = const(-1, "int32"), const(1, "int32")
            here = select(one < two, less, select(one > two, more, const(0, "int32")))
            found.set(select(tirx.EQ(found.value, const(0, "int32")), here, found.value))
        return found.value


def _unique(k: Kernel) -> None:
    """Output 0: the pieces; 1: where each comes first; 2: which one each is; 3: how many."""
    x = k.inputs[0]
    axis = k.attribute("axis", 0) if "axis" in dict(k.spec.attributes) else None
    slices = _Slices(x, None if axis is None else axis % x.rank)
    size, ordered = slices.count, k.attribute("sorted", 1)
    first = T.alloc_buffer((max(size, 1),), "int64")  # the first piece that equals this one
    zero = const(0, "int32")
    total = Cell(int64(0))
    with nest([size]) as (place,):
        T.buffer_store(first, place, [place])
        with nest([size]) as (other,), when(other < place):
            equal = tirx.EQ(slices.compare(other, place), zero)
            own = tirx.EQ(first[place], place)
            T.buffer_store(first, select(tirx.And(equal, own), other, first[place]), [place])
        total.set(total.value + select(tirx.EQ(first[place], place), int64(1), int64(0)))
    out = k.spec.index
    declared = k.out.shape[0 if out or axis is None else axis % x.rank]
    if out != 2:
        require(tirx.EQ(total.value, int64(declared)), _COUNT)
    if out == 3:
        with nest(k.out.shape) as index:
            k.out.store(index, int64(0))
    with nest([size]) as (place,):
        rank = Cell(int64(0))
        with nest([size]) as (other,), when(tirx.EQ(first[other], other)):
            before = slices.compare(other, place) < zero if ordered else other < first[place]
            rank.set(rank.value + select(before, int64(1), int64(0)))
        if out == 2:
            k.out.store([place], rank.value)
        elif out == 3:
            k.out.store([rank.value], k.out[[rank.value]] + int64(1))
        else:
            with when(tirx.EQ(first[place], place)):
                _store_piece(k, slices, place, rank.value)


def _store_piece(k: Kernel, slices: _Slices, place: Expr, rank: Expr) -> None:
    if k.spec.index:
        k.out.store([rank], place)
    elif slices.axis is None:
        k.out.store([rank], keep(flat(slices.x, place)))
    else:
        with nest(slices.rest) as outer:
            k.out.store(line(outer, slices.axis, rank), keep(slices.element(place, outer)))


def _bounds(corners: list[Expr], centered: bool) -> list[Expr]:
    """Lower and upper ends of a box: from two corners in any order, or center and size."""
    y, x, b, a = corners
    if centered:
        two = const(2, dtype_of(y))
        x, y, w, h = corners
        return [keep(v) for v in (y - h / two, x - w / two, y + h / two, x + w / two)]
    lows = [keep(select(one < two, one, two)) for one, two in ((y, b), (x, a))]
    highs = [keep(select(one < two, two, one)) for one, two in ((y, b), (x, a))]
    return [*lows, *highs]


def _overlap(boxes: Array, sample: Expr, one: Expr, two: Expr, centered: bool) -> Expr:
    """Intersection over union of two boxes."""
    zero = const(0, boxes.compute)
    first, second = (
        _bounds([keep(boxes[[sample, b, int64(i)]]) for i in range(4)], centered)
        for b in (one, two)
    )
    shared = const(1, boxes.compute)
    for axis in (0, 1):
        low = select(first[axis] > second[axis], first[axis], second[axis])
        high = select(first[axis + 2] < second[axis + 2], first[axis + 2], second[axis + 2])
        side = keep(high - low)
        shared = keep(shared * select(side > zero, side, zero))
    areas = [keep((box[2] - box[0]) * (box[3] - box[1])) for box in (first, second)]
    union = keep(areas[0] + areas[1] - shared)
    return keep(select(union > zero, shared / union, zero))


def _non_max_suppression(k: Kernel) -> None:
    """Boxes by falling score, without those that overlap one that was taken."""
    boxes, scores, most, overlap, least = (*k.inputs, None, None, None)[:5]
    centered = bool(k.attribute("center_point_box", 0))
    samples, count = boxes.shape[0], boxes.shape[1]
    limit = int64(0) if most is None else integer(most)
    iou = const(0, boxes.compute) if overlap is None else keep(overlap[[0] * overlap.rank])
    low = None if least is None else keep(least[[0] * least.rank])
    found, size = Cell(int64(0)), int64(k.out.shape[0])
    state = T.alloc_buffer((max(int(count), 1),), "int32")  # 0: open, 1: taken, 2: left out
    with nest([samples, scores.shape[1]]) as (sample, group):
        with nest([count]) as (b,):
            out = const(0, "int32")
            if low is not None:
                out = select(scores[[sample, group, b]] > low, out, const(2, "int32"))
            T.buffer_store(state, out, [b])
        taken = Cell(int64(0))
        with nest([count]) as (_,):
            best = Cell(int64(-1))
            with nest([count]) as (b,):
                safe = select(best.value < int64(0), int64(0), best.value)
                better = either(
                    best.value < int64(0),
                    scores[[sample, group, b]] > scores[[sample, group, safe]],
                )
                is_open = tirx.EQ(state[b], const(0, "int32"))
                best.set(select(tirx.And(is_open, better), b, best.value))
            with when(both(best.value >= int64(0), taken.value < limit)):
                chosen = keep(best.value)
                require(found.value < size, _COUNT)
                for axis, value in enumerate((sample, group, chosen)):
                    k.out.store([found.value, int64(axis)], value)
                found.set(found.value + int64(1))
                taken.set(taken.value + int64(1))
                T.buffer_store(state, const(1, "int32"), [chosen])
                with nest([count]) as (b,), when(tirx.EQ(state[b], const(0, "int32"))):
                    near = _overlap(boxes, sample, chosen, b, centered) > iou
                    out = select(near, const(2, "int32"), const(0, "int32"))
                    T.buffer_store(state, out, [b])
    require(tirx.EQ(found.value, size), _COUNT)


KERNELS: dict[str, KernelFunction] = {
    "Compress": _compress,
    "NonMaxSuppression": _non_max_suppression,
    "NonZero": _non_zero,
    "TopK": _top_k,
    "Unique": _unique,
}
