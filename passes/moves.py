"""Chains of Reshape and Transpose that only permute axes become one Transpose.

Exporters write the transposition of keys as three steps, the first of which merges the
batch with the heads; a target that keeps the batch apart could not follow them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import constant, dims, is_op, replace_node
from actc.passes.shapes import read_at_sizes

Array = np.ndarray[Any, Any]

_PROBES = (2, 3)
"""Batch sizes at which a chain is followed, where only the batch is open: the first of those at
which computed shapes are read."""
_SHORTEST = 3
"""Operators from which on a chain is worth it."""
_LARGEST = 1 << 22
"""Elements up to which it is."""


def merge_moves(model: ir.Model) -> None:
    """Replace every longest chain that permutes axes, from its end."""
    shapes = _Shapes(model)
    for node in reversed(list(model.graph)):
        if node.graph is not None and is_op(node, "Reshape", "Transpose"):
            _merge(node, shapes)


@dataclass(slots=True)
class _Shapes:
    """Shapes at a few sizes of the batch and of other open axes; read once, when needed."""

    model: ir.Model
    _found: dict[ir.Value, list[list[int]]] | None = None

    def of(self, value: ir.Value) -> list[list[int]]:
        """The shapes of a value, none where they are not known."""
        known = dims(value)
        if known is not None and None not in known[1:]:
            batches = _PROBES if known[0] is None else (known[0],)
            return [[batch, *(extent or 0 for extent in known[1:])] for batch in batches]
        return self.read().get(value, [])

    def read(self) -> dict[ir.Value, list[list[int]]]:
        """The shapes of all that a Reshape of open extents gives or takes."""
        if self._found is None:
            nodes = [node for node in self.model.graph if is_op(node, "Reshape", "Transpose")]
            values = list(dict.fromkeys(v for n in nodes for v in (n.inputs[0], n.outputs[0])))
            wanted = [v for v in values if v is not None and constant(v) is None]
            series = read_at_sizes(self.model, wanted) or []
            self._found = {
                value: [list(array.shape) for array in arrays]
                for value, arrays in zip(wanted, series, strict=False)
            }
        return self._found


def _merge(last: ir.Node, shapes: _Shapes) -> None:
    chain, value = [last], last.inputs[0]
    best: tuple[ir.Value, list[int]] | None = None
    while value is not None:
        node = value.producer()
        if node is None or not is_op(node, "Reshape", "Transpose"):
            break
        chain.append(node)
        value = node.inputs[0]
        if value is None or len(chain) < _SHORTEST or not _reshapes(chain):
            continue
        found = _permutation(value, chain[::-1], shapes)
        if found is not None:
            best = value, found
    if best is None:
        return
    source, order = best
    merged = ir.node("Transpose", [source], {"perm": order}, name=last.name)
    replace_node(last, [merged], merged.outputs[0])


def _reshapes(chain: list[ir.Node]) -> bool:
    return any(node.op_type == "Reshape" for node in chain)


def _permutation(source: ir.Value, chain: list[ir.Node], shapes: _Shapes) -> list[int] | None:
    """The order of the axes of `source` that `chain` gives, None when it is no permutation."""
    orders = []
    for position, extents in enumerate(shapes.of(source)):
        if math.prod(extents) > _LARGEST:
            return None
        x = np.arange(math.prod(extents)).reshape(extents)
        found = _follow(x, chain, position, shapes)
        order = None if found is None or not found.size else _order(found, extents)
        if order is None:
            return None
        orders.append(order)
    return orders[0] if orders and all(order == orders[0] for order in orders) else None


def _follow(x: Array, chain: list[ir.Node], position: int, shapes: _Shapes) -> Array | None:
    """`x` behind the chain; targets that are computed are read at size `position`."""
    for node in chain:
        if node.op_type == "Transpose":
            given = node.attributes.get("perm")
            x = x.transpose(None if given is None else list(given.as_ints()))
            continue
        target = constant(node.inputs[1])
        if target is None:
            read = shapes.read().get(node.outputs[0], [])
            target = np.array(read[position]) if position < len(read) else None
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
