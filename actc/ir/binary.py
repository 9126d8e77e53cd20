"""Where a golden graph is binary: values with few codes, layers of signs, thresholds.

Golden has no operator of its own for binary layers: they are IntMatMul and IntConv whose
input takes two codes and whose weights have one size. Targets that do better than multiply
ask here which layers these are.

`possible_codes` follows sets of codes from the operators that bound them through those that
only move or choose codes; a set may hold codes that never occur, and never lacks one that
does. `sum_bounds` bounds accumulators by interval arithmetic, and `staircases` reads
actc::Steps as the thresholds that such accumulators can reach.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.graph import constant

Array = np.ndarray[Any, Any]
Codes = Mapping[ir.Value, frozenset[int]]
"""Value -> codes that it may hold; values of which nothing is known are absent."""

MOST_CODES = 256
"""Sets of more codes are not followed."""

STEPS = 255
"""Breakpoints of one channel of actc::Steps; it has one value more."""

_LINEAR = ("IntMatMul", "IntConv", "WideMatMul", "WideConv")
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


@dataclass(frozen=True, eq=False)
class Bounds:
    """Least and largest accumulator, for each output channel; int64 (channels,)."""

    low: Array
    high: Array

    def spread(self, channels: int) -> Bounds:
        """The bounds for `channels` channels: their own, or those of all together."""
        if self.low.size == channels:
            return self
        low, high = np.full(channels, self.low.min()), np.full(channels, self.high.max())
        return Bounds(low, high)


@dataclass(frozen=True, eq=False)
class Staircase:
    """One channel of actc::Steps, without what no accumulator reaches.

    Attributes:
        points: ascending accumulators where the code changes; int64.
        codes: the code below the first point and from each point on; one more than points.
    """

    points: Array
    codes: Array


@dataclass(frozen=True, eq=False)
class Threshold:
    """A staircase of two codes with at most one step, for every channel.

    The code is the high one where ``(accumulator >= points) == rising``. A channel that
    always has one code has a point that no accumulator within the bounds passes.

    Attributes:
        low, high: the two codes.
        points: int64 (channels,).
        rising: bool (channels,).
    """

    low: int
    high: int
    points: Array
    rising: Array


@dataclass(frozen=True, eq=False)
class BinaryLayer:
    """A layer of signs: ``(code - zero) * weight`` takes two values, or three with zeros.

    With b = 1 for the high code and s the sign of a weight, all of a layer's sums are
    ``bias + size * sum(s * (low - zero + (high - low) * b))`` over the weights that are
    not zero: a count of equal bits. In padding, `code - zero` is 0.

    Attributes:
        node: IntMatMul or IntConv.
        low, high: the two codes of its input; low < high.
        zero: the input's zero point, the code of padding.
        weight: int8 as golden has it, (K, O) or (O, C / group, ...); `-size`, 0 or `size`.
        bias: integers, (O,).
        size: of every weight that is not zero.
        ternary: whether there are weights of zero.
    """

    node: ir.Node
    low: int
    high: int
    zero: int
    weight: Array
    bias: Array
    size: int
    ternary: bool

    @property
    def inputs(self) -> str:
        """What the codes stand for: "sign" (-1, +1), "bit" (0, 1) or "other"."""
        low, high = self.low - self.zero, self.high - self.zero
        return "sign" if low == -high else "bit" if low == 0 else "other"


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
    (DOMAIN, "IntEmbed"): _embed,
    (DOMAIN, "Requantize"): _requantize,
    (DOMAIN, "Steps"): _steps,
    (DOMAIN, "Table"): _table,
}


def sum_bounds(node: ir.Node | None, codes: Codes) -> Bounds | None:
    """Bounds of the accumulators of a linear operator; None of anything else."""
    if node is None or node.domain != DOMAIN or node.op_type not in _LINEAR:
        return None
    x, weight, bias, zero = node.inputs[0], *(constant(v) for v in node.inputs[1:4])
    if x is None or x.dtype is None or weight is None or bias is None or zero is None:
        return None
    held = codes.get(x)
    ends = (min(held), max(held)) if held else (0, int(np.iinfo(x.dtype.numpy()).max))
    low, high = (end - int(zero.reshape(-1)[0]) for end in ends)
    conv = node.op_type.endswith("Conv")
    if conv:
        low, high = min(low, 0), max(high, 0)  # padding counts as zero
    wide = weight.astype(np.int64)
    over = tuple(range(1, wide.ndim)) if conv else tuple(range(wide.ndim - 1))
    least = np.minimum(wide * low, wide * high).sum(axis=over)
    most = np.maximum(wide * low, wide * high).sum(axis=over)
    added = bias.astype(np.int64).reshape(-1)
    return Bounds(least + added, most + added)


def staircases(node: ir.Node, codes: Codes | None = None) -> list[Staircase] | None:
    """The channels of an actc::Steps node, in the order of its offsets.

    Args:
        node: Steps.
        codes: what is known of values; with it, points that no accumulator of the linear
            layer in front reaches are left out.

    Returns:
        None where its parameters are not constants.
    """
    points, values, offset = (constant(value) for value in node.inputs[1:4])
    if points is None or values is None or offset is None:
        return None
    starts = offset.reshape(-1).astype(np.int64)
    kind = np.iinfo(points.dtype)
    source = node.inputs[0]
    found = None if codes is None or source is None else sum_bounds(source.producer(), codes)
    everywhere = Bounds(np.array([int(kind.min)]), np.array([int(kind.max)]))
    bounds = (found or everywhere).spread(len(starts))
    ends = zip(starts, bounds.low, bounds.high, strict=True)
    return [_staircase(points, values, int(s), int(low), int(high)) for s, low, high in ends]


def _staircase(points: Array, values: Array, start: int, low: int, high: int) -> Staircase:
    own = points[start : start + STEPS].astype(np.int64)
    first = int(np.searchsorted(own, low, side="right"))
    reached = np.unique(own[first : np.searchsorted(own, high, side="right")])
    counts = np.searchsorted(own, reached, side="right")
    codes = values[start + np.concatenate([[first], counts])].astype(np.int64)
    changes = np.flatnonzero(codes[1:] != codes[:-1])
    return Staircase(reached[changes], codes[np.concatenate([[0], changes + 1])])


def threshold(node: ir.Node, codes: Codes) -> Threshold | None:
    """actc::Steps as one comparison per channel.

    Returns:
        None where it gives another number of codes than two, or goes up and down.
    """
    found, held = staircases(node, codes), codes.get(node.outputs[0])
    if found is None or held is None or len(held) != 2:
        return None
    if any(len(stairs.points) > 1 for stairs in found):
        return None
    low, high = min(held), max(held)
    never = np.iinfo(np.int64).max
    points = np.array([s.points[0] if len(s.points) else never for s in found], np.int64)
    rising = np.array([_rises(stairs, high) for stairs in found])
    return Threshold(low, high, points, rising)


def _rises(stairs: Staircase, high: int) -> bool:
    """A constant channel never passes its point: high if it falls, low if it rises."""
    if len(stairs.points):
        return bool(stairs.codes[-1] == high)
    return bool(stairs.codes[0] != high)


def binary_layer(node: ir.Node, codes: Codes) -> BinaryLayer | None:
    """`node` as a layer of signs, None if it is none."""
    if node.domain != DOMAIN or node.op_type not in ("IntMatMul", "IntConv"):
        return None
    held = codes.get(node.inputs[0]) if node.inputs[0] is not None else None
    weight, bias, zero = (constant(value) for value in node.inputs[1:4])
    if held is None or len(held) != 2 or weight is None or bias is None or zero is None:
        return None
    sizes = np.unique(np.abs(weight.astype(np.int64)))
    if len(sizes[sizes > 0]) != 1:
        return None
    count = weight.shape[0] if node.op_type == "IntConv" else weight.shape[-1]
    return BinaryLayer(
        node,
        min(held),
        max(held),
        int(zero.reshape(-1)[0]),
        weight,
        np.broadcast_to(bias.reshape(-1), (count,)),
        int(sizes[-1]),
        bool(sizes[0] == 0),
    )


def binary_layers(graph: ir.Graph) -> list[BinaryLayer]:
    """All layers of signs of a golden graph, in its order."""
    codes = possible_codes(graph)
    found = (binary_layer(node, codes) for node in graph)
    return [layer for layer in found if layer is not None]
