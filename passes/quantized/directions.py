"""The functions between a value and a quantizer, and the channels in which they rise or fall."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.elementwise import is_elementwise
from actc.ir.graph import channel_vector, constant, is_op, rank
from actc.passes.quantized.monotone import COMPARISONS, RISING, has_rising_parameters
from actc.passes.sign_values import Few, few_values

Array = np.ndarray[Any, Any]


def nodes_between(start: ir.Value, end: ir.Value) -> list[ir.Node] | None:
    """The nodes that make `end` of `start` alone, each element by itself, in order.

    Returns:
        None where something else takes part, or reads one of their values.
    """
    found: dict[ir.Node, None] = {}

    def visit(value: ir.Value) -> bool:
        if value is start or constant(value) is not None:
            return True
        node = value.producer()
        if node is None or not (is_elementwise(node) or is_op(node, "BatchNormalization")):
            return False
        if node not in found:
            if not all(visit(v) for v in node.inputs if v is not None):
                return False
            found[node] = None
        return True

    if not visit(end) or not found:
        return None
    inner = [start, *(node.outputs[0] for node in found if node.outputs[0] is not end)]
    alone = all(use.node in found for value in inner for use in value.uses())
    outside = any(value.is_graph_output() for value in inner)
    return list(found) if alone and not outside else None


def directions(nodes: list[ir.Node], start: ir.Value, channels: int) -> Array | None:
    """1 where the nodes rise, -1 where they fall, per channel (axis 1); None: neither, or unknown.

    Channels that are constant count as rising.
    """
    known: dict[ir.Value, Array] = {start: np.ones(channels, np.int64)}
    few = few_values(nodes)
    for node in nodes:
        if is_op(node, "Where") and node.inputs[0] in known:
            result = _ordered(node, known, few)
            if result is not None:
                known[node.outputs[0]] = result
                continue
        result = _direction(node, known, channels, rank(start) or 0)
        if result is None:
            return None
        known[node.outputs[0]] = result
    last = known[nodes[-1].outputs[0]]
    return np.where(last < 0, -1, 1)


def _direction(
    node: ir.Node, known: dict[ir.Value, Array], channels: int, axes: int
) -> Array | None:
    op = node.op_type
    values = [value for value in node.inputs if value is not None]
    moving = [known.get(value) for value in values]
    if op == "BatchNormalization":
        return _times(moving[0], _signs(values[1], channels, 2))
    if op in ("Add", "Sum", "Max", "Min", "Sub", *COMPARISONS):
        falls = op in ("Sub", *COMPARISONS)
        if falls and len(moving) > 1 and moving[1] is not None:
            moving[1] = -moving[1]
        joined = _joined([part for part in moving if part is not None])
        return None if joined is None else joined * COMPARISONS.get(op, 1)
    if op in ("Neg", "Not"):
        return None if moving[0] is None else -moving[0]
    if op == "Where":
        return _chosen(values, moving, channels, axes)
    if op in ("Mul", "Div"):
        if moving[0] is not None and (op == "Div" or moving[1] is None):
            return _times(moving[0], _signs(values[1], channels, axes))
        if op == "Mul" and moving[0] is None:
            return _times(moving[1], _signs(values[0], channels, axes))
        return None
    alone = all(part is None for part in moving[1:])
    return moving[0] if op in RISING and alone and has_rising_parameters(node) else None


def _times(direction: Array | None, signs: Array | None) -> Array | None:
    return None if direction is None or signs is None else direction * signs


def _joined(parts: list[Array]) -> Array | None:
    """Of a sum: all in one direction, or at rest."""
    together = np.stack(parts)
    if np.any((together.max(axis=0) > 0) & (together.min(axis=0) < 0)):
        return None
    return np.asarray(np.sign(together.sum(axis=0)))


def _ordered(node: ir.Node, known: dict[ir.Value, Array], few: dict[ir.Value, Few]) -> Array | None:
    """A condition that chooses between branches of which one is never below the other."""
    condition, *branches = (value for value in node.inputs if value is not None)
    ends = [_ends(value, few) for value in branches]
    moving = [known[value] for value in branches if value in known]
    first, second = ends
    if first is None or second is None:
        return None
    if first[0] >= second[1]:
        return _joined([known[condition], *moving])
    return _joined([-known[condition], *moving]) if first[1] <= second[0] else None


def _ends(value: ir.Value, few: dict[ir.Value, Few]) -> tuple[float, float] | None:
    array = constant(value)
    if array is not None:
        return float(array.min()), float(array.max())
    return (min(few[value]), max(few[value])) if value in few else None


def _chosen(
    values: list[ir.Value], moving: list[Array | None], channels: int, axes: int
) -> Array | None:
    """A condition that chooses between constants."""
    first, second = (constant(value) for value in values[1:])
    if moving[0] is None or first is None or second is None:
        return None
    return _times(moving[0], _sign_vector(first - second, channels, axes))


def _signs(value: ir.Value, channels: int, axes: int) -> Array | None:
    array = constant(value)
    return None if array is None else _sign_vector(array, channels, axes)


def _sign_vector(array: Array, channels: int, axes: int) -> Array | None:
    """The sign per channel of a number, or of a vector along axis 1."""
    if array.size == 1:
        return np.repeat(np.sign(array.reshape(-1)), channels).astype(np.int64)
    if array.shape == (channels,) and axes == 2:
        return np.sign(array).astype(np.int64)
    vector = channel_vector(array, axes, 1, channels)
    return None if vector is None else np.sign(vector).astype(np.int64)
