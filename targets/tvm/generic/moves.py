"""What moves elements or repeats them: shapes, orders, pieces."""

from __future__ import annotations

from tvm import tirx

from actc.targets.tvm.generic.kernel import (
    Array,
    Expr,
    Kernel,
    KernelFunction,
    const,
    int64,
    keep,
    nest,
    require,
    select,
)
from actc.targets.tvm.generic.places import (
    at_most,
    clamped,
    either,
    entries,
    integer,
    number,
    remainder,
    unfold,
    wrapped,
)

_DECLARED = "the operands give another shape than the model declares"


def _same_order(k: Kernel) -> None:
    """The elements in their order, in another shape."""
    x = k.inputs[0]
    with nest(k.out.shape) as index:
        k.out.store(index, x[unfold(keep(number(index, k.out.shape)), x.shape)])


def _reshape(k: Kernel) -> None:
    """A shape that is known at run time alone must be the declared one."""
    x, target = (*k.inputs, None)[:2]
    copies = not k.attribute("allowzero", 0)
    for axis in range(entries(target) if target is not None else 0):
        wanted = integer(target, axis)
        same = tirx.EQ(wanted, int64(k.out.shape[axis]))
        kept = copies and axis < x.rank and x.shape[axis] is k.out.shape[axis]
        kept = kept or (copies and axis < x.rank and x.shape[axis] == k.out.shape[axis])
        zero = tirx.EQ(wanted, int64(0)) if kept else same
        require(either(same, tirx.EQ(wanted, int64(-1)), zero), _DECLARED)
    _same_order(k)


def _squeeze(k: Kernel) -> None:
    """Axes that are known at run time alone must have extent 1."""
    x, axes = (*k.inputs, None)[:2]
    ones = [axis for axis in range(x.rank) if x.shape[axis] == 1]
    for position in range(entries(axes) if axes is not None else 0):
        axis = wrapped(integer(axes, position), x.rank)
        require(either(const(0, "bool"), *(tirx.EQ(axis, int64(a)) for a in ones)), _DECLARED)
    _same_order(k)


def _unsqueeze(k: Kernel) -> None:
    """Axes that are known at run time alone must have extent 1 in the result."""
    _, axes = (*k.inputs, None)[:2]
    ones = [axis for axis in range(k.out.rank) if k.out.shape[axis] == 1]
    for position in range(entries(axes) if axes is not None else 0):
        axis = wrapped(integer(axes, position), k.out.rank)
        require(either(const(0, "bool"), *(tirx.EQ(axis, int64(a)) for a in ones)), _DECLARED)
    _same_order(k)


def _transpose(k: Kernel) -> None:
    x = k.inputs[0]
    order = k.attribute("perm", tuple(reversed(range(x.rank))))
    with nest(k.out.shape) as index:
        k.out.store(index, x[[index[order.index(axis)] for axis in range(x.rank)]])


def _expand(k: Kernel) -> None:
    x, shape = k.inputs
    offset = k.out.rank - entries(shape)
    for axis in range(entries(shape)):
        wanted, extent = integer(shape, axis), int64(k.out.shape[offset + axis])
        require(either(tirx.EQ(wanted, extent), tirx.EQ(wanted, int64(1))), _DECLARED)
    with nest(k.out.shape) as index:
        k.out.store(index, x.broadcast(index))


