"""Rules for operators that only move elements: they take no hardware."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import onnx_ir as ir

from actc.ir.graph import attribute_ints
from actc.targets.fpga.network.builder import Builder, Unsupported
from actc.targets.fpga.network.elements import Elements, Tensor
from actc.targets.fpga.network.shapes import inner_axes, resolved


def identity(builder: Builder, node: ir.Node) -> None:
    """Identity, and Cast between integers: every value fits."""
    x = builder.tensor(node)
    builder.set(node.outputs[0], x.elements)


def transpose(builder: Builder, node: ir.Node) -> None:
    """Transpose of other axes than the batch."""
    x = builder.tensor(node)
    rank = len(x.shape) + 1
    perm = attribute_ints(node, "perm", range(rank)[::-1])
    if perm[0] != 0:
        raise Unsupported("it moves the batch axis", "keep the batch as the first axis")
    moved = x.elements.transpose([axis - 1 for axis in perm[1:]])
    builder.set(node.outputs[0], moved)


def reshape(builder: Builder, node: ir.Node) -> None:
    """Reshape within samples."""
    x = builder.tensor(node)
    target = builder.constant(node, 1, "the shape").tolist()
    copies = not ("allowzero" in node.attributes and node.attributes["allowzero"].as_int() == 1)
    _reshape(builder, node, x, resolved(x.shape, target, copies))


def flatten(builder: Builder, node: ir.Node) -> None:
    """Flatten behind the batch axis."""
    x = builder.tensor(node)
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else 1
    axis %= len(x.shape) + 1
    if axis == 0 or math.prod(x.shape[: axis - 1]) != 1:
        raise Unsupported("it joins the batch with other axes", "flatten from axis 1 on")
    _reshape(builder, node, x, (x.elements.size,))


def squeeze(builder: Builder, node: ir.Node) -> None:
    """Squeeze of other axes than the batch."""
    x = builder.tensor(node)
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        axes = builder.constant(node, 1, "the axes").reshape(-1).tolist()
        gone = inner_axes(axes, len(x.shape) + 1)
    else:
        gone = [axis for axis, extent in enumerate(x.shape) if extent == 1]
    shape = tuple(e for axis, e in enumerate(x.shape) if axis not in gone)
    _reshape(builder, node, x, shape)


def unsqueeze(builder: Builder, node: ir.Node) -> None:
    """Unsqueeze behind the batch axis."""
    x = builder.tensor(node)
    axes = builder.constant(node, 1, "the axes").reshape(-1).tolist()
    rank = len(x.shape) + len(axes) + 1
    made = inner_axes(axes, rank)
    left = iter(x.shape)
    shape = tuple(1 if axis in made else next(left) for axis in range(rank - 1))
    _reshape(builder, node, x, shape)


def concat(builder: Builder, node: ir.Node) -> None:
    """Concat along another axis than the batch; constants may take part."""
    ranks = [
        len(builder.tensors[value].shape) + 1
        for value in node.inputs
        if value is not None and value in builder.tensors
    ]
    if not ranks:
        raise Unsupported("all its inputs are constants", "fold constants first")
    (axis,) = inner_axes([node.attributes["axis"].as_int()], ranks[0])
    parts = [builder.operand(node, index, ranks[0]) for index in range(len(node.inputs))]
    joined = np.concatenate([part.elements for part in parts], axis=axis)
    builder.set(node.outputs[0], joined)


def slice_(builder: Builder, node: ir.Node) -> None:
    """Slice with constant bounds along other axes than the batch."""
    x = builder.tensor(node)
    starts, ends = (builder.constant(node, index, "a bound").tolist() for index in (1, 2))
    rank = len(x.shape) + 1
    axes = _integers(builder, node, 3, range(len(starts)))
    steps = _integers(builder, node, 4, [1] * len(starts))
    index = [slice(None)] * len(x.shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        (inner,) = inner_axes([axis], rank)
        index[inner] = _bounds(start, end, step, x.shape[inner])
    builder.set(node.outputs[0], _kept(x.elements[tuple(index)]))


def _bounds(start: int, end: int, step: int, extent: int) -> slice:
    """As ONNX has them: bounds beyond the axis are its ends."""
    if step > 0:
        return slice(start, end, step)
    last = None if end < -extent else end
    return slice(start, last, step)


def split(builder: Builder, node: ir.Node) -> None:
    """Split along another axis than the batch."""
    x = builder.tensor(node)
    given = node.attributes["axis"].as_int() if "axis" in node.attributes else 0
    (axis,) = inner_axes([given], len(x.shape) + 1)
    count, extent = len(node.outputs), x.shape[axis]
    chunk = -(-extent // count)
    even = [chunk] * (count - 1) + [extent - chunk * (count - 1)]
    sizes = _integers(builder, node, 1, even)
    bounds = np.cumsum(sizes)[:-1].tolist()
    parts = np.split(x.elements, bounds, axis=axis)
    for value, part in zip(node.outputs, parts, strict=True):
        builder.set(value, _kept(part))


def gather(builder: Builder, node: ir.Node) -> None:
    """Gather at constant places along another axis than the batch."""
    x = builder.tensor(node)
    given = node.attributes["axis"].as_int() if "axis" in node.attributes else 0
    (axis,) = inner_axes([given], len(x.shape) + 1)
    places = builder.constant(node, 1, "the index").astype(np.int64)
    taken = np.take(x.elements, places.reshape(-1), axis=axis)
    shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    builder.set(node.outputs[0], _kept(taken.reshape(shape)))


_PADDED: dict[str, Literal["edge", "reflect", "wrap"]] = {
    "edge": "edge",
    "reflect": "reflect",
    "wrap": "wrap",
}


def pad(builder: Builder, node: ir.Node) -> None:
    """Pad by constants, or by what NumPy calls edge, reflect and wrap."""
    x = builder.tensor(node)
    mode = node.attributes["mode"].as_string() if "mode" in node.attributes else "constant"
    if len(node.inputs) > 3 and node.inputs[3] is not None:
        raise Unsupported("it pads some axes only", "write the widths of all axes")
    widths = builder.constant(node, 1, "the widths").reshape(2, -1).T.tolist()
    if any(widths[0]) or min(map(min, widths)) < 0 or len(widths) != len(x.shape) + 1:
        raise Unsupported("it pads the batch or crops", "use Slice to crop")
    value = builder.optional(node, 2)
    number = 0 if value is None else int(value.reshape(-1)[0])
    if mode == "constant":
        filler = builder.constants(np.array(number)).elements.item()
        padded = np.pad(x.elements, widths[1:], constant_values=filler)
    else:
        if mode not in _PADDED:
            raise Unsupported(f"its mode is {mode!r}", f"use one of {', '.join(_PADDED)}")
        padded = np.pad(x.elements, widths[1:], mode=_PADDED[mode])
    builder.set(node.outputs[0], padded)


def _integers(builder: Builder, node: ir.Node, index: int, default: Sequence[int]) -> Sequence[int]:
    if index >= len(node.inputs) or node.inputs[index] is None:
        return default
    return [int(v) for v in builder.constant(node, index, "a bound").reshape(-1)]


def _kept(elements: Elements) -> Elements:
    if elements.size == 0:
        raise Unsupported("nothing is left of a sample")
    return elements


def _reshape(builder: Builder, node: ir.Node, x: Tensor, shape: tuple[int, ...]) -> None:
    builder.set(node.outputs[0], x.elements.reshape(shape))
