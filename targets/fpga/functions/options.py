"""What functions are built for."""

from __future__ import annotations

from dataclasses import dataclass

from actc.targets.fpga.families import find_family


@dataclass(frozen=True, slots=True)
class FunctionOptions:
    """How functions are built; every choice computes the same.

    Attributes:
        family: whose costs decide, a name of :data:`actc.targets.fpga.families.FAMILIES`.

    Raises:
        UsageError: ACT0530, there is no such family.
    """

    family: str = "ecp5"

    def __post_init__(self) -> None:
        find_family(self.family)
