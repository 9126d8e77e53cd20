"""Choices in building a unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Lookup = Literal["logic", "memory"]
Multiplier = Literal["auto", "digits", "radix_4", "multiply"]


@dataclass(frozen=True, slots=True)
class UnitOptions:
    """How a unit is built; every choice computes the same.

    Attributes:
        lookup: where tables are kept. "logic": in LUTs, the unit is combinational.
            "memory": in initialized memories with a register behind them, which tools
            put into block RAM; the unit has a clock and a latency of one.
        multiplier: how coefficients are multiplied. "digits": as many shifted operands
            as they have signed digits. "radix_4": an operand times -1, 0, 1 or 2 for
            every second bit. "auto": whichever of the two took fewer LUTs when measured.
            "multiply": multipliers, also for powers; DSP blocks where the tool sees fit.
    """

    lookup: Lookup = "logic"
    multiplier: Multiplier = "auto"
