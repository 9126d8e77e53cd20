"""Which codes the values of a golden graph may hold.

Sets of codes come from the operators that bound them (tables, staircases, clamps) and are
followed through those that only move or choose codes. A set may hold codes that never occur,
and never lacks one that does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.graph import constant
from actc.ir.staircases import Codes, staircases

Array = np.ndarray[Any, Any]

MOST_CODES = 256
"""Sets of more codes are not followed."""

_MOVES = frozenset(
    {
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "GatherElements",
        "GatherND",
        "Identity",
        "MaxPool",
        "ReduceMax",
        "ReduceMin",
        "Reshape",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
        "WideMaxPool",
        "WideReduceMax",
    }
)
"""Operators whose outputs hold codes of their first input only."""


def possible_codes(graph: ir.Graph) -> dict[ir.Value, frozenset[int]]:
    """The codes that values of a golden graph may hold, where they are at most MOST_CODES."""
    found: dict[ir.Value, frozenset[int]] = {}
    for node in graph:
        moved = node.outputs if node.op_type == "Split" else node.outputs[:1]
        for value in moved:
            codes = _codes_of(node, found)
            if codes is not None and 0 < len(codes) <= MOST_CODES:
                found[value] = codes
    return found


def _codes_of(node: ir.Node, known: Codes) -> frozenset[int] | None:
    if node.op_type in _MOVES:
        return _of(node.inputs[0], known)
    rule = _RULES.get((node.domain, node.op_type))
    return None if rule is None else rule(node, known)


def _of(value: ir.Value | None, known: Codes) -> frozenset[int] | None:
    if value is None:
        return None
    if value in known:
        return known[value]
    array = constant(value)
    if array is None or array.dtype.kind not in "iu":
        return None
    return _unique(array)


def _unique(array: Array) -> frozenset[int]:
    return frozenset(int(code) for code in np.unique(array))


def _number(node: ir.Node, index: int) -> int | None:
    array = constant(node.inputs[index]) if index < len(node.inputs) else None
    return int(array.reshape(-1)[0]) if array is not None and array.size == 1 else None


def _table(node: ir.Node, known: Codes) -> frozenset[int] | None:
    """Table and ChannelTable: what they hold for the codes that come."""
    table = constant(node.inputs[1])
    if table is None:
        return None
    codes = _of(node.inputs[0], known)
    if codes is None:
        return _unique(table)
    index = np.array(sorted(codes), np.int64)
    if node.op_type == "ChannelTable":
        offset = constant(node.inputs[2])
        if offset is None:
            return None
        index = (index[:, None] + offset.astype(np.int64).reshape(1, -1)).reshape(-1)
    return _unique(table.reshape(-1)[index[index < table.size]])


def _embed(node: ir.Node, _known: Codes) -> frozenset[int] | None:
    table = constant(node.inputs[1])
    return None if table is None else _unique(table)


def _instances(node: ir.Node, _known: Codes) -> frozenset[int] | None:
    values = constant(node.inputs[6])
    return None if values is None else _unique(values)


def _requantize(node: ir.Node, known: Codes) -> frozenset[int] | None:
    low, high = _number(node, 4), _number(node, 5)
    if low is None or high is None or high - low >= MOST_CODES:
        return None
    return frozenset(range(low, high + 1))


def _steps(node: ir.Node, known: Codes) -> frozenset[int] | None:
    found = staircases(node, known)
    if found is None:
        return None
    return frozenset(int(code) for stairs in found for code in stairs.codes)


def _union(node: ir.Node, known: Codes) -> frozenset[int] | None:
    """Concat, Max, Min: codes of all inputs."""
    return _joined([_of(value, known) for value in node.inputs])


def _where(node: ir.Node, known: Codes) -> frozenset[int] | None:
    return _joined([_of(value, known) for value in node.inputs[1:]])


def _joined(sets: list[frozenset[int] | None]) -> frozenset[int] | None:
    codes: set[int] = set()
    for one in sets:
        if one is None:
            return None
        codes |= one
    return frozenset(codes)


def _pad(node: ir.Node, known: Codes) -> frozenset[int] | None:
    codes = _of(node.inputs[0], known)
    mode = node.attributes["mode"].as_string() if "mode" in node.attributes else "constant"
    if codes is None or mode != "constant":
        return codes
    filled = frozenset({0})
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        given = _of(node.inputs[2], known)
        if given is None:
            return None
        filled = given
    return codes | filled


def _clip(node: ir.Node, known: Codes) -> frozenset[int] | None:
    codes = _of(node.inputs[0], known)
    ends = []
    for index in (1, 2):
        given = index < len(node.inputs) and node.inputs[index] is not None
        end = _number(node, index) if given else None
        if given and end is None:
            return None
        ends.append(end)
    low, high = ends
    if codes is None:
        return None
    raised = {code if low is None else max(code, low) for code in codes}
    return frozenset(code if high is None else min(code, high) for code in raised)


def _cast(node: ir.Node, known: Codes) -> frozenset[int] | None:
    codes, dtype = _of(node.inputs[0], known), node.outputs[0].dtype
    if codes is None or dtype is None or not dtype.is_integer():
        return None
    kind = np.iinfo(dtype.numpy())
    return codes if kind.min <= min(codes) and max(codes) <= kind.max else None


_RULES: dict[tuple[str, str], Callable[[ir.Node, Codes], frozenset[int] | None]] = {
    ("", "Cast"): _cast,
    ("", "Clip"): _clip,
    ("", "Concat"): _union,
    ("", "Max"): _union,
    ("", "Min"): _union,
    ("", "Pad"): _pad,
    ("", "Where"): _where,
    (DOMAIN, "ChannelTable"): _table,
    (DOMAIN, "InstanceSteps"): _instances,
    (DOMAIN, "IntEmbed"): _embed,
    (DOMAIN, "Requantize"): _requantize,
    (DOMAIN, "Steps"): _steps,
    (DOMAIN, "Table"): _table,
}
