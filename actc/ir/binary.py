"""Where a golden graph is binary: values with few codes, layers of signs, thresholds.

Golden has no operator of its own for binary layers: they are IntMatMul and IntConv whose
input takes two codes and whose weights have one size. Targets that do better than multiply
ask here which layers these are.

`possible_codes` says which codes a value may hold, `sum_bounds` bounds accumulators by interval
arithmetic, and `staircases` reads actc::Steps as the steps that such accumulators can reach;
`threshold` is the case of two codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.dialect import DOMAIN
from actc.ir.graph import constant
from actc.ir.possible_codes import possible_codes
from actc.ir.staircases import (
    Bounds,
    Codes,
    Staircase,
    staircases,
    sum_bounds,
)

__all__ = [
    "BinaryLayer",
    "Bounds",
    "Codes",
    "Staircase",
    "Threshold",
    "binary_layer",
    "binary_layers",
    "possible_codes",
    "staircases",
    "sum_bounds",
    "threshold",
]

Array = np.ndarray[Any, Any]


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
