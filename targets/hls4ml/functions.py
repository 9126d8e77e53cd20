"""Functions of sums and codes as layers: thresholds, requantization, tables, searches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from actc.targets.fpga.folded.lower.functions import Affine
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.functions.stages import Requantization
from actc.targets.fpga.hdl import Range
from actc.targets.hls4ml.layers import HlsLayer, Integers, hull_of

Unique: TypeAlias = Callable[[str], str]
"""Makes a name that no layer has."""

MOST_THRESHOLDS = 15
"""Thresholds that are compared side by side, at most."""
MOST_TABLED = 1 << 12
"""Entries of a layer's tables, at most, where a multiplier or a search does as well."""


@dataclass(frozen=True, eq=False)
class Scaling:
    """``clamp(((multiplier * x + offset) >> shift) + zero, low, high)``, one row per channel.

    Attributes:
        multiplier, offset: int64 [channels].
        shift, zero, low, high: of all channels.
    """

    multiplier: Integers
    offset: Integers
    shift: int
    zero: int
    low: int
    high: int


@dataclass(frozen=True, eq=False)
class Chain:
    """The functions of a stage's channels: steps, and where there is one, a scaling in front.

    Attributes:
        functions: of each channel, of what is read; equal objects where equal.
        scaling: what the functions begin with, if it is the same for all channels but for its
            multiplier.
        rest: the function of what the scaling gives, the same for all channels; None: itself.
    """

    functions: tuple[StepFunction, ...]
    scaling: Scaling | None = None
    rest: StepFunction | None = None

    @classmethod
    def of(
        cls,
        functions: Sequence[StepFunction],
        stages: Sequence[Sequence[object]] = (),
        moves: Sequence[tuple[int, int]] = (),
    ) -> Chain:
        """The chain of some functions.

        Args:
            stages: the operators that each is made of, as functions of totals.
            moves: factor and offset that make totals of what is read.
        """
        shared: dict[tuple[int, int, bytes, bytes], StepFunction] = {}
        own = tuple(shared.setdefault(function.key, function) for function in functions)
        if not stages or not all(isinstance(_plain(parts[0]), Requantization) for parts in stages):
            return cls(own)
        return cls(own, *_scaled(stages, moves))

    def carried(self, factor: int, center: int) -> Chain:
        """The chain whose results are ``factor * y - center``."""
        if (factor, center) == (1, 0):
            return self
        made: dict[int, StepFunction] = {}
        for function in self.functions:
            made.setdefault(id(function), _moved(function, factor, center))
        functions = tuple(made[id(function)] for function in self.functions)
        if self.scaling is None:
            return Chain(functions)
        scaling = self.scaling
        if self.rest is None and factor == 1:
            zero, ends = scaling.zero - center, (scaling.low - center, scaling.high - center)
            moved = Scaling(scaling.multiplier, scaling.offset, scaling.shift, zero, *ends)
            return Chain(functions, moved)
        inner = Range(scaling.low, scaling.high)
        rest = self.rest or StepFunction.of(inner, np.arange(inner.low, inner.high + 1))
        return Chain(functions, scaling, _moved(rest, factor, center))


def _moved(function: StepFunction, factor: int, center: int) -> StepFunction:
    return StepFunction(function.range, function.starts, function.levels * factor - center)


def _plain(stage: object) -> object:
    return stage.stage if isinstance(stage, Affine) else stage


def _scaled(
    stages: Sequence[Sequence[object]], moves: Sequence[tuple[int, int]]
) -> tuple[Scaling | None, StepFunction | None]:
    """Scaling and rest of functions that begin with a requantization; None where they differ."""
    multipliers, offsets = [], []
    kinds: set[tuple[int, int, int, int]] = set()
    rests: dict[tuple[int, int, bytes, bytes], StepFunction] = {}
    plain = 0
    for parts, (factor, offset) in zip(stages, moves, strict=True):
        first, requantization = parts[0], _plain(parts[0])
        assert isinstance(requantization, Requantization)
        inner = (first.factor, first.offset) if isinstance(first, Affine) else (1, 0)
        multiplier = requantization.multiplier
        multipliers.append(multiplier * inner[0] * factor)
        offsets.append(
            multiplier * (inner[0] * offset + inner[1]) + (1 << (requantization.shift - 1))
        )
        r = requantization
        kinds.add((r.shift, r.zero, r.low, r.high))
        if len(parts) == 1:
            plain += 1
        else:
            rest = _rest(Range(r.low, r.high), parts[1:])
            if rest is None:
                return None, None
            rests[rest.key] = rest
    if len(kinds) != 1 or len(rests) + (plain > 0) != 1:
        return None, None
    ((shift, zero, low, high),) = kinds
    constants = np.array(multipliers, np.int64), np.array(offsets, np.int64)
    return Scaling(*constants, shift, zero, low, high), next(iter(rests.values()), None)


