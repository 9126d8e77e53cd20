"""Functions that all channels share, perhaps moved, and each function by hardware of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actc.errors import ActcError
from actc.targets.fpga.folded.functions.lane import LaneFunction
from actc.targets.fpga.folded.functions.setting import Setting
from actc.targets.fpga.folded.functions.staircases import Parts, merged
from actc.targets.fpga.folded.functions.tables import Tables
from actc.targets.fpga.folded.program import Integers
from actc.targets.fpga.functions import Stage, StepFunction
from actc.targets.fpga.functions.apply import cheapest_stages
from actc.targets.fpga.functions.stages import in_stages
from actc.targets.fpga.hdl import Range, Wire


def same(
    functions: Sequence[StepFunction], stages: Sequence[Sequence[Stage]], setting: Setting
) -> LaneFunction | None:
    """One function of the total; None if channels differ."""
    joined = merged(functions, setting.input)
    if joined is None:
        return None
    parts = _in_stages(joined, stages[0] if stages else (), setting)

    def build(total: Wire, _: Sequence[Wire]) -> Wire:
        value = total
        for steps in parts:
            value = Tables((steps,), setting.options, setting.memory).build(value, value)
        return value

    return setting.function("the same for all channels", (), build)


def _in_stages(
    joined: StepFunction, stages: Sequence[Stage], setting: Setting
) -> list[StepFunction]:
    """A function as functions one after the other, if its stages give it."""
    try:
        if stages and in_stages(setting.input, stages).key == joined.key:
            return cheapest_stages(setting.input, stages, setting.options)
    except ActcError:
        pass  # the stages are not made for all totals
    return [joined]


def shifted(parts: Parts, setting: Setting) -> LaneFunction | None:
    """One staircase of the total and an offset of the channel; None if there is none."""
    offsets = _offsets(parts.staircases)
    if offsets is None:
        return None
    input = setting.input + Range(int(offsets.min()), int(offsets.max()))
    pairs = zip(parts.staircases, offsets.tolist(), strict=True)
    joined = merged([steps.moved(offset) for steps, offset in pairs], input)
    if joined is None:
        return None
    staircase = Tables((joined,), setting.options, memory=False)
    tables = Tables(parts.values(setting.output), setting.options, setting.memory)

    def build(total: Wire, wires: Sequence[Wire]) -> Wire:
        offset, number = wires
        code = staircase.build(total + offset, number)
        return tables.build(code, number)

    name = f"an offset, then one staircase{tables.title}"
    return setting.function(name, (offsets, parts.classes), build)


def _offsets(staircases: Sequence[StepFunction]) -> Integers | None:
    """What moves all staircases onto the one of the most steps; None if one does not fit."""
    reference = max(staircases, key=lambda steps: steps.levels.size)
    found = []
    for steps in staircases:
        offset = _offset(steps, reference)
        if offset is None or merged([reference, steps.moved(offset)]) is None:
            return None
        found.append(offset)
    return np.array(found, np.int64)


def _offset(steps: StepFunction, reference: StepFunction) -> int | None:
    """What moves one step onto the only one like it of the reference."""
    last = steps.levels.size - 1
    if last == 0:
        return _constant_offset(steps, reference)
    for place in dict.fromkeys([last // 2 + 1, 1, last]):
        below, above = steps.levels[place - 1 : place + 1]
        like = (reference.levels[:-1] == below) & (reference.levels[1:] == above)
        if np.count_nonzero(like) == 1:
            return int(reference.starts[1:][like][0] - steps.starts[place])
    return None


def _constant_offset(steps: StepFunction, reference: StepFunction) -> int:
    """What moves a constant to where the reference is the same, if that is long enough."""
    places = np.flatnonzero(reference.levels == steps.levels[0])
    if not places.size:
        return 0
    if places[-1] == reference.levels.size - 1:
        return int(reference.starts[-1]) - steps.range.low
    return int(reference.ends[places[0]]) - steps.range.high


def parallel(functions: Sequence[StepFunction], setting: Setting) -> LaneFunction:
    """Each distinct function by hardware of its own, and a choice: there always is this form."""
    groups: list[list[StepFunction]] = []
    wholes: list[StepFunction] = []
    numbers = []
    known: dict[tuple[int, int, bytes, bytes], int] = {}
    for steps in functions:
        if steps.key not in known:
            known[steps.key] = _place(steps, groups, wholes, setting.input)
        numbers.append(known[steps.key])

    tables = Tables(tuple(wholes), setting.options, setting.memory)

    def build(total: Wire, wires: Sequence[Wire]) -> Wire:
        return tables.build(total, wires[0])

    name = f"each function alone{tables.title}"
    return setting.function(name, (np.array(numbers, np.int64),), build)


def _place(
    steps: StepFunction,
    groups: list[list[StepFunction]],
    wholes: list[StepFunction],
    input: Range,
) -> int:
    """The number of the first group that a function fits, or of a new one."""
    for number, group in enumerate(groups):
        found = merged([*group, steps], input)
        if found is not None:
            group.append(steps)
            wholes[number] = found
            return number
    found = merged([steps], input)
    assert found is not None
    groups.append([steps])
    wholes.append(found)
    return len(groups) - 1
