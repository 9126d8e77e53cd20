"""What hardware of folded networks is built for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from actc.targets.fpga.pipeline import Timing

_LOGIC_BITS = 4096
"""Bits of a read-only memory up to which it is cheap in look-up tables."""


@dataclass(frozen=True, slots=True)
class HardwareOptions:
    """What all stages have in common.

    Attributes:
        family: of the FPGA.
        timing: how fast it is.
        clock_mhz: that pipelines are made for, MHz.
    """

    family: str
    timing: Timing
    clock_mhz: float

    @property
    def lutram(self) -> int:
        """Whether there are small memories among the logic, as a parameter of the library."""
        return int(self.family in ("ecp5", "gowin", "xc7", "xcup"))

    def parameters(self, bits: int) -> Literal["block", "logic"]:
        """Where the parameters of channels lie, by the bits of their memory."""
        return "block" if bits > _LOGIC_BITS else "logic"
