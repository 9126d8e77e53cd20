"""How adder graphs are searched for."""

from __future__ import annotations

from dataclasses import dataclass

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.fpga.families import find_family

EFFORTS = range(4)
"""From the quickest search, 0, to the longest, 3."""
EFFORT = 2
"""Of the search where none is asked for."""


@dataclass(frozen=True, slots=True)
class AdderOptions:
    """How an adder graph is searched for; equal options give equal graphs.

    Attributes:
        effort: 0 and 1 search once, 0 in smaller blocks of inputs where the matrix is large;
            2 and 3 search up to 60 and 300 times and keep the best. Time never decides, so
            results do not depend on the machine.
        max_depth: adders on the longest path from an input to an output; where it is less
            than what the terms of an output need, that output takes the fewest possible.
            None for no limit.
        family: FPGA family whose adders are counted.
        seed: of the repeated searches.

    Raises:
        UsageError: ACT0540, a value out of range; ACT0530, no such family.
    """

    effort: int = EFFORT
    max_depth: int | None = None
    family: str = "ecp5"
    seed: int = 0

    def __post_init__(self) -> None:
        find_family(self.family)
        if self.effort not in EFFORTS:
            raise UsageError(
                Diagnostic(
                    "ACT0540",
                    f"there is no effort {self.effort!r} of adder graphs",
                    help=f"take {EFFORTS[0]} (quick) .. {EFFORTS[-1]} (thorough)",
                )
            )
        if self.max_depth is not None and self.max_depth < 1:
            raise UsageError(
                Diagnostic(
                    "ACT0540",
                    f"adder graphs cannot have a depth of {self.max_depth}",
                    help="allow at least one adder on a path, or None for any number",
                )
            )
        if self.seed < 0:
            raise UsageError(
                Diagnostic("ACT0540", f"the seed {self.seed} is negative", help="take 0 or more")
            )
