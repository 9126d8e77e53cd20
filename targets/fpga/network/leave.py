"""The buses through which integers leave.

The host computes with accumulators in any case. Constants that they end with, such as the
bias, are added there: an adder less for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.functions.bias import Biased
from actc.targets.fpga.hdl import Bus, Range, Wire
from actc.targets.fpga.network.builder import Builder
from actc.targets.fpga.network.elements import Elements, Tensor, array_of
from actc.targets.fpga.network.interface import Exit, Result

Integers = npt.NDArray[np.int64]


def leave(
    builder: Builder, exit: Exit, tensor: Tensor, results: Sequence[Result]
) -> tuple[Bus, Exit, list[Result]]:
    """A bus of the design's outputs, with what it holds and what the host makes of it.

    Args:
        results: all of the model's; given back with those changed that are made of this bus.
    """
    wires = builder.wires(tensor)
    axis = _axis([result for result in results if result.value == exit.value], wires.ndim)
    if axis is None:
        return _bus(exit, wires), exit, list(results)
    offsets = _offsets(wires, axis)
    with builder.graph.scope(tensor.layer.name):
        pairs = zip(wires.flat, np.broadcast_to(offsets, wires.shape).flat, strict=True)
        wires = array_of((_less(wire, int(offset)) for wire, offset in pairs), wires.shape)
    exit = replace(exit, offset=exit.offset + offsets)
    changed = [_plus(r, offsets) if r.value == exit.value else r for r in results]
    return _bus(exit, wires), exit, changed


def _bus(exit: Exit, wires: Elements) -> Bus:
    """As wide as its widest element."""
    hull = Range(
        min(wire.range.low for wire in wires.flat), max(wire.range.high for wire in wires.flat)
    )
    return Bus(exit.bus, wires.shape, tuple(wires.flat), hull.width, hull.signed)


def _axis(results: Sequence[Result], rank: int) -> int | None:
    """The axis of a sample along which the host may add; None if it may not."""
    if not results or any(result.kind != "accumulator" for result in results):
        return None
    axes = {int(result.parameters["axis"]) % (rank + 1) for result in results}
    axis = min(axes)
    return axis - 1 if len(axes) == 1 and axis else None


def _offsets(wires: Elements, axis: int) -> Integers:
    """Constants that the wires end with, along one axis; 0 where they differ beside it."""
    rows = np.moveaxis(wires, axis, 0).reshape(wires.shape[axis], -1)
    shape = [-1 if place == axis else 1 for place in range(wires.ndim)]
    return np.array([_offset(row.tolist()) for row in rows], np.int64).reshape(shape)


def _offset(wires: Sequence[Wire]) -> int:
    parts = [Biased.of(wire) for wire in wires]
    # a negated sum takes its constant for nothing
    found = {part.offset if part.sign > 0 else 0 for part in parts}
    return found.pop() if len(found) == 1 else 0


def _less(wire: Wire, offset: int) -> Wire:
    """The wire without the constant that it ends with."""
    if offset == 0:
        return wire
    part = Biased.of(wire)
    below = part.wire << part.shift
    return below.narrow(wire.range.plus(-offset), "what is added to it stays in its range")


def _plus(result: Result, offsets: Integers) -> Result:
    """The same result of a bus that holds so much less."""
    given: dict[str, Any] = result.parameters
    flat = given["offset"] + given["multiplier"] * offsets.reshape(-1)
    found = flat.tolist() if len(set(flat.tolist())) > 1 else int(flat[0])
    return replace(result, parameters={**given, "offset": found})
