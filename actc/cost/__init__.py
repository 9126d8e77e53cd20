"""What fixed-point forms cost on FPGAs, estimated without synthesis."""

from __future__ import annotations

from actc.cost.model import Cost, estimate
from actc.targets.fpga.families import FAMILIES

__all__ = ["FAMILIES", "Cost", "estimate"]
