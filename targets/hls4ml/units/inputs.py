"""Which inputs an activation unit is checked on: all, or many and all breakpoints' neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range
from actc.targets.hls4ml.layers import HlsLayer, Integers

MOST = 1 << 16
"""Inputs of a channel: ranges of up to so many integers are checked on all of them."""
MOST_TOGETHER = 1 << 24
"""Inputs of all channels of a unit, where its range is larger than that."""
_LEAST = 1 << 10


def inputs_of(
    layer: HlsLayer, range: Range, functions: Sequence[StepFunction] = ()
) -> list[Integers]:
    """Inputs of a unit's rows: of each channel where `rows` are more than one, else one for all.

    Args:
        range: of what it reads.
        functions: of its channels, whose breakpoints count; () where it is none's beginning.

    Returns:
        Of each row integers, some of them twice; int64 [n].
    """
    rows = rows_of(layer)
    if range.high - range.low < MOST:
        return [np.arange(range.low, range.high + 1)] * rows
    count = max(min(MOST, MOST_TOGETHER // rows), _LEAST)
    spread = np.round(np.linspace(range.low, range.high, count)).astype(np.int64)
    found = []
    for row in np.arange(rows).tolist():
        edges = [_limits(layer, row), _steps(layer, row)]
        own = functions if rows == 1 else functions[row : row + 1]
        edges += [function.starts for function in {id(f): f for f in own}.values()]
        near = np.concatenate([edge + step for edge in edges for step in (-1, 0, 1)])
        found.append(np.append(spread, near[(range.low <= near) & (near <= range.high)]))
    return found


def rows_of(layer: HlsLayer) -> int:
    """How many functions a unit has: 1, or one for each channel."""
    rows = layer.attributes.get("rows", 1)
    assert isinstance(rows, int)
    return rows


def tensors(shape: Sequence[int], inputs: Sequence[Integers], most: int) -> Iterator[Integers]:
    """The inputs as tensors, each of whose positions holds another one.

    Args:
        shape: of one tensor.
        inputs: of all channels together, or of each channel, which all get all of theirs.
        most: elements that come at a time, if one tensor has no more.

    Yields:
        int64 [calls, elements of a tensor].
    """
    size = prod(shape)
    rows = len(inputs)
    places = size // rows  # of one call, for each row
    calls = -(-max(values.size for values in inputs) // places)
    step = max(most // size, 1)
    for first in range(0, calls, step):
        places_now = np.arange(first * places, min(first + step, calls) * places)
        columns = [values[places_now % values.size] for values in inputs]
        yield np.stack(columns, axis=1).reshape(-1, size)


def _limits(layer: HlsLayer, row: int) -> Integers:
    """Thresholds that the unit compares with."""
    limits = layer.attributes.get("limits")
    if not isinstance(limits, np.ndarray):
        return np.zeros(0, np.int64)
    return np.asarray(limits.reshape(rows_of(layer), -1)[row], np.int64)


def _steps(layer: HlsLayer, row: int) -> Integers:
    """The first input of each code that a requantization gives."""
    if layer.op != "ActcRequantize":
        return np.zeros(0, np.int64)
    number = {name: value for name, value in layer.attributes.items() if isinstance(value, int)}
    multiplier, offset = (layer.attributes[name] for name in ("multiplier", "offset"))
    assert isinstance(multiplier, np.ndarray)
    assert isinstance(offset, np.ndarray)
    if multiplier[row] == 0:
        return np.zeros(0, np.int64)
    codes = np.arange(number["low"], number["high"] + 1)
    scaled = ((codes - number["zero"]) << number["shift"]) - offset[row]
    return np.asarray(-(-scaled // multiplier[row]), np.int64)
