"""A family of functions in two parts: a staircase of each channel, then tables.

``f_c = tables[classes[c]] o staircases[c]``, where most families have one table. What
golden models are made of is like that: a requantization with the channel's scale, then an
activation that all channels share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from actc.errors import ActcError
from actc.targets.fpga.folded.program import Integers
from actc.targets.fpga.functions import Stage, StepFunction
from actc.targets.fpga.functions.stages import in_stages
from actc.targets.fpga.hdl import Range

_MOST_CODES = 1 << 18


@dataclass(frozen=True, eq=False)
class Parts:
    """Functions of all channels in two parts.

    Attributes:
        staircases: of each channel, over its totals; they give codes.
        tables: functions of the codes; all of one range, which holds all codes.
        classes: int64 [channels], the number of each channel's table.
    """

    staircases: tuple[StepFunction, ...]
    tables: tuple[StepFunction, ...]
    classes: Integers

    @property
    def codes(self) -> Range:
        """What the tables take."""
        return self.tables[0].range

    def values(self, output: Range) -> tuple[StepFunction, ...]:
        """The tables with values of `output` alone: no channel has codes of any others."""
        return tuple(
            StepFunction.from_runs(
                table.range, table.starts, np.clip(table.levels, output.low, output.high)
            )
            for table in self.tables
        )


def identity(range: Range) -> StepFunction:
    """Every value is its input."""
    values = np.arange(range.low, range.high + 1)
    return StepFunction(range, values, values)


def is_identity(steps: StepFunction) -> bool:
    """Whether every value is its input."""
    return steps.levels.size == steps.range.high - steps.range.low + 1 and bool(
        np.all(steps.levels == steps.starts)
    )


def merged(functions: Sequence[StepFunction], range: Range | None = None) -> StepFunction | None:
    """The one function that all are parts of; None if two differ at an input of both.

    Args:
        range: what it is for, by default the hull of all inputs. Where none has a value, the
            nearest one counts.
    """
    hull = _hull([steps.range for steps in functions])
    starts = np.unique(np.concatenate([steps.starts for steps in functions]))
    ends = np.array([steps.range.high + 1 for steps in functions], np.int64)
    starts = np.union1d(starts, ends[ends <= hull.high])
    values = np.zeros(len(starts), np.int64)
    known = np.zeros(len(starts), np.bool_)
    distinct = {steps.key: steps for steps in functions}
    for steps in distinct.values():
        inside = (starts >= steps.range.low) & (starts <= steps.range.high)
        own = steps.evaluate(starts[inside])
        if np.any(known[inside] & (values[inside] != own)):
            return None
        values[inside] = own
        known |= inside
    starts, values = starts[known], values[known]
    whole = range or hull
    starts[0] = whole.low
    return StepFunction.from_runs(whole, starts, values)


def partitions(
    functions: Sequence[StepFunction], stages: Sequence[Sequence[Stage]]
) -> Iterator[Parts]:
    """Ways to divide the functions into staircases and tables.

    Args:
        stages: of each function, in order; where these do not give the function, or are not
            of one length, the functions are not divided.
    """
    lengths = {len(own) for own in stages}
    if len(stages) == len(functions) and len(lengths) == 1:
        for count in range(1, lengths.pop()):
            found = _divided(functions, stages, count)
            if found is not None:
                yield found
    hull = _hull([steps.hull for steps in functions])
    if hull.high - hull.low < _MOST_CODES:
        yield Parts(tuple(functions), (identity(hull),), np.zeros(len(functions), np.int64))


def _divided(
    functions: Sequence[StepFunction], stages: Sequence[Sequence[Stage]], count: int
) -> Parts | None:
    """The first `count` stages as staircases; None if that is not the function."""
    staircases, rests = [], []
    try:
        for steps, own in zip(functions, stages, strict=True):
            staircases.append(in_stages(steps.range, own[:count]))
            rests.append(in_stages(staircases[-1].hull, own[count:]))
            if staircases[-1].then(rests[-1]).key != steps.key:
                return None
    except ActcError:
        return None  # a stage that is not made for this range: it was given for another total
    tables, classes = _classes(rests, _hull([steps.hull for steps in staircases]))
    return Parts(tuple(staircases), tables, classes)


def _classes(
    rests: Sequence[StepFunction], codes: Range
) -> tuple[tuple[StepFunction, ...], Integers]:
    """As few tables as are found to hold all functions, and which one holds each."""
    groups: list[list[StepFunction]] = []
    merges: list[StepFunction] = []
    classes = np.zeros(len(rests), np.int64)
    known: dict[tuple[int, int, bytes, bytes], int] = {}
    for channel, steps in enumerate(rests):
        if steps.key not in known:
            for number, group in enumerate(groups):
                found = merged([*group, steps], codes)
                if found is not None:
                    group.append(steps)
                    merges[number] = found
                    break
            else:
                number = len(groups)
                groups.append([steps])
                merges.append(_extended(steps, codes))
            known[steps.key] = number
        classes[channel] = known[steps.key]
    return tuple(merges), classes


def _extended(steps: StepFunction, range: Range) -> StepFunction:
    found = merged([steps], range)
    assert found is not None
    return found


def _hull(ranges: Sequence[Range]) -> Range:
    return Range(min(r.low for r in ranges), max(r.high for r in ranges))
