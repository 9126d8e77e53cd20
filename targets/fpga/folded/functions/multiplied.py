"""Staircases as products by a hard multiplier, and tables behind them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actc.targets.fpga.folded.functions.lane import LaneFunction
from actc.targets.fpga.folded.functions.lines import Codes, Conditions, Lines, lines
from actc.targets.fpga.folded.functions.segments import rises
from actc.targets.fpga.folded.functions.setting import Setting
from actc.targets.fpga.folded.functions.staircases import Parts
from actc.targets.fpga.folded.functions.tables import Tables
from actc.targets.fpga.functions.clamp import clamp
from actc.targets.fpga.functions.domain import domain
from actc.targets.fpga.hdl import Range, Wire

_MOST_BITS = 16


def multiplied(parts: Parts, setting: Setting) -> LaneFunction | None:
    """``(total * factor + constant) >> shift``, saturated; None if there are no such lines."""
    codes = Codes.of(parts, setting.output)
    if codes is None or codes.bits > _MOST_BITS:
        return None
    if not all(rises(staircase) for staircase in parts.staircases):
        return None
    conditions = [
        Conditions.of(steps, codes.base, codes.steps[number])
        for steps, number in zip(parts.staircases, parts.classes.tolist(), strict=True)
    ]
    kept = _kept(conditions)
    if kept is None:
        return None
    found = lines([each.clipped(kept) for each in conditions], "codes")
    if found is None:
        return None
    tables = Tables.of(codes.tables, setting.options, setting.memory)
    line = _line(found, [steps.range for steps in parts.staircases], kept)
    every = Range.unsigned(codes.bits)

    def build(total: Wire, wires: Sequence[Wire]) -> Wire:
        table, factor, constant = wires
        product = clamp(total, kept) * factor + constant
        code = (product >> found.places).bits(0, line.width, signed=line.signed)
        return tables.build(clamp(code, every), table)

    name = f"a line multiplied into {codes.bits} bits{tables.title}"
    return setting.function(name, (parts.classes, found.slopes, found.constants), build)


def _kept(conditions: Sequence[Conditions]) -> Range | None:
    """All numbers of as few bits as tell totals apart; None if nothing needs to be told."""
    totals = np.concatenate([each.totals for each in conditions])
    return domain(Range(int(totals.min()), int(totals.max()))) if totals.size else None


def _line(lines: Lines, inputs: Sequence[Range], kept: Range) -> Range:
    """What the lines give at their totals."""
    found = []
    for slope, constant, own in zip(
        lines.slopes.tolist(), lines.constants.tolist(), inputs, strict=True
    ):
        ends = (kept.clamp(own.low), kept.clamp(own.high))
        found += [(slope * end + constant) >> lines.places for end in ends]
    return Range.of(found)
