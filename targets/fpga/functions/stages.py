"""The operators of golden models that are functions of one integer, as step functions.

A stage gives the function for a range of inputs; docs/internals.md has the operators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.fpga.functions.steps import StepFunction
from actc.targets.fpga.hdl import Range

Stage: TypeAlias = Callable[[Range], StepFunction]
"""The function of a stage, on a range of inputs."""

_MAX_LEVELS = 1 << 17


@dataclass(frozen=True, slots=True)
class Requantization:
    """``clamp(((x * multiplier + 2**(shift-1)) >> shift) + zero, low, high)``.

    Raises:
        UsageError: ACT0547, `multiplier` is negative, `shift` below 1, `low` above `high`,
            or they are more than 2**17 apart.
    """

    multiplier: int
    shift: int
    zero: int
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.multiplier < 0 or self.shift < 1 or not 0 <= self.high - self.low < _MAX_LEVELS:
            raise UsageError(_bad_requantization(self))

    def __call__(self, inputs: Range) -> StepFunction:
        """The runs: each level begins where the product reaches it."""
        low, high = self.apply(inputs.low), self.apply(inputs.high)
        half = 1 << (self.shift - 1)
        starts = [inputs.low]
        starts += [
            -((half - ((level - self.zero) << self.shift)) // self.multiplier)
            for level in range(low + 1, high + 1)
        ]
        # of levels that begin at the same input the last one counts
        starts_array = np.array(starts, np.int64)
        kept = np.append(np.diff(starts_array) > 0, True)
        levels = np.arange(low, high + 1)
        return StepFunction.from_runs(inputs, starts_array[kept], levels[kept])

    def apply(self, x: int) -> int:
        """The value at one input."""
        rounded = (x * self.multiplier + (1 << (self.shift - 1))) >> self.shift
        return min(max(rounded + self.zero, self.low), self.high)


def table_stage(table: npt.ArrayLike) -> Stage:
    """``table[x]``: Table, and one channel of ChannelTable.

    Args:
        table: integers [n], for inputs from 0 on.
    """
    entries = np.asarray(table)
    return lambda range: StepFunction.of(Range(0, max(len(entries) - 1, 0)), entries).cut(range)


def steps_stage(breakpoints: npt.ArrayLike, values: npt.ArrayLike) -> Stage:
    """``values[number of breakpoints <= x]``: one channel of Steps.

    Args:
        breakpoints: integers [n], increasing.
        values: integers [n + 1] or more.
    """
    edges = np.asarray(breakpoints, np.int64)
    levels = np.asarray(values, np.int64)

    def function(range: Range) -> StepFunction:
        inside = edges[(edges > range.low) & (edges <= range.high)]
        starts = np.unique(np.append(inside, range.low))
        found = levels[np.searchsorted(edges, starts, side="right")]
        return StepFunction.from_runs(range, starts, found)

    return function


def in_stages(range: Range, stages: Sequence[Stage]) -> StepFunction:
    """All stages, one after the other, as one function."""
    function = stages[0](range)
    for stage in stages[1:]:
        function = function.then(stage(function.hull))
    return function


def _bad_requantization(given: Requantization) -> Diagnostic:
    return Diagnostic(
        "ACT0547",
        f"there is no hardware for {given}",
        notes=(f"low <= high, at most {_MAX_LEVELS} levels, multiplier >= 0, shift >= 1",),
        help="check the Requantize node of the golden model",
    )
