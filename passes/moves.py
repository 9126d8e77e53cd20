"""Chains of Reshape and Transpose that only permute axes become one Transpose.

Exporters write the transposition of keys as three steps, the first of which merges the
batch with the heads; a target that keeps the batch apart could not follow them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant, dims, is_op, replace_node

Array = np.ndarray[Any, Any]

_PROBES = (2, 3)
"""Batch sizes at which a chain is followed."""
_LARGEST = 1 << 22
"""Elements up to which it is."""


def merge_moves(model: ir.Model) -> None:
    """Replace every longest chain that permutes axes, from its end."""
    for node in reversed(list(model.graph)):
        if node.graph is not None and is_op(node, "Reshape", "Transpose"):
            _merge(model, node)


def _merge(model: ir.Model, last: ir.Node) -> None:
    chain, value = [last], last.inputs[0]
    best: tuple[ir.Value, list[int], int] | None = None
    while value is not None:
        node = value.producer()
        if node is None or not is_op(node, "Reshape", "Transpose"):
            break
        chain.append(node)
        value = node.inputs[0]
        found = _permutation(value, chain[::-1]) if value is not None and len(chain) > 2 else None
        if found is not None and value is not None:
            best = value, found, len(chain)
    if best is None:
        return
    source, order, _ = best
    merged = ir.node("Transpose", [source], {"perm": order}, name=last.name)
    replace_node(last, [merged], merged.outputs[0])


def _permutation(source: ir.Value | None, chain: list[ir.Node]) -> list[int] | None:
    """The order of the axes of `source` that `chain` gives, None when it is no permutation."""
    shape = dims(source)
    if shape is None or None in shape[1:] or all(node.op_type == "Transpose" for node in chain):
        return None
    orders = []
    for batch in (shape[0],) if shape[0] is not None else _PROBES:
        extents = [extent or 0 for extent in (batch, *shape[1:])]
        if math.prod(extents) > _LARGEST:
            return None
        found = _follow(np.arange(math.prod(extents)).reshape(extents), chain)
        order = None if found is None or not found.size else _order(found, extents)
        if order is None:
            return None
        orders.append(order)
    return orders[0] if all(order == orders[0] for order in orders) else None


def _follow(x: Array, chain: list[ir.Node]) -> Array | None:
    for node in chain:
        if node.op_type == "Transpose":
            given = node.attributes.get("perm")
            x = x.transpose(None if given is None else list(given.as_ints()))
            continue
        target = constant(node.inputs[1])
        keeps_zero = "allowzero" in node.attributes and node.attributes["allowzero"].as_int() == 1
        if target is None or (keeps_zero and not target.all()):
            return None
        wanted = [x.shape[i] if extent == 0 else int(extent) for i, extent in enumerate(target)]
        try:
            x = x.reshape(wanted)
        except ValueError:  # the batch is fixed inside
            return None
    return x


def _order(x: Array, extents: list[int]) -> list[int] | None:
    """The permutation of a row-major array of `extents` that gives `x`, None if there is none."""
    if x.ndim != len(extents):
        return None
    steps = [math.prod(extents[axis + 1 :]) for axis in range(len(extents))]
    first = x.reshape(-1)[0]
    order: list[int] = []
    for axis, extent in enumerate(x.shape):
        step = int(x.take(1, axis=axis).reshape(-1)[0] - first) if extent > 1 else None
        fits = [
            a
            for a, (size, stride) in enumerate(zip(extents, steps, strict=True))
            if a not in order and size == extent and (step is None or stride == step)
        ]
        if not fits:
            return None
        order.append(fits[0])
    whole = np.arange(x.size).reshape(extents).transpose(order)
    return order if np.array_equal(whole, x) else None
