"""Values between elements: Resize, GridSample, and grids for it.

A place along an axis becomes taps: elements with weights. Places are computed in float64.
"""

from __future__ import annotations

import itertools
import math

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.generic import arithmetic as n
from actc.targets.tvm.generic.convolutions import whole
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
from actc.targets.tvm.generic.places import both, clamped, either, entries, inside, integer

_DECLARED = "the operands give another shape than the model declares"


def real(value: float) -> Expr:
    """A number as float64."""
    return const(value, "float64")


def wide(value: Expr) -> Expr:
    """A value as float64."""
    return keep(tirx.Cast("float64", value))


def floor(value: Expr) -> Expr:
    """The largest whole number that is not larger."""
    return n.intrinsic("floor", value)


class _Axis:
    """How one axis is resized.

    Attributes:
        old, new: extents.
        scale: new over old, as given or of the extents.
        start, end: of the region of interest, in parts of the extent.
    """

    def __init__(self, old: int, new: int, scale: Expr, start: Expr, end: Expr) -> None:
        self.old, self.new, self.scale, self.start, self.end = old, new, scale, start, end

    def source(self, how: str, place: Expr) -> Expr:
        """Where a new element lies among the old ones."""
        x, half, last = wide(place), real(0.5), real(self.old - 1)
        if how == "align_corners":
            return keep(x * last / real(self.new - 1)) if self.new > 1 else real(0)
        if how == "asymmetric":
            return keep(x / self.scale)
        if how == "tf_crop_and_resize":
            first = keep(self.start * last)
            if self.new == 1:
                return keep(half * (self.start + self.end) * last)
            step = keep((self.end - self.start) * last / real(self.new - 1))
            return keep(first + x * step)
        if how == "pytorch_half_pixel" and self.new == 1:
            return real(-0.5)
        middle = keep((x + half) / self.scale - half)
        if how != "half_pixel_symmetric":
            return middle
        ideal = keep(self.scale * real(self.old))
        adjustment = keep(real(self.new) / ideal)
        center = real(self.old / 2)
        offset = keep(center * (real(1) - adjustment))
        return keep(offset + (x + half) / self.scale - half)


def _axes(k: Kernel) -> dict[int, _Axis]:
    """The axes that a Resize changes, and those that its operands name."""
    x, roi, scales, sizes = (*k.inputs, None, None, None)[:4]
    given = k.attribute("axes", tuple(range(x.rank)))
    axes = [a % x.rank for a in given]
    policy = k.attribute("keep_aspect_ratio_policy", "stretch")
    found = {}
    shared = None if sizes is None else _shared_scale(x, sizes, axes, policy)
    for position, axis in enumerate(axes):
        old, new = int(x.shape[axis]), int(k.out.shape[axis])
        if scales is not None and entries(scales):
            scale = wide(scales[[position]])
            exact = keep(real(old) * scale)
            ideal = floor(exact)
            if k.attribute("coordinate_transformation_mode", "") == "align_corners":
                # where the last element lies is then read in two ways
                near = keep(n.magnitude(keep(exact - ideal))) < real(1e-4)
                require(near, "a scale that gives no whole extent, with align_corners")
        elif shared is not None:
            scale = shared
            ideal = floor(keep(real(old) * scale + real(0.5)))
        else:
            scale, ideal = real(new / old), wide(integer(sizes, position))
        require(tirx.EQ(ideal, real(new)), _DECLARED)
        start, end = real(0), real(1)
        if roi is not None and entries(roi):
            start, end = (wide(roi[[p]]) for p in (position, position + len(axes)))
        found[axis] = _Axis(old, new, scale, start, end)
    return found


def _shared_scale(x: Array, sizes: Array, axes: list[int], policy: str) -> Expr | None:
    if policy == "stretch":
        return None
    best: Expr | None = None
    for position, axis in enumerate(axes):
        scale = keep(wide(integer(sizes, position)) / real(int(x.shape[axis])))
        if best is not None:
            better = scale < best if policy == "not_larger" else scale > best
            scale = keep(select(better, scale, best))
        best = scale
    return best


def _nearest(place: Expr, rule: str) -> Expr:
    half = real(0.5)
    if rule == "floor":
        return floor(place)
    if rule == "ceil":
        return n.intrinsic("ceil", place)
    if rule == "round_prefer_ceil":
        return floor(keep(place + half))
    return n.intrinsic("ceil", keep(place - half))


def _cubic(distance: Expr, a: float) -> Expr:
    """Keys' kernel (1981) with coefficient `a`."""
    d = keep(n.magnitude(distance))
    near = keep(((real(a + 2) * d - real(a + 3)) * d) * d + real(1))
    far = keep(((real(a) * d - real(5 * a)) * d + real(8 * a)) * d - real(4 * a))
    return keep(select(d <= real(1), near, select(d < real(2), far, real(0))))


