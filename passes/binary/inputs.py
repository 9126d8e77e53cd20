"""What a binary layer reads: where the tensor is cut in two, and by which channels."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import attribute_ints, constant, dims, is_op, only_user

Array = np.ndarray[Any, Any]

_SAME_PLACE = ("Identity", "MaxPool")
_SAME_ORDER = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")
_LAYERS = ("Conv", "ConvTranspose", "MatMul")
_STEPS_BACK = 64


@dataclass(frozen=True, eq=False, slots=True)
class BinaryInput:
    """A tensor that binary layers read.

    A step commutes with operators that only move or choose the largest of values; it stands
    before them, right behind the sums that it makes bits of.

    Attributes:
        value: what the layers read.
        origin: where the step stands; `value` or what it is moved from.
        axis: of the channels of `origin`, each with a cut of its own; None: one cut for all.
        channels: int, the channel of each element of `value`, broadcast-ready.
        padded: a layer puts zeros beside it.
    """

    value: ir.Value
    origin: ir.Value
    axis: int | None
    channels: Array
    padded: bool

    @property
    def count(self) -> int:
        """Number of cuts."""
        return int(self.channels.max(initial=0)) + 1

    def by_channel(self, values: Array) -> Array:
        """`values` of the tensor (samples first) as [C, n]."""
        if self.axis is None or values.ndim < self.channels.ndim:
            return values.reshape(1, -1)
        features = np.broadcast_to(self.channels[0], values.shape[1:]).reshape(-1)
        order = np.argsort(features, kind="stable")
        sorted_values = values.reshape(len(values), -1)[:, order]
        grouped = sorted_values.reshape(len(values), self.count, -1)
        return np.moveaxis(grouped, 1, 0).reshape(self.count, -1)

    def shaped(self, cuts: Array) -> Array:
        """The cuts [C], broadcast-ready for `origin`."""
        if self.axis is None:
            return cuts.reshape(())
        rank = len(self.origin.shape or ())
        shape = [1] * rank
        shape[self.axis] = -1
        return cuts.reshape(shape[self.axis :])


def binary_input(layers: Collection[ir.Node], value: ir.Value) -> BinaryInput:
    """How `value` is cut for those of its readers that are binary.

    Args:
        layers: the binary layers that read it.
        value: no input of the graph.
    """
    origin = value
    padded = any(any(attribute_ints(node, "pads", [0])) for node in layers)
    path: list[ir.Node] = []
    if not value.is_graph_output() and {use.node for use in value.uses()} <= set(layers):
        while (node := _moves(origin)) is not None:
            source = node.inputs[0]
            assert source is not None
            path.insert(0, node)
            origin = source
    axis = _channel_axis(origin, next(iter(layers)) if origin is value else None)
    channels = None if axis is None else _channels(origin, axis, path, value)
    if channels is None:
        return BinaryInput(value, origin, None, np.zeros(1, np.int64), padded)
    return BinaryInput(value, origin, axis, channels, padded)


def _moves(value: ir.Value) -> ir.Node | None:
    """The node that makes `value` of one other without computing anything."""
    node = value.producer()
    if node is None or not is_op(node, *_SAME_PLACE, *_SAME_ORDER):
        return None
    source = node.inputs[0]
    alone = source is not None and constant(source) is None and only_user(source) is node
    inner = source is not None and source.producer() is not None
    return node if alone and inner and len(node.outputs) == 1 else None


def _channel_axis(value: ir.Value, reader: ir.Node | None) -> int | None:
    """The axis of the output channels of the layer that `value` comes from."""
    shape = dims(value)
    if shape is None or len(shape) < 2:
        return None
    if len(shape) == 2:
        return 1 if shape[1] is not None else None
    current: ir.Value | None = value
    for _ in range(_STEPS_BACK):
        node = None if current is None else current.producer()
        if node is None or is_op(node, *_LAYERS):
            break
        moved = is_op(node, *_SAME_ORDER, "Transpose")
        current = None if moved else next((v for v in node.inputs if constant(v) is None), None)
    else:
        node = None
    if node is None or not is_op(node, *_LAYERS):
        node = reader
        if node is None:
            return None
    axis = len(shape) - 1 if is_op(node, "MatMul") else 1
    return axis if shape[axis] is not None else None


def _channels(origin: ir.Value, axis: int, path: list[ir.Node], value: ir.Value) -> Array | None:
    """The channel of each element of `value`; None where that cannot be told."""
    shape = dims(origin)
    assert shape is not None
    count = shape[axis]
    assert count is not None
    inner = [1] * (len(shape) - 1)
    inner[axis - 1] = count
    channels = np.arange(count).reshape(inner)
    for node in path:
        if is_op(node, *_SAME_ORDER):
            before, after = dims(node.inputs[0]), dims(node.outputs[0])
            if before is None or after is None or len(after) < 2:
                return None
            if None in before[1:] or None in after[1:]:
                return None
            whole, target = [int(d or 0) for d in before[1:]], [int(d or 0) for d in after[1:]]
            if math.prod(whole) != math.prod(target) or math.prod(whole) == 0:
                return None
            channels = np.broadcast_to(channels, whole).reshape(target)
    if len(dims(value) or ()) != channels.ndim + 1:
        return None
    return channels[None]
