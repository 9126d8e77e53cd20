"""Staircases of channels, then functions of their codes that differ by channel, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from actc.targets.fpga.folded.functions.divided import divided
from actc.targets.fpga.folded.functions.lane import LaneFunction
from actc.targets.fpga.folded.functions.setting import Setting
from actc.targets.fpga.folded.functions.staircases import Parts, identity
from actc.targets.fpga.folded.functions.thresholds import thresholds
from actc.targets.fpga.folded.program import Integers
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Wire


def chained(parts: Parts, setting: Setting) -> Iterator[LaneFunction]:
    """Each form of the tables' functions behind the staircases divided; none if all share one.

    A table for each of many channels is large, where their functions are lines, or steps.
    """
    if len(parts.tables) == 1:
        return
    first = divided(_alone(parts.staircases, parts), setting.of_codes(parts.codes))
    if first is None:
        return
    functions = [
        parts.values(setting.output)[number].cut(staircase.hull)
        for staircase, number in zip(parts.staircases, parts.classes.tolist(), strict=True)
    ]
    for second in (
        thresholds(functions, setting),
        divided(_alone(functions, parts), setting),
    ):
        if second is not None:
            yield _joined(first, second, setting)


def _alone(functions: Sequence[StepFunction], parts: Parts) -> Parts:
    """Functions with nothing behind them."""
    hull = functions[0].hull
    for steps in functions:
        hull = hull.hull(steps.hull)
    return Parts(tuple(functions), (identity(hull),), np.zeros_like(parts.classes))


def _joined(first: LaneFunction, second: LaneFunction, setting: Setting) -> LaneFunction:
    count = len(first.columns)

    def build(total: Wire, wires: Sequence[Wire]) -> Wire:
        return second.builder(first.builder(total, wires[:count]), wires[count:])

    columns: list[Integers] = [*first.columns, *second.columns]
    return setting.function(f"{first.name}, then {second.name}", columns, build)