def _linear(distance: Expr) -> Expr:
    d = keep(real(1) - n.magnitude(distance))
    return keep(select(d < real(0), real(0), d))


class _Taps:
    """Tables of an axis: for each new element, which old ones it mixes with what weights."""

    def __init__(self, k: Kernel, axis: _Axis) -> None:
        mode = k.attribute("mode", "nearest")
        anti = bool(k.attribute("antialias", 0)) and mode != "nearest"
        reach = {"nearest": 0, "linear": 1, "cubic": 2}[mode]
        stretch = max(axis.old / max(axis.new, 1), 1.0) if anti else 1.0
        self.count = 1 if mode == "nearest" else 2 * math.ceil(reach * stretch + 1) + 1
        self.places = T.alloc_buffer((axis.new, self.count), "int64")
        self.weights = T.alloc_buffer((axis.new, self.count), "float64")
        self.beyond = T.alloc_buffer((axis.new,), "int32")
        how = k.attribute("coordinate_transformation_mode", "half_pixel")
        with nest([axis.new]) as (place,):
            source = keep(axis.source(how, place))
            out = either(source < real(0), source > real(axis.old - 1))
            T.buffer_store(self.beyond, tirx.Cast("int32", out), [place])
            if mode == "nearest":
                self._one(k, axis, place, source)
            else:
                self._mix(k, axis, place, source, mode, anti)

    def _one(self, k: Kernel, axis: _Axis, place: Expr, source: Expr) -> None:
        rule = k.attribute("nearest_mode", "round_prefer_floor")
        chosen = clamped(whole(_nearest(source, rule)), 0, axis.old - 1)
        T.buffer_store(self.places, chosen, [place, int64(0)])
        T.buffer_store(self.weights, real(1), [place, int64(0)])

    def _mix(
        self, k: Kernel, axis: _Axis, place: Expr, source: Expr, mode: str, anti: bool
    ) -> None:
        coefficient = k.attribute("cubic_coeff_a", -0.75)
        leave_out = bool(k.attribute("exclude_outside", 0))
        first = keep(whole(floor(source)) - int64(self.count // 2))
        shrink = real(1)
        if anti:
            shrink = keep(select(axis.scale < real(1), axis.scale, real(1)))
        total = Cell(real(0))
        with nest([self.count]) as (tap,):
            at = keep(first + tap)
            distance = keep((wide(at) - source) * shrink)
            weight = _cubic(distance, coefficient) if mode == "cubic" else _linear(distance)
            if leave_out:
                weight = keep(select(inside(at, axis.old), weight, real(0)))
            total.set(total.value + weight)
            T.buffer_store(self.places, clamped(at, 0, axis.old - 1), [place, tap])
            T.buffer_store(self.weights, weight, [place, tap])
        if leave_out or anti:
            with nest([self.count]) as (tap,):
                part = keep(self.weights[place, tap] / total.value)
                T.buffer_store(self.weights, part, [place, tap])


def _resize(k: Kernel) -> None:
    x = k.inputs[0]
    axes = {a: axis for a, axis in _axes(k).items() if _changes(k, axis)}
    taps = {a: _Taps(k, axis) for a, axis in axes.items()}
    crop = k.attribute("coordinate_transformation_mode", "") == "tf_crop_and_resize"
    fill = const(k.attribute("extrapolation_value", 0.0), "float64")
    single = k.attribute("mode", "nearest") == "nearest"
    with nest(k.out.shape) as index:
        if single:
            place = [taps[a].places[i, int64(0)] if a in taps else i for a, i in enumerate(index)]
            value = keep(x[place])
        else:
            value = _mixed(x, taps, index)
        if crop and taps:
            out = either(*(tirx.NE(t.beyond[index[a]], const(0, "int32")) for a, t in taps.items()))
            value = keep(select(out, tirx.Cast(dtype_of(value), fill), value))
        k.out.store(index, _stored(value, k.out.compute))


def _changes(k: Kernel, axis: _Axis) -> bool:
    crop = k.attribute("coordinate_transformation_mode", "") == "tf_crop_and_resize"
    return crop or axis.old != axis.new or bool(k.inputs[2] is not None)


def _stored(value: Expr, dtype: str) -> Expr:
    """A mixed value in the type of the result: integers are rounded and saturated."""
    if dtype_of(value) == dtype:
        return value
    if "float" in dtype:
        return tirx.Cast(dtype, value)
    low, high = (tirx.Cast("float64", v) for v in (n.lowest(dtype), n.highest(dtype)))
    return tirx.Cast(dtype, n.bounded(n.intrinsic("roundeven", value), low, high))


def _mixed(x: Array, taps: dict[int, _Taps], index: list[Expr]) -> Expr:
    """The sum over all combinations of taps, as float64."""
    total = Cell(real(0))
    with nest([t.count for t in taps.values()]) as inner:
        weight, place = real(1), list(index)
        for (axis, table), tap in zip(taps.items(), inner, strict=True):
            weight = keep(weight * table.weights[index[axis], tap])
            place[axis] = table.places[index[axis], tap]
        with when(tirx.NE(weight, real(0))):
            total.set(total.value + keep(weight * tirx.Cast("float64", x[place])))
    return total.value


def _reflected(x: Expr, low: float, high: float) -> Expr:
    """A place mirrored at both ends until it lies between."""
    span = high - low
    if span <= 0:
        return real(0)
    away = keep(n.magnitude(keep(x - real(low))))
    turns = floor(keep(away / real(span)))
    rest = keep(away - turns * real(span))
    even = tirx.EQ(floor(keep(turns / real(2))) * real(2), turns)
    return keep(select(even, rest + real(low), real(high) - rest))


def _grid_sample(k: Kernel) -> None:
    """Jaderberg et al., 2015: values at the places of a grid, x before y before z."""
    x, grid = k.inputs
    mode = k.attribute("mode", "linear").removeprefix("bi")
    padding, aligned = k.attribute("padding_mode", "zeros"), bool(k.attribute("align_corners", 0))
    rank = x.rank - 2
    counts = {"nearest": 1, "linear": 2, "cubic": 4}[mode]
    with nest(k.out.shape) as index:
        sample, channel, *outer = index
        taps = []
        for axis in range(rank):
            at = wide(grid[[sample, *outer, int64(rank - 1 - axis)]])
            taps.append(_grid_taps(at, int(x.shape[2 + axis]), mode, padding, aligned))
        total = Cell(real(0))
        for chosen in itertools.product(range(counts), repeat=rank):
            weight, place, hits = real(1), [], []
            for axis, tap in enumerate(chosen):
                where, part, hit = taps[axis][tap]
                weight = keep(weight * part)
                place.append(where)
                hits.append(hit)
            value = tirx.Cast("float64", x[[sample, channel, *place]])
            total.set(total.value + select(both(*hits), keep(weight * value), real(0)))
        k.out.store(index, _stored(total.value, k.out.compute))


def _grid_taps(
    at: Expr, extent: int, mode: str, padding: str, aligned: bool
) -> list[tuple[Expr, Expr, Expr]]:
    """(element, weight, whether it is there) of a place between -1 and 1."""
    size, half = real(extent), real(0.5)
    if aligned:
        place = keep((at + real(1)) * half * (size - real(1)))
    else:
        place = keep(((at + real(1)) * size - real(1)) * half)
    ends = (0.0, extent - 1.0) if aligned else (-0.5, extent - 0.5)
    if padding == "border" and mode != "cubic":
        place = keep(n.bounded(place, real(0), real(extent - 1)))
    if padding == "reflection" and mode != "cubic":
        place = keep(n.bounded(_reflected(place, *ends), real(0), real(extent - 1)))
    if mode == "nearest":
        found = [(n.intrinsic("roundeven", place), real(1))]
    elif mode == "linear":
        low = floor(place)
        up = keep(place - low)
        found = [(low, keep(real(1) - up)), (keep(low + real(1)), up)]
    else:
        low = floor(place)
        steps = [keep(low + real(j)) for j in (-1, 0, 1, 2)]
        found = [(step, _cubic(keep(step - place), -0.75)) for step in steps]
    taps = []
    for step, weight in found:
        if padding == "border":
            step = keep(n.bounded(step, real(0), real(extent - 1)))
        elif padding == "reflection":
            step = keep(n.bounded(_reflected(step, *ends), real(0), real(extent - 1)))
        number = whole(step)
        taps.append((clamped(number, 0, extent - 1), weight, inside(number, extent)))
    return taps


def _affine_grid(k: Kernel) -> None:
    """The places of a grid under an affine map; x before y before z."""
    theta, size = k.inputs
    extents = [int(e) for e in k.out.shape[1:-1]]
    for axis, extent in enumerate([int(k.out.shape[0]), None, *extents]):
        if extent is not None:
            require(tirx.EQ(integer(size, axis), int64(extent)), _DECLARED)
    aligned = bool(k.attribute("align_corners", 0))
    rank = len(extents)
    with nest(k.out.shape) as index:
        sample, *places, row = index
        total = wide(theta[[sample, row, int64(rank)]])
        for axis in range(rank):
            extent = extents[rank - 1 - axis]
            at = wide(places[rank - 1 - axis])
            if aligned:
                step = 2 / (extent - 1) if extent > 1 else 0.0
                at = keep(at * real(step) - real(1))
            else:
                at = keep((at * real(2) + real(1)) / real(extent) - real(1))
            total = keep(total + at * wide(theta[[sample, row, int64(axis)]]))
        k.out.store(index, tirx.Cast(k.out.compute, total))


KERNELS: dict[str, KernelFunction] = {
    "AffineGrid": _affine_grid,
    "GridSample": _grid_sample,
    "Resize": _resize,
}
