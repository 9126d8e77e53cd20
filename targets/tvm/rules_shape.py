"""Rules for operators that only move elements, for pooling, and for model outputs. Pure Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import onnx_ir as ir

from actc.targets.tvm.kernels.strided import Concat, Copy, Elementwise, MaxPool
from actc.targets.tvm.layout import (
    Shape,
    Tensor,
    channels_last,
    like,
    plain,
    reshaped,
    transposed,
)
from actc.targets.tvm.planner import Planner, Unsupported
from actc.targets.tvm.rules_common import Source, Tail, emit_nest, ensure, nest
from actc.targets.tvm.rules_selection import select_in_front


def identity(planner: Planner, node: ir.Node) -> None:
    """Identity: the same buffer."""
    planner.view(node.outputs[0], planner.tensor(node, 0))


def transpose(planner: Planner, node: ir.Node) -> None:
    """Transpose: the same buffer, its axes renamed."""
    x = planner.tensor(node, 0)
    rank = len(x.shape)
    found = node.attributes.get("perm")
    perm = [int(p) for p in found.as_ints()] if found else list(range(rank))[::-1]
    if perm[0] != 0:
        select_in_front(planner, node, x, perm)
        return
    planner.view(node.outputs[0], transposed(x, x.name, perm))


def reshape(planner: Planner, node: ir.Node) -> None:
    """Reshape that keeps the batch axis."""
    x = planner.tensor(node, 0)
    target = [int(d) for d in planner.need_constant(node, 1, "the shape")]
    zero_is_zero = "allowzero" in node.attributes and node.attributes["allowzero"].as_int() == 1
    reshape_to(planner, x, node.outputs[0], resolve_shape(x.shape, target, not zero_is_zero))


def resolve_shape(shape: Shape, target: Sequence[int], copy_zeros: bool = True) -> Shape:
    """The shape that Reshape gives, with the batch axis kept.

    Raises:
        Unsupported: the batch axis would be split, merged or dropped.
    """
    size = math.prod(d or 1 for d in shape[1:])
    wanted = list(target)
    for i, extent in enumerate(wanted):
        if extent == 0 and copy_zeros and i > 0:
            wanted[i] = shape[i] or 0
    first, rest = wanted[0], wanted[1:]
    if -1 in rest:
        known = math.prod(d for d in rest if d != -1)
        rest[rest.index(-1)] = size // known if known else 0
    keeps = first in (0, -1) or first == shape[0]
    if not keeps or math.prod(rest) != size:
        raise Unsupported(
            f"reshape from {shape} to {list(target)} changes the batch axis",
            "keep the first axis as it is: one sample must stay one row",
        )
    return (shape[0], *rest)


def flatten(planner: Planner, node: ir.Node) -> None:
    """Flatten behind the batch axis."""
    x = planner.tensor(node, 0)
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 1
    if (
        axis % len(x.shape) != 1
        and math.prod(d or 0 for d in x.shape[1 : axis % len(x.shape)]) != 1
    ):
        raise Unsupported(f"Flatten at axis {axis} changes the batch axis")
    size = math.prod(d or 1 for d in x.shape[1:])
    reshape_to(planner, x, node.outputs[0], (x.batch, size))


def squeeze(planner: Planner, node: ir.Node) -> None:
    """Squeeze of other axes than the batch."""
    x = planner.tensor(node, 0)
    rank = len(x.shape)
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        axes = {int(a) % rank for a in planner.need_constant(node, 1, "the axes")}
    else:
        axes = {a for a in range(1, rank) if x.shape[a] == 1}
    if 0 in axes:
        raise Unsupported("the batch axis is squeezed")
    shape = tuple(d for a, d in enumerate(x.shape) if a not in axes)
    reshape_to(planner, x, node.outputs[0], shape)


def unsqueeze(planner: Planner, node: ir.Node) -> None:
    """Unsqueeze behind the batch axis."""
    x = planner.tensor(node, 0)
    wanted = [int(a) for a in planner.need_constant(node, 1, "the axes")]
    rank = len(x.shape) + len(wanted)
    axes = {a % rank for a in wanted}
    if 0 in axes:
        raise Unsupported("an axis is inserted in front of the batch axis")
    left = iter(x.shape)
    shape = tuple(1 if a in axes else next(left) for a in range(rank))
    reshape_to(planner, x, node.outputs[0], shape)


def reshape_to(planner: Planner, x: Tensor, value: ir.Value, shape: Shape) -> None:
    """Let `value` be `x` in another shape; copied only if elements have to move."""
    view = reshaped(x, x.name, shape)
    if view is None:
        straight = ensure(planner, x, plain(x.name, x.dtype, x.shape))
        view = reshaped(straight, straight.name, shape)
        assert view is not None  # row-major memory takes any shape
    planner.view(value, view)


def concat(planner: Planner, node: ir.Node) -> None:
    """Concat along another axis than the batch; constants may take part."""
    tensors = [planner.tensors.get(str(v.name)) for v in node.inputs if v is not None]
    first = next((t for t in tensors if t is not None), None)
    if first is None:
        raise Unsupported("all inputs are constants", "fold constants first")
    axis = node.attributes["axis"].as_int() % len(first.shape)
    if axis == 0:
        raise Unsupported("concatenation along the batch axis")
    value = node.outputs[0]
    parts: list[tuple[Source, int]] = []
    for given in node.inputs:
        constant = planner.constant(given)
        if constant is not None:
            parts.append((Source(str(given.name), constant), constant.shape[axis]))  # type: ignore[union-attr]
        else:
            tensor = planner.tensors[str(given.name)]  # type: ignore[union-attr]
            parts.append((Source(tensor.name, tensor), tensor.extent(axis)))
    total = sum(extent for _, extent in parts)
    shape = tuple(total if a == axis else d for a, d in enumerate(first.shape))
    out = like(first, str(value.name), first.dtype, shape)
    kernels, names, start = [], [], 0
    for source, extent in parts:
        kernel, inputs = _part(planner, out, source, axis, extent, start)
        kernels.append(kernel)
        names += inputs
        start += extent
    planner.emit(Concat(tuple(kernels)), names, out, value)


def _part(
    planner: Planner, out: Tensor, source: Source, axis: int, extent: int, start: int
) -> tuple[Elementwise, list[str]]:
    """The copy of one input into its place of `out`."""
    shape = tuple(extent if a == axis else d for a, d in enumerate(out.shape))
    lanes = extent if out.axes[-1] == axis else out.lanes
    window = replace(out, shape=shape, lanes=lanes)
    offset = start * out.stride(axis)
    return nest(planner, window, [source], Copy(), Tail(ir.Value(name="")), into=(out, offset))


def slice_(planner: Planner, node: ir.Node) -> None:
    """Slice with constant bounds along other axes than the batch."""
    x = planner.tensor(node, 0)
    rank = len(x.shape)
    starts, ends = (planner.need_constant(node, i, "a bound").tolist() for i in (1, 2))
    axes = _optional(planner, node, 3, list(range(len(starts))))
    steps = _optional(planner, node, 4, [1] * len(starts))
    shape = list(x.shape)
    first, step = [], []
    for begin, end, axis, stride in zip(starts, ends, axes, steps, strict=True):
        a = axis % rank
        if a == 0:
            raise Unsupported("the batch axis is sliced")
        indices = range(x.extent(a))[begin:end:stride]
        shape[a] = len(indices)
        if len(indices) == 0:
            raise Unsupported("an empty slice")
        first.append((a, indices[0]))
        step.append((a, stride))
    _slice(planner, x, node.outputs[0], tuple(shape), tuple(first), tuple(step))


def _optional(planner: Planner, node: ir.Node, index: int, default: list[int]) -> list[int]:
    if index >= len(node.inputs) or node.inputs[index] is None:
        return default
    return [int(v) for v in planner.need_constant(node, index, "a bound")]


def _slice(
    planner: Planner,
    x: Tensor,
    value: ir.Value,
    shape: Shape,
    first: tuple[tuple[int, int], ...],
    step: tuple[tuple[int, int], ...],
) -> None:
    out = like(x, str(value.name), x.dtype, shape)
    emit_nest(planner, out, [Source(x.name, x, first, step)], Copy(), Tail(value))


def split(planner: Planner, node: ir.Node) -> None:
    """Split along another axis than the batch: one copy per output."""
    x = planner.tensor(node, 0)
    axis = (node.attributes["axis"].as_int() if "axis" in node.attributes else 0) % len(x.shape)
    if axis == 0:
        raise Unsupported("the batch axis is split")
    count = len(node.outputs)
    chunk = -(-x.extent(axis) // count)
    sizes = _optional(
        planner, node, 1, [chunk] * (count - 1) + [x.extent(axis) - chunk * (count - 1)]
    )
    start = 0
    for value, size in zip(node.outputs, sizes, strict=True):
        shape = tuple(size if a == axis else d for a, d in enumerate(x.shape))
        _slice(planner, x, value, shape, ((axis, start),), ())
        start += size


def max_pool(planner: Planner, node: ir.Node) -> None:
    """MaxPool over one or two spatial axes of uint8."""
    x = planner.tensor(node, 0)
    if x.dtype != "uint8":
        raise Unsupported(f"MaxPool of {x.dtype}")
    source = channels_last(x.name, "uint8", x.shape) if len(x.shape) > 2 else x
    spec, shape = pooling(node, x.shape, source.lanes)
    source = ensure(planner, x, source)
    out = channels_last(str(node.outputs[0].name), "uint8", shape)
    planner.emit(spec, [source.name], out, node.outputs[0], (spec.out_h, spec.out_w, out.lanes))


def pooling(
    node: ir.Node, shape: Shape, lanes: int, dtype: Literal["uint8", "uint32"] = "uint8"
) -> tuple[MaxPool, Shape]:
    """What a MaxPool node computes of maps with `lanes` elements a pixel, and its shape.

    Raises:
        Unsupported: another rank than 3 or 4, a second output, computed padding.
    """
    rank = len(shape)
    if rank not in (3, 4) or len(node.outputs) > 1:
        raise Unsupported(f"MaxPool of rank {rank} with {len(node.outputs)} outputs")
    spatial = rank - 2
    auto = node.attributes["auto_pad"].as_string() if "auto_pad" in node.attributes else "NOTSET"
    if auto not in ("NOTSET", "VALID"):
        raise Unsupported(f"auto_pad={auto}", "write explicit pads")
    kernel = [int(v) for v in node.attributes["kernel_shape"].as_ints()]
    strides = _attribute(node, "strides", [1] * spatial)
    dilations = _attribute(node, "dilations", [1] * spatial)
    pads = _attribute(node, "pads", [0] * (2 * spatial))
    ceil_mode = "ceil_mode" in node.attributes and node.attributes["ceil_mode"].as_int() == 1
    sizes = [d or 0 for d in shape[2:]]
    outs = [
        pooled_extent(sizes[i], kernel[i], strides[i], dilations[i], pads[i], pads[i + spatial],
                      ceil_mode)
        for i in range(spatial)
    ]  # fmt: skip
    result = (*shape[:2], *outs)
    if spatial == 1:
        kernel, strides, dilations = [1, *kernel], [1, *strides], [1, *dilations]
        pads, sizes, outs = [0, pads[0]], [1, *sizes], [1, *outs]
    spec = MaxPool(
        shape[0], sizes[0], sizes[1], lanes, outs[0], outs[1], (kernel[0], kernel[1]),
        (strides[0], strides[1]), (pads[0], pads[1]), (dilations[0], dilations[1]), dtype,
    )  # fmt: skip
    return spec, result


def _attribute(node: ir.Node, name: str, default: list[int]) -> list[int]:
    found = node.attributes.get(name)
    return [int(v) for v in found.as_ints()] if found else default


def pooled_extent(
    size: int, kernel: int, stride: int, dilation: int, before: int, after: int, ceil_mode: bool
) -> int:
    """Output extent of a pooling; with `ceil_mode` no window starts in the padding behind."""
    rest = size + before + after - ((kernel - 1) * dilation + 1)
    steps = -(-rest // stride) if ceil_mode else rest // stride
    if ceil_mode and steps * stride >= size + before:
        steps -= 1
    return steps + 1


def copy_out(planner: Planner, value: ir.Value) -> str:
    """The buffer of a model output: row-major, logical shape, written by a kernel."""
    tensor = planner.tensors.get(str(value.name))
    if tensor is None:
        raise Unsupported("a model output is a constant")
    shape = tuple(tensor.extent(axis) for axis in range(1, len(tensor.shape)))
    ready = tensor.plain and planner.buffer_shape(tensor.name) == shape
    if ready and planner.writes(tensor.name):
        return tensor.name
    out = plain(planner.temporary(str(value.name)), tensor.dtype, tensor.shape)
    kernel, names = nest(planner, out, [Source(tensor.name, tensor)], Copy(), Tail(value), shape)
    planner.emit(kernel, names, out, None, shape)
    return out.name
