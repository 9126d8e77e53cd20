"""What the function units of a program take, by their own count of cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from actc.targets.fpga.folded.costs.features import FunctionCost
from actc.targets.fpga.folded.hardware.functions import stage_function
from actc.targets.fpga.folded.program import FoldedProgram


def function_costs(program: FoldedProgram) -> Callable[[str], Mapping[str, FunctionCost]]:
    """Of a family: what the function unit of each stage takes, by the stage's name."""

    @cache
    def of(family: str) -> Mapping[str, FunctionCost]:
        found = {}
        for stage in program.stages:
            function = stage_function(program, stage, family)
            if function is not None:
                found[stage.name] = FunctionCost(
                    function.cost,
                    function.multipliers,
                    function.parameter_bits,
                    function.input.width + function.output.width,
                )
        return found

    return of