def _rest(range: Range, stages: Sequence[object]) -> StepFunction | None:
    """What follows, on all that the requantization may give."""
    function = None
    for stage in stages:
        if not callable(stage):
            return None
        own = stage(range if function is None else function.hull)
        function = own if function is None else function.then(own)
    return function


# --- layers


def function_layers(
    chain: Chain, range: Range, scope: str, given: str, shape: tuple[int, ...], unique: Unique
) -> list[HlsLayer]:
    """The layers of a chain, in order.

    Args:
        range: of what is read, all channels together.
        scope: what their names begin with.
        given: the layer that is read.
        shape: of the result.
        unique: makes a name that no layer has.
    """
    rows = _rows(chain.functions)
    most = max(function.starts.size for function in rows) - 1
    size = (range.high - range.low + 1) * len(rows)
    if most <= MOST_THRESHOLDS:
        return [_thresholds(rows, range, unique(f"{scope}_thresholds"), given, shape)]
    if chain.scaling is not None and size > MOST_TABLED:
        return _scaling_layers(chain, range, scope, given, shape, unique)
    if size <= MOST_TABLED:
        return [_table(rows, range, unique(f"{scope}_table"), given, shape)]
    return [_search(rows, range, unique(f"{scope}_search"), given, shape)]


def _rows(functions: Sequence[StepFunction]) -> tuple[StepFunction, ...]:
    """The functions that differ: one, or one per channel."""
    same = all(function is functions[0] for function in functions)
    return tuple(functions[:1] if same else functions)


def _scaling_layers(
    chain: Chain, range: Range, scope: str, given: str, shape: tuple[int, ...], unique: Unique
) -> list[HlsLayer]:
    scaling = chain.scaling
    assert scaling is not None
    found = Range(scaling.low, scaling.high)
    same = len(set(scaling.multiplier.tolist())) == len(set(scaling.offset.tolist())) == 1
    count = slice(0, 1 if same else None)
    multiplier, offset = scaling.multiplier[count], scaling.offset[count]
    scaled = (hull_of(multiplier) * range).hull(Range(0, 0))
    scaled = Range(scaled.low + int(offset.min()), scaled.high + int(offset.max()))
    width = scaled.hull(scaled.plus(scaling.zero)).hull(Range(scaling.low, scaling.high)).width + 1
    name = unique(f"{scope}_requantize")
    layer = HlsLayer(
        name, "ActcRequantize", (given,), shape, found,
        {
            "multiplier": multiplier, "offset": offset, "rows": len(multiplier),
            "shift": scaling.shift, "zero": scaling.zero, "low": scaling.low, "high": scaling.high,
            "width": width,
        },
        {"multiplier": hull_of(multiplier), "offset": hull_of(offset)},
    )  # fmt: skip
    if chain.rest is None:
        return [layer]
    return [layer, _table((chain.rest,), found, unique(f"{scope}_table"), name, shape)]


def _thresholds(
    rows: Sequence[StepFunction], range: Range, name: str, given: str, shape: tuple[int, ...]
) -> HlsLayer:
    count = max(max(function.starts.size for function in rows) - 1, 1)
    levels, limits = _padded(rows, range, count)
    found, least = hull_of(levels), hull_of(limits)
    return HlsLayer(
        name, "ActcThresholds", (given,), shape, found,
        {"limits": limits, "levels": levels, "rows": len(rows), "count": count},
        {"limits": least, "levels": found},
    )  # fmt: skip


def _table(
    rows: Sequence[StepFunction], range: Range, name: str, given: str, shape: tuple[int, ...]
) -> HlsLayer:
    every = np.arange(range.low, range.high + 1)
    levels = np.stack([function.evaluate(every) for function in rows])
    found = hull_of(levels)
    return HlsLayer(
        name, "ActcTable", (given,), shape, found,
        {"levels": levels, "rows": len(rows), "size": every.size, "first": range.low},
        {"levels": found},
    )  # fmt: skip


def _search(
    rows: Sequence[StepFunction], range: Range, name: str, given: str, shape: tuple[int, ...]
) -> HlsLayer:
    most = max(function.starts.size for function in rows) - 1
    depth = most.bit_length()
    levels, limits = _padded(rows, range, (1 << depth) - 1)
    found, least = hull_of(levels), hull_of(limits)
    return HlsLayer(
        name, "ActcSearch", (given,), shape, found,
        {"limits": limits, "levels": levels, "rows": len(rows), "depth": depth},
        {"limits": least, "levels": found},
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
