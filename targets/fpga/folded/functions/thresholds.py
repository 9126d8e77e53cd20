"""Functions of few levels: a search among the thresholds of the channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actc.targets.fpga.folded.functions.lane import LaneFunction
from actc.targets.fpga.folded.functions.search import chosen, reached
from actc.targets.fpga.folded.functions.setting import Setting
from actc.targets.fpga.folded.functions.tables import Tables
from actc.targets.fpga.folded.program import Integers
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Wire

_MOST_LEVELS = 16


@dataclass(frozen=True, eq=False)
class _Levels:
    """Levels that channels have, and where each channel reaches them.

    Attributes:
        values: [columns][channels]; one column of one entry per level if all have the same.
        shared: int64 [levels], the same for all channels; None if they differ.
        inverted: int64 [channels], 1 where they are those of ~total.
        thresholds: int64 [levels - 1, channels].
    """

    values: Integers
    shared: Integers | None
    inverted: Integers
    thresholds: Integers


def thresholds(functions: Sequence[StepFunction], setting: Setting) -> LaneFunction | None:
    """The form; None if there are too many levels."""
    if max(steps.levels.size for steps in functions) > _MOST_LEVELS:
        return None
    sequence = _sequence(functions)
    found = _own(functions) if sequence is None else _common(functions, sequence)
    count, levels = len(found.thresholds), found.shared
    title = f"search of {count} threshold{'s' if count != 1 else ''}"
    if levels is None:

        def build(total: Wire, wires: Sequence[Wire]) -> Wire:
            bits = reached(_turned(total, wires[0]), wires[1 : count + 1])
            return chosen(bits, wires[count + 1 :])

        columns = (found.inverted, *found.thresholds, *found.values)
        return setting.function(f"{title}, levels of channels", columns, build)
    table = Tables.of([levels], setting.options, memory=False)

    def build_shared(total: Wire, wires: Sequence[Wire]) -> Wire:
        bits = reached(_turned(total, wires[0]), wires[1:])
        number = total.graph.concatenate(*((bit, 1) for bit in bits)).named("level")
        return table.build(number, total.graph.constant(0))

    return setting.function(title, (found.inverted, *found.thresholds), build_shared)


def _turned(total: Wire, inverted: Wire) -> Wire:
    return total.graph.select(inverted, [total, ~total])


def _sequence(functions: Sequence[StepFunction]) -> Integers | None:
    """Levels among which those of every channel are, in this order or the other one."""
    longest = max(functions, key=lambda steps: steps.levels.size).levels
    every = np.unique(np.concatenate([steps.levels for steps in functions]))
    for sequence in (longest, every):
        if sequence.size <= _MOST_LEVELS and all(
            _places(steps.levels, sequence) is not None
            or _places(steps.levels[::-1], sequence) is not None
            for steps in functions
        ):
            return sequence
    return None


def _places(levels: Integers, sequence: Integers) -> list[int] | None:
    """Where levels are in a sequence, in order; None if they are not all."""
    found: list[int] = []
    every = sequence.tolist()
    for level in levels.tolist():
        try:
            found.append(every.index(level, found[-1] + 1 if found else 0))
        except ValueError:
            return None
    return found


def _common(functions: Sequence[StepFunction], sequence: Integers) -> _Levels:
    """Thresholds of levels that all channels share; those of a level left out are the same."""
    size = 1 << (len(sequence) - 1).bit_length()
    inverted, columns = [], []
    rising = sum(_places(steps.levels, sequence) is not None for steps in functions)
    for steps in functions:
        up = _places(steps.levels, sequence) is not None
        down = _places(steps.levels[::-1], sequence) is not None
        # a constant goes with the others
        turned = not up or (down and 2 * rising < len(functions))
        own = steps.mirrored() if turned else steps
        places = _places(own.levels, sequence)
        assert places is not None
        inverted.append(int(turned))
        # level k begins where the first level from k on does
        at = np.searchsorted(places, np.arange(1, size))
        begins = np.append(own.starts, own.range.high + 1)
        columns.append(begins[at])
    levels = _filled(sequence, int(sequence[-1]), size)
    every = np.stack(columns, axis=1)
    return _Levels(np.zeros((0, 0), np.int64), levels, np.array(inverted, np.int64), every)


def _own(functions: Sequence[StepFunction]) -> _Levels:
    """Levels and thresholds of each channel."""
    most = max(steps.levels.size for steps in functions)
    size = 1 << (most - 1).bit_length()
    starts, levels = [], []
    for steps in functions:
        starts.append(_filled(steps.starts[1:], steps.range.high + 1, size - 1))
        levels.append(_filled(steps.levels, int(steps.levels[-1]), size))
    never = np.zeros(len(functions), np.int64)
    return _Levels(np.stack(levels, axis=1), None, never, np.stack(starts, axis=1))


def _filled(column: Integers, value: int, size: int) -> Integers:
    """A column with a value behind it, as often as it takes."""
    return np.concatenate([column, np.full(size - len(column), value, np.int64)])
