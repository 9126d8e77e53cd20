"""What every folded program must be: its golden model's values, and stages that fit together."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from network_operators import random_feeds

from actc.errors import ModelError
from actc.ir import spec
from actc.targets.fpga.folded.network import FoldedNetwork, build_folded
from actc.targets.fpga.folded.program import FoldedProgram, MatrixStage, Stage
from actc.targets.fpga.functions.stages import in_stages

Array = np.ndarray[Any, Any]


def check(model: ir.Model, seed: int = 0) -> FoldedNetwork:
    """Fold a model, and compare it and its ranges with the specification on random inputs."""
    folded = build_folded(model, "net")
    feeds = random_feeds(model, seed)
    wanted = spec.run(ir.to_proto(model), feeds)
    found = folded.run(feeds)
    assert list(found) == list(wanted)
    assert folded.agrees(found, wanted).all()
    consistent(folded, feeds)
    return folded


def consistent(folded: FoldedNetwork, feeds: dict[str, Array]) -> None:
    """Streams stay in their ranges, functions have the ranges of what they are of."""
    program = folded.program
    every = FoldedProgram(program.entries, program.stages, tuple(range(len(program.stages))))
    values = every.evaluate(folded.prologue(feeds))
    assert [layer.name for layer in folded.layers] == [stage.name for stage in program.stages]
    assert len({stage.name for stage in program.stages}) == len(program.stages)
    for stage, value in zip(program.stages, values, strict=True):
        assert value.shape[1:] == stage.output.shape
        assert stage.output.range.low <= value.min() <= value.max() <= stage.output.range.high
        assert stage.input.range == program.stream(stage.sources[0]).range
        assert stage.input.size == program.stream(stage.sources[0]).size
        functions = getattr(stage, "functions", ())
        assert len(functions) in (0, stage.output.channels)
        assert len({f.key for f in functions}) == len({id(f) for f in functions})
        if isinstance(stage, MatrixStage):
            of_matrix(stage)


def of_matrix(stage: MatrixStage) -> None:
    assert (stage.plain is None) == bool(stage.functions)
    for function, parts, total in zip(stage.functions, stage.stages, stage.totals, strict=False):
        assert function.range == total
        assert in_stages(total, parts).key == function.key  # type: ignore[arg-type]


def kinds(folded: FoldedNetwork) -> list[type[Stage]]:
    return [type(stage) for stage in folded.program.stages]


def refused(model: ir.Model) -> list[tuple[str, str]]:
    """Operators that cannot be folded, and why."""
    with pytest.raises(ModelError) as caught:
        build_folded(model, "net")
    assert {d.code for d in caught.value.diagnostics} == {"ACT0605"}
    return [(d.place.op or "", d.message) for d in caught.value.diagnostics]
