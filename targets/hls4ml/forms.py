"""The forms that functions of one integer can take as layers, and what they cost.

A form that is fitted gives the function at every input of its range: that is checked for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range
from actc.targets.hls4ml import costs
from actc.targets.hls4ml.layers import Attribute, HlsLayer, Integers, hull_of

MOST_THRESHOLDS = 15
"""Thresholds that are compared side by side, at most; up to so many always are: it is quickest."""
MOST_TABLED = 1 << 12
"""Entries of the tables of a layer whose channels differ, at most."""
MOST_SHARED = 1 << 16
"""Entries of a table that all channels share, at most."""


@dataclass(frozen=True, eq=False)
class Form:
    """A way to compute functions: a layer without its place in a network.

    Attributes:
        name: what layers are called by.
        op, result, attributes, types: of the layer.
        cost: of one element, see :mod:`~actc.targets.hls4ml.costs`.
    """

    name: str
    op: str
    cost: float
    result: Range
    attributes: Mapping[str, Attribute]
    types: Mapping[str, Range] = field(default_factory=dict)

    def layer(self, name: str, given: str, shape: tuple[int, ...]) -> HlsLayer:
        """The layer.

        Args:
            given: the layer that is read.
            shape: of the result.
        """
        return HlsLayer(name, self.op, (given,), shape, self.result, self.attributes, self.types)


def plain_forms(rows: Sequence[StepFunction], range: Range) -> list[Form]:
    """Forms that take any functions; at least one.

    Args:
        rows: the function of all channels, or of each.
        range: of what is read, all channels together.
    """
    if max(function.starts.size for function in rows) - 1 <= MOST_THRESHOLDS:
        return [thresholds(rows, range)]
    size = range.high - range.low + 1
    shared = len(rows) == 1 and size <= MOST_SHARED
    tabled = shared or size * len(rows) <= MOST_TABLED
    return [search(rows, range), *([table(rows, range)] if tabled else [])]


def thresholds(rows: Sequence[StepFunction], range: Range) -> Form:
    """Comparisons side by side."""
    count = max(max(function.starts.size for function in rows) - 1, 1)
    levels, limits = _padded(rows, range, count)
    found = hull_of(levels)
    cost = count * costs.comparison(range.width) + costs.memory((count + 1) * found.width)
    return Form(
        "thresholds", "ActcThresholds", cost, found,
        {"limits": limits, "levels": levels, "rows": len(rows), "count": count},
        {"limits": hull_of(limits), "levels": found},
    )  # fmt: skip


def table(rows: Sequence[StepFunction], range: Range) -> Form:
    """One lookup."""
    every = np.arange(range.low, range.high + 1)
    levels = np.stack([function.evaluate(every) for function in rows])
    found = hull_of(levels)
    return Form(
        "table", "ActcTable", costs.memory(every.size * found.width), found,
        {"levels": levels, "rows": len(rows), "size": every.size, "first": range.low},
        {"levels": found},
    )  # fmt: skip


def search(rows: Sequence[StepFunction], range: Range) -> Form:
    """A binary search through thresholds."""
    most = max(function.starts.size for function in rows) - 1
    depth = most.bit_length()
    levels, limits = _padded(rows, range, (1 << depth) - 1)
    found = hull_of(levels)
    cost = costs.search(depth, range.width) + costs.memory(found.width << depth)
    return Form(
        "search", "ActcSearch", cost, found,
        {"limits": limits, "levels": levels, "rows": len(rows), "depth": depth},
        {"limits": hull_of(limits), "levels": found},
    )  # fmt: skip


def _padded(rows: Sequence[StepFunction], range: Range, count: int) -> tuple[Integers, Integers]:
    """Levels [rows, count + 1] and limits [rows, count]; what is above `range` is not reached."""
    levels = np.zeros((len(rows), count + 1), np.int64)
    limits = np.full((len(rows), count), range.high + 1, np.int64)
    for row, function in enumerate(rows):
        own = function.starts.size
        levels[row, :own] = function.levels
        levels[row, own:] = function.levels[-1]
        limits[row, : own - 1] = function.starts[1:]
    return levels, limits
