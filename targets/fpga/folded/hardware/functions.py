"""The function unit of each stage."""

from __future__ import annotations

import functools

from actc.targets.fpga.folded.functions import LaneFunction, lane_function, plain_function
from actc.targets.fpga.folded.program import (
    FoldedProgram,
    MapStage,
    MatrixStage,
    MaximumStage,
    ProductStage,
    RecurrentStage,
    Stage,
    Stream,
    SumStage,
)
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.tables import MEMORIES


def stage_function(program: FoldedProgram, stage: Stage, family: str) -> LaneFunction | None:
    """What becomes of a stage's totals, sums, products or elements; None: nothing."""
    result = stage.output.range
    if isinstance(stage, MatrixStage):
        if stage.plain is not None:
            totals = functools.reduce(Range.hull, stage.totals)
            return plain_function(stage.plain, totals, family, stage.factor)
        return lane_function(
            stage.functions, stage.stages, family, output=result, memory=family in MEMORIES
        )
    assert isinstance(stage, (MaximumStage, SumStage, ProductStage, MapStage, RecurrentStage))
    if not stage.functions:
        return None
    stages = [[function.cut] for function in stage.functions]
    return lane_function(stage.functions, stages, family, output=result, memory=family in MEMORIES)


def joined_range(stage: SumStage | ProductStage, streams: tuple[Stream, ...]) -> Range:
    """The range of what two streams are joined to."""
    first, second = (stream.range for stream in streams)
    if isinstance(stage, SumStage):
        a, b = (Range(factor, factor) for factor in stage.factors)
        return first * a + second * b
    return first.plus(-stage.zeros[0]) * second.plus(-stage.zeros[1])
