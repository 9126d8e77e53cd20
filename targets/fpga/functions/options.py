"""What functions are built for."""

from __future__ import annotations

from dataclasses import dataclass

from actc.targets.fpga.families import find_family


@dataclass(frozen=True, slots=True)
class FunctionOptions:
    """How functions are built; every choice computes the same.

    Attributes:
        family: whose costs decide, a name of :data:`actc.targets.fpga.families.FAMILIES`.
        memory: whether large tables may be kept in block memory, where that costs less.
            The wire of such a table is combinational like any other: whoever places
            registers has to put one directly behind it.

    Raises:
        UsageError: ACT0530, there is no such family.
    """

    family: str = "ecp5"
    memory: bool = False

    def __post_init__(self) -> None:
        find_family(self.family)
