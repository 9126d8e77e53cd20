"""The fastest schedule of one kernel.

Importing this module imports TVM.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from actc.targets.tvm.host import Cpu
from actc.targets.tvm.kernels.schedule import Schedule
from actc.targets.tvm.tuning.candidates import Tunable, cuts, is_amx, tiles
from actc.targets.tvm.tuning.choice import Choice
from actc.targets.tvm.tuning.trial import Trial, batches

MARGIN = 0.97
"""A choice takes less than this share of the modelled schedule's time: the rest is noise."""

_TILE_SHARE = 2 / 3
"""Of the candidates that are register tiles; the others cut the fastest of these differently."""

_ROUNDS = 12
"""Measurements of either schedule in a comparison."""

_CONFIRMATIONS = 3
"""Comparisons that all must see a choice win."""


class OutOfTime(Exception):
    """The time limit was reached before a kernel's candidates were timed."""


@dataclass(frozen=True, slots=True)
class _Compared:
    """Seconds of a call for each batch, of the modelled schedule and of another one."""

    modelled: tuple[float, ...]
    other: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The other's time in units of the modelled one's: the geometric mean over batches."""
        logs = [math.log(o / m) for m, o in zip(self.modelled, self.other, strict=True)]
        return math.exp(sum(logs) / len(logs))


def search(kernel: Tunable, cpu: Cpu, candidates: int, deadline: float) -> Choice:
    """Time schedules of a kernel, in the order of their modelled cost.

    Args:
        candidates: how many are timed beside the modelled one.
        deadline: on `time.monotonic`'s clock.

    Raises:
        OutOfTime: it passed.
    """
    modelled = Trial(kernel, cpu, None)
    best: tuple[float, Schedule, Trial] | None = None
    seen: list[float] = []

    def attempt(schedules: Sequence[Schedule]) -> None:
        nonlocal best
        for schedule in schedules:
            trial = Trial(kernel, cpu, schedule)
            found = _compare(modelled, trial, deadline).ratio
            seen.append(found)
            if best is None or found < best[0]:
                best = found, schedule, trial

    first, *others = tiles(kernel, cpu.features)
    if is_amx(kernel, cpu.features):
        others = [first, *others]
    share = math.ceil(candidates * _TILE_SHARE)
    attempt(others[:share])
    tile = best[1] if best is not None and best[0] < 1 else first
    attempt(cuts(kernel, cpu.features, tile)[: candidates - len(seen)])
    attempt(others[share : share + candidates - len(seen)])
    tried = len(seen) + 1
    if best is not None and best[0] < MARGIN:
        rounds = list(_confirmed(modelled, best[2], deadline))
        if len(rounds) == _CONFIRMATIONS:
            before = _microseconds([found.modelled for found in rounds])
            after = _microseconds([found.other for found in rounds])
            return Choice(best[1], tried, batches(kernel), before, after)
    alone = _microseconds([tuple(modelled.seconds()) for _ in range(_ROUNDS)])
    return Choice(None, tried, batches(kernel), alone, alone)


def _confirmed(modelled: Trial, other: Trial, deadline: float) -> Iterator[_Compared]:
    """Comparisons in a row that the other schedule wins."""
    for _ in range(_CONFIRMATIONS):
        found = _compare(modelled, other, deadline)
        if found.ratio >= MARGIN:
            return
        yield found


def _compare(modelled: Trial, other: Trial, deadline: float) -> _Compared:
    """Least times of measurements in turn: whatever else the machine does only adds to them."""
    if time.monotonic() > deadline:
        raise OutOfTime
    times = [(modelled.seconds(), other.seconds()) for _ in range(_ROUNDS)]
    least = np.min(np.array(times), axis=0)
    return _Compared(tuple(least[0]), tuple(least[1]))


def _microseconds(times: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(round(1e6 * float(value), 2) for value in np.min(np.array(times), axis=0))
