"""The rule for actc::Steps: staircases from accumulators to codes. Pure Python."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from actc.ir.binary import Staircase, staircases
from actc.targets.tvm.kernels.strided import Count, Operation, Search
from actc.targets.tvm.layout import like
from actc.targets.tvm.plan import Array
from actc.targets.tvm.planner import Planner, Unsupported
from actc.targets.tvm.rules_common import Source, Tail, emit_nest, table_tail, with_constants

MOST_COMPARED = 12
"""Steps of a channel that are compared one by one; among more, a search is faster."""


def steps(planner: Planner, node: ir.Node) -> None:
    """Steps: comparisons with each point where they are few, else a search; then the table."""
    x = planner.tensor(node, 0)
    offset = planner.need_constant(node, 3, "the offset")
    stairs = staircases(node, planner.codes)
    if stairs is None:
        raise Unsupported("its breakpoints or values are not constants", code="ACT0403")
    most = max(len(one.points) for one in stairs)
    name = str(node.outputs[0].name)
    operation: Operation
    if most <= MOST_COMPARED:
        operation, constants = Count(most), _compared(name, stairs, x.dtype, offset.shape, most)
    else:
        levels = most.bit_length()
        operation = Search(levels)
        constants = _searched(name, stairs, x.dtype, offset.shape, levels)
    sources = [Source(x.name, x), *constants]
    wide = [source for source in sources if not source.looked_up]
    tail = table_tail(planner, Tail(node.outputs[0]))
    out = like(x, str(tail.value.name), "uint8", with_constants(x.shape, wide))
    emit_nest(planner, out, sources, operation, tail)


def _compared(
    name: str, stairs: Sequence[Staircase], dtype: str, shape: tuple[int, ...], count: int
) -> list[Source]:
    """The code below, then points and rises; a channel of fewer steps rises by nothing."""
    points = np.full((count, len(stairs)), np.iinfo(dtype).max, dtype)
    rises = np.zeros((count, len(stairs)), np.int32)
    for channel, one in enumerate(stairs):
        points[: len(one.points), channel] = one.points
        rises[: len(one.points), channel] = np.diff(one.codes)
    base = np.array([one.codes[0] for one in stairs], np.int32)
    found = [_broadcast(f"{name}.below", base, shape)]
    for step in range(count):
        found.append(_broadcast(f"{name}.point{step}", points[step], shape))
        found.append(_broadcast(f"{name}.rise{step}", rises[step], shape))
    return found


def _broadcast(name: str, row: Array, shape: tuple[int, ...]) -> Source:
    """One number per channel, or one for all where they are equal."""
    same = np.all(row == row[0])
    return Source(name, row[:1].reshape((1,) * len(shape)) if same else row.reshape(shape))


def _searched(
    name: str, stairs: Sequence[Staircase], dtype: str, shape: tuple[int, ...], levels: int
) -> list[Source]:
    """Where a channel starts, and all points and codes; behind its last step it stays."""
    size = 1 << levels
    points = np.full((len(stairs), size), np.iinfo(dtype).max, dtype)
    codes = np.zeros((len(stairs), size), np.uint8)
    for channel, one in enumerate(stairs):
        points[channel, : len(one.points)] = one.points
        codes[channel, : len(one.codes)] = one.codes
        codes[channel, len(one.codes) :] = one.codes[-1]
    first = (size * np.arange(len(stairs))).astype(np.int32)
    return [
        Source(f"{name}.first", first.reshape(shape)),
        Source(f"{name}.points", points.reshape(-1), looked_up=True),
        Source(f"{name}.codes", codes.reshape(-1), looked_up=True),
    ]
