"""Staircases of actc::Steps on vectors of accumulators: int32 or int64 to codes, exact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.targets.tvm.kernels import tir


def count_passed(values: Sequence[Any]) -> Any:
    """The codes of `Count`.

    Args:
        values: accumulators, codes below all points, then a point and a rise for each step.

    Returns:
        uint8 lanes.
    """
    acc, total = values[0], values[1]
    for point, rise in zip(values[2::2], values[3::2], strict=True):
        nothing = tir.const(0, "int32", rise)
        total = total + tirx.Select(acc >= point, rise, nothing)
    return tir.cast("uint8", total)


def search(acc: Any, first: Any, points: Any, codes: Any, levels: int) -> Any:
    """The codes of `Search`.

    Args:
        acc: accumulators.
        first: first entry of the channel of each, int32.
        points, codes: flat buffers, ``2**levels`` entries a channel; points ascend.
        levels: steps of the search.

    Returns:
        uint8 lanes.
    """
    lanes = tir.lanes_of(first)
    scope = tir.register_scope()
    # TVM would write a bound name out at each use.
    kept = T.alloc_buffer((lanes,), "int32", scope=scope)
    place = tir.span(0, lanes)
    T.buffer_store(kept, first, [place])
    for level in reversed(range(levels)):
        probe = kept[place] + tir.const((1 << level) - 1, "int32", first)
        onward = tir.const(1 << level, "int32", first)
        passed = tirx.Select(acc >= points[probe], onward, tir.const(0, "int32", first))
        T.buffer_store(kept, kept[place] + passed, [place])
    return codes[kept[place]]
