"""What all forms of a family of functions are made for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from actc.targets.fpga.folded.functions.cells import counted_as
from actc.targets.fpga.folded.functions.lane import Builder, LaneFunction
from actc.targets.fpga.folded.program import Integers
from actc.targets.fpga.functions import FunctionOptions
from actc.targets.fpga.hdl import Range


@dataclass(frozen=True, slots=True)
class Setting:
    """What all forms of a family are made for.

    Attributes:
        input: hull of all totals.
        output: holds all values.
        family: of the FPGA, a name of :data:`actc.targets.fpga.families.SYNTHESIZED`.
        memory: whether tables may lie in block memories.
    """

    input: Range
    output: Range
    family: str
    memory: bool

    @property
    def options(self) -> FunctionOptions:
        """Whose costs decide."""
        return FunctionOptions(counted_as(self.family).name)

    def of_codes(self, codes: Range) -> Setting:
        """The same for a part that gives codes."""
        return replace(self, output=codes)

    def function(self, name: str, columns: Sequence[Integers], builder: Builder) -> LaneFunction:
        """The hardware of a form."""
        return LaneFunction(name, self.input, self.output, tuple(columns), builder, self.family)
