"""Functions of sums and codes as layers, in the forms that cost least."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from actc.targets.fpga.folded.lower.functions import Affine
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.functions.stages import Requantization
from actc.targets.fpga.hdl import Range
from actc.targets.hls4ml import costs
from actc.targets.hls4ml.fitted import fitted_forms
from actc.targets.hls4ml.forms import Form, plain_forms
from actc.targets.hls4ml.layers import HlsLayer, Integers, hull_of

Unique: TypeAlias = Callable[[str], str]
"""Makes a name that no layer has."""

MOST_SEARCHED = 1 << 16
"""Thresholds of all channels together that are looked at, at most, where golden scales sums."""


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
    """The layers of a chain, in order: those that cost least.

    Args:
        range: of what is read, all channels together.
        scope: what their names begin with.
        given: the layer that is read.
        shape: of the result.
        unique: makes a name that no layer has.
    """
    layers: list[HlsLayer] = []
    for form in min(ways(chain, range), key=lambda forms: sum(form.cost for form in forms)):
        name = unique(f"{scope}_{form.name}")
        layers.append(form.layer(name, layers[-1].name if layers else given, shape))
    return layers


def ways(chain: Chain, range: Range) -> Iterator[tuple[Form, ...]]:
    """Forms that compute a chain, one after the other; at least one way.

    Args:
        range: of what is read, all channels together.
    """
    rows = _rows(chain.functions)
    most = max(function.starts.size for function in rows)
    if chain.scaling is None or len(rows) * most <= MOST_SEARCHED:
        whole = plain_forms(rows, range)
        yield from ((form,) for form in whole)
        if whole[0].op == "ActcThresholds":
            return
    if len(rows) == 1 and rows[0].range.holds(range):
        yield from ((form,) for form in fitted_forms(rows[0]))
    if chain.scaling is None:
        return
    scaling = requantization(chain.scaling, range)
    if chain.rest is None:
        yield (scaling,)
        return
    rest = chain.rest.cut(scaling.result)
    for form in (*plain_forms((rest,), scaling.result), *fitted_forms(rest)):
        yield scaling, form


def _rows(functions: Sequence[StepFunction]) -> tuple[StepFunction, ...]:
    """The functions that differ: one, or one per channel."""
    same = all(function is functions[0] for function in functions)
    return tuple(functions[:1] if same else functions)


def requantization(scaling: Scaling, range: Range) -> Form:
    """A product, a shift and two comparisons."""
    found = Range(scaling.low, scaling.high)
    same = len(set(scaling.multiplier.tolist())) == len(set(scaling.offset.tolist())) == 1
    count = slice(0, 1 if same else None)
    multiplier, offset = scaling.multiplier[count], scaling.offset[count]
    factors = hull_of(multiplier)
    scaled = (factors * range).hull(Range(0, 0))
    scaled = Range(scaled.low + int(offset.min()), scaled.high + int(offset.max()))
    width = scaled.hull(scaled.plus(scaling.zero)).hull(found).width + 1
    cost = costs.product(factors.width, range.width) + costs.addition(width)
    cost += 2 * costs.comparison(width - scaling.shift)
    return Form(
        "requantize", "ActcRequantize", cost, found,
        {
            "multiplier": multiplier, "offset": offset, "rows": len(multiplier),
            "shift": scaling.shift, "zero": scaling.zero, "low": scaling.low, "high": scaling.high,
            "width": width,
        },
        {"multiplier": factors, "offset": hull_of(offset)},
    )  # fmt: skip