def _tile(k: Kernel) -> None:
    x, repeats = k.inputs
    for axis in range(x.rank):
        extent = integer(repeats, axis) * int64(x.shape[axis])
        require(tirx.EQ(extent, int64(k.out.shape[axis])), _DECLARED)
    # Loops over the copies: with remainders instead, LLVM 22 vectorizes for AVX-512 wrongly.
    counts = [int(new) // max(int(old), 1) for new, old in zip(k.out.shape, x.shape, strict=True)]
    with nest(counts) as copy, nest(x.shape) as index:
        parts = zip(copy, index, x.shape, strict=True)
        k.out.store([c * int64(extent) + i for c, i, extent in parts], x[index])


def _concat(k: Kernel) -> None:
    axis, start = k.attribute("axis", 0) % k.out.rank, 0
    for x in k.given:
        with nest(x.shape) as index:
            moved = [i + int64(start) if a == axis else i for a, i in enumerate(index)]
            k.out.store(moved, x[index])
        start = start + x.shape[axis]


def _split(k: Kernel) -> None:
    """One output; `start` is where it begins."""
    x, axis, start = k.inputs[0], k.attribute("axis", 0) % k.out.rank, k.attribute("start", 0)
    if len(k.inputs) > 1 and k.inputs[1] is not None:
        extent = integer(k.inputs[1], k.spec.index)
        require(tirx.EQ(extent, int64(k.out.shape[axis])), _DECLARED)
    with nest(k.out.shape) as index:
        k.out.store(index, x[[i + int64(start) if a == axis else i for a, i in enumerate(index)]])


def _chosen(axes: Array | None, values: Array | None, rank: int, axis: int, default: Expr) -> Expr:
    """The entry of `values` for an axis; entry i is for the axis that `axes` has there."""
    if values is None:
        return default
    if axes is None:
        return integer(values, axis) if axis < entries(values) else default
    found = default
    for position in range(entries(axes)):
        same = tirx.EQ(wrapped(integer(axes, position), rank), int64(axis))
        found = keep(select(same, integer(values, position), found))
    return found


def _slice(k: Kernel) -> None:
    x, starts, ends, axes, steps = (*k.inputs, None, None)[:5]
    first, stride = [], []
    for axis in range(x.rank):
        extent = int64(x.shape[axis])
        step = _chosen(axes, steps, x.rank, axis, int64(1))
        forward = step > int64(0)
        start = _chosen(axes, starts, x.rank, axis, int64(0))
        end = _chosen(axes, ends, x.rank, axis, int64(2**62))
        start, end = wrapped(start, extent), _wrapped_end(end, extent)
        low = keep(select(forward, int64(0), int64(-1)))
        last = keep(select(forward, extent, extent - int64(1)))
        start = at_most(_least(start, keep(select(forward, low, int64(0)))), last)
        end = at_most(_least(end, low), last)
        span = keep(select(forward, end - start, start - end))
        size = keep(select(forward, step, int64(0) - step))
        require(size > int64(0), "a step of a slice is 0")
        count = keep(tirx.floordiv(span + size - int64(1), size))
        count = keep(select(count < int64(0), int64(0), count))
        require(tirx.EQ(count, int64(k.out.shape[axis])), _DECLARED)
        first.append(start)
        stride.append(step)
    with nest(k.out.shape) as index:
        places = zip(index, first, stride, strict=True)
        k.out.store(index, x[[start + i * step for i, start, step in places]])


def _wrapped_end(end: Expr, extent: Expr) -> Expr:
    """An end may lie far below the first element."""
    low = keep(select(end < int64(-(2**62)), int64(-(2**62)), end))
    return wrapped(low, extent)


def _least(a: Expr, b: Expr) -> Expr:
    return keep(select(a < b, b, a))


def _pad(k: Kernel) -> None:
    x, pads, value, axes = (*k.inputs, None, None)[:4]
    mode = k.attribute("mode", "constant")
    count = entries(pads) // 2
    before = []
    for axis in range(x.rank):
        one, two = int64(0), int64(0)
        for position in range(count):
            here = const(1 if axes is None and position == axis else 0, "bool")
            if axes is not None:
                here = tirx.EQ(wrapped(integer(axes, position), x.rank), int64(axis))
            one = keep(select(here, integer(pads, position), one))
            two = keep(select(here, integer(pads, position + count), two))
        extent = int64(x.shape[axis]) + one + two
        require(tirx.EQ(extent, int64(k.out.shape[axis])), _DECLARED)
        before.append(one)
    if 0 in x.shape:
        mode = "constant"
    fill = const(0, x.compute)
    if value is not None and value.rank == 0:
        fill = keep(value[[]])
    elif value is not None:
        fill = keep(value[[0] * value.rank])
    with nest(k.out.shape) as index:
        places = [keep(i - b) for i, b in zip(index, before, strict=True)]
        if mode == "constant":
            _pad_constant(k, x, index, places, fill)
        else:
            source = [_repeated(p, e, mode) for p, e in zip(places, x.shape, strict=True)]
            k.out.store(index, x[source])


def _pad_constant(k: Kernel, x: Array, index: list[Expr], places: list[Expr], fill: Expr) -> None:
    if 0 in x.shape:
        k.out.store(index, fill)
        return
    hit = const(1, "bool")
    for place, extent in zip(places, x.shape, strict=True):
        hit = tirx.And(hit, tirx.And(place >= int64(0), place < int64(extent)))
    safe = [clamped(p, 0, int64(e) - int64(1)) for p, e in zip(places, x.shape, strict=True)]
    if x.dtype == "bool":
        chosen = tirx.Or(tirx.And(hit, x[safe]), tirx.And(tirx.Not(hit), fill))
    else:
        chosen = select(hit, x[safe], fill)
    k.out.store(index, chosen)


def _repeated(place: Expr, extent: Expr, mode: str) -> Expr:
    """The element that stands for one outside of an axis."""
    size = int64(extent)
    if mode == "edge":
        return clamped(place, 0, size - int64(1))
    if mode == "wrap":
        return remainder(place, extent)
    if extent == 1:
        return int64(0)
    period = 2 * (extent - 1) if isinstance(extent, int) else int64(2) * (size - int64(1))
    folded = keep(remainder(place, period))
    return keep(select(folded < size, folded, int64(period) - folded))


def _blocks(k: Kernel, to_space: bool) -> None:
    """DepthToSpace and SpaceToDepth: channels (block, block, C) or (C, block, block)."""
    x, block = k.inputs[0], k.attribute("blocksize", 1)
    inner = k.attribute("mode", "DCR") == "CRD"
    deep, wide = (x, k.out) if to_space else (k.out, x)
    channels = wide.shape[1]
    with nest(wide.shape) as index:
        n, c, h, w = index
        row, column = remainder(h, block), remainder(w, block)
        part = row * int64(block) + column
        depth = c * int64(block * block) + part if inner else part * int64(channels) + c
        place = [n, depth, tirx.floordiv(h, int64(block)), tirx.floordiv(w, int64(block))]
        assert len(deep.shape) == 4
        if to_space:
            k.out.store(index, x[place])
        else:
            k.out.store(place, x[index])


def _reverse_sequence(k: Kernel) -> None:
    x, lengths = k.inputs
    time, batch = k.attribute("time_axis", 0), k.attribute("batch_axis", 1)
    with nest(k.out.shape) as index:
        length = keep(int64(lengths[[index[batch]]]))
        place = keep(select(index[time] < length, length - int64(1) - index[time], index[time]))
        k.out.store(index, x[[place if a == time else i for a, i in enumerate(index)]])


def _trilu(k: Kernel) -> None:
    x, diagonal = (*k.inputs, None)[:2]
    shift = int64(0) if diagonal is None else integer(diagonal)
    upper = k.attribute("upper", 1)
    with nest(k.out.shape) as index:
        distance = index[-1] - index[-2]
        kept = distance >= shift if upper else distance <= shift
        if x.dtype == "bool":
            k.out.store(index, tirx.And(kept, x[index]))
        else:
            k.out.store(index, select(kept, x[index], const(0, x.compute)))


def _center_crop_pad(k: Kernel) -> None:
    """The middle of each axis, or zeros around it; the shape must be the declared one."""
    x, shape = k.inputs
    axes = k.attribute("axes", tuple(range(x.rank)))
    for position, axis in enumerate(axes):
        wanted = integer(shape, position)
        require(tirx.EQ(wanted, int64(k.out.shape[axis % x.rank])), _DECLARED)
    shifts = []
    for old, new in zip(x.shape, k.out.shape, strict=True):
        shifts.append((old - new) // 2 if old >= new else -((new - old) // 2))
    with nest(k.out.shape) as index:
        places = [keep(i + int64(s)) for i, s in zip(index, shifts, strict=True)]
        _pad_constant(k, x, index, places, const(0, x.compute))


KERNELS: dict[str, KernelFunction] = {
    "CenterCropPad": _center_crop_pad,
    "Concat": _concat,
    "DepthToSpace": lambda k: _blocks(k, to_space=True),
    "Expand": _expand,
    "Flatten": _same_order,
    "Pad": _pad,
    "Reshape": _reshape,
    "ReverseSequence": _reverse_sequence,
    "Slice": _slice,
    "SpaceToDepth": lambda k: _blocks(k, to_space=False),
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
}
