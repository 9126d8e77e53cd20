"""Choices in building a unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Lookup = Literal["logic", "memory"]
Multiplier = Literal["auto", "multiply", "shift_add"]


@dataclass(frozen=True, slots=True)
class UnitOptions:
    """How a unit is built; every choice computes the same.

    Attributes:
        lookup: where tables are kept. "logic": in LUTs, the unit is combinational.
            "memory": in initialized memories with a register behind them, which tools
            put into block RAM; the unit has a clock and a latency of one.
        multiplier: how slopes are multiplied. "multiply": one multiplier, a DSP block
            where the tool sees fit. "shift_add": sums of shifted inputs, chosen per
            segment. "auto": shift_add for slopes of at most 3 signed digits.
    """

    lookup: Lookup = "logic"
    multiplier: Multiplier = "auto"
