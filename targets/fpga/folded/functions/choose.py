"""The cheapest form of a family of functions."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, cast

from actc.targets.fpga.folded.functions.chained import chained
from actc.targets.fpga.folded.functions.divided import divided
from actc.targets.fpga.folded.functions.lane import LaneFunction
from actc.targets.fpga.folded.functions.multiplied import multiplied
from actc.targets.fpga.folded.functions.setting import Setting
from actc.targets.fpga.folded.functions.staircases import partitions
from actc.targets.fpga.folded.functions.tables import SAVED
from actc.targets.fpga.folded.functions.thresholds import thresholds
from actc.targets.fpga.folded.functions.whole import parallel, same, shifted
from actc.targets.fpga.functions import Stage, StepFunction
from actc.targets.fpga.hdl import Range

_CACHE = 64
"""Families that are kept: costs are asked for them, then hardware."""
_FEW = 4
"""Functions up to which hardware for each of them is worth a look, if there are other forms."""
_BLOCK_ENTRIES = 200
"""Channels from which on a bit of their parameters takes no more: block memories hold them."""
_MULTIPLIER = 80
"""Logic cells that a hard multiplier saves where it takes a product of a weight instead."""


def lane_function(
    functions: Sequence[StepFunction],
    stages: Sequence[Sequence[object]],
    family: str,
    *,
    output: Range,
    multiplier: Literal["dsp", "logic"] = "logic",
    memory: bool = False,
) -> LaneFunction:
    """The hardware that computes each channel's function; it costs least of all forms.

    Args:
        functions: of each channel, over its totals.
        stages: of each function, the operators that it is made of, in order
            (:data:`~actc.targets.fpga.functions.Stage`); empty, or of other totals, where
            they are not known.
        family: of the FPGA, a name of :data:`actc.targets.fpga.families.SYNTHESIZED`.
        output: holds all values.
        multiplier: whether products may take hard multipliers.
        memory: whether tables may lie in block memories; a register has to follow each.

    Raises:
        ValueError: no functions, or a value outside of `output`.
        UsageError: ACT0530, there is no such family.
    """
    if not functions:
        raise ValueError("a lane has functions")
    if not all(output.holds(steps.hull) for steps in functions):
        raise ValueError(f"not all values are in {output}")
    input = Range(
        min(steps.range.low for steps in functions), max(steps.range.high for steps in functions)
    )
    known = tuple(tuple(own) for own in cast(Sequence[Sequence[Stage]], stages))
    setting = Setting(input, output, family, memory)
    return _cheapest(_Request(tuple(functions), known), setting, multiplier)


@dataclass(frozen=True, eq=False)
class _Request:
    """Functions and their stages, equal to others of the same stages and equal functions."""

    functions: tuple[StepFunction, ...]
    stages: tuple[tuple[Stage, ...], ...]

    @cached_property
    def key(self) -> Hashable:
        stages = tuple(tuple(map(_identity, own)) for own in self.stages)
        return tuple(steps.key for steps in self.functions), stages

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Request) and self.key == other.key


def _identity(stage: Stage) -> tuple[int, str]:
    """Which stage it is, of those that are kept; methods are made each time they are named."""
    return id(getattr(stage, "__self__", stage)), getattr(stage, "__name__", "")


@lru_cache(maxsize=_CACHE)
def _cheapest(
    request: _Request, setting: Setting, multiplier: Literal["dsp", "logic"]
) -> LaneFunction:
    return min(forms(request.functions, request.stages, setting, multiplier), key=_weight)


def forms(
    functions: Sequence[StepFunction],
    stages: Sequence[Sequence[Stage]],
    setting: Setting,
    multiplier: Literal["dsp", "logic"],
) -> Iterator[LaneFunction]:
    """All forms worth comparing; at least one."""
    whole = same(functions, stages, setting)
    found = [whole, None if whole else thresholds(functions, setting)]
    for parts in partitions(functions, stages):
        found += [divided(parts, setting), *chained(parts, setting)]
        if not whole:
            found.append(shifted(parts, setting))
        if multiplier == "dsp":
            found.append(multiplied(parts, setting))
    usable = [form for form in found if form is not None]
    yield from usable
    few = not whole and len({steps.key for steps in functions}) <= _FEW
    if few or not usable:
        yield parallel(functions, setting)


def _weight(form: LaneFunction) -> float:
    """Logic cells that a form takes of one lane, with its parameters and other resources."""
    entries = min(len(form.parameters[0]), _BLOCK_ENTRIES) if form.parameters else 0
    logic = form.cost + form.parameter_bits * entries / 16
    return logic + form.multipliers * _MULTIPLIER + form.memories * SAVED
