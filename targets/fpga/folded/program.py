"""Folded programs: a network as stages between streams, before any folding is chosen.

What a stage computes is fixed here, to the last bit; how many elements it takes at a time is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.folded.evaluation import evaluate_stage
from actc.targets.fpga.folded.stages import (
    ConcatStage,
    Integers,
    MapStage,
    MatrixStage,
    MaximumStage,
    ProductStage,
    RecurrentStage,
    RepeatStage,
    RowStage,
    Stage,
    Stream,
    SumStage,
    Window,
)

__all__ = [
    "ConcatStage",
    "FoldedProgram",
    "Integers",
    "MapStage",
    "MatrixStage",
    "MaximumStage",
    "ProductStage",
    "RecurrentStage",
    "RepeatStage",
    "RowStage",
    "Stage",
    "Stream",
    "SumStage",
    "Window",
]

_ELEMENTS = 1 << 24
"""Of all streams of the samples that are evaluated together."""


@dataclass(frozen=True, eq=False)
class FoldedProgram:
    """A network as stages.

    Attributes:
        entries: streams that the host gives, in order.
        stages: each reads entries and earlier stages only.
        exits: numbers (as `sources`) of what the host takes, in order.
    """

    entries: tuple[Stream, ...]
    stages: tuple[Stage, ...]
    exits: tuple[int, ...]

    def stream(self, number: int) -> Stream:
        """What a source gives."""
        return self.entries[-1 - number] if number < 0 else self.stages[number].output

    def readers(self, number: int) -> list[int]:
        """Stages that read a source, in order; one that reads it twice is there twice."""
        return [
            place
            for place, stage in enumerate(self.stages)
            for source in stage.sources
            if source == number
        ]

    def evaluate(self, entries: Sequence[npt.ArrayLike]) -> list[Integers]:
        """What each exit gives: the executable specification.

        Args:
            entries: of each entry, integers [samples, rows, columns, channels].

        Returns:
            of each exit, int64 [samples, rows, columns, channels].
        """
        given = [np.asarray(array, np.int64) for array in entries]
        streams = (*self.entries, *(stage.output for stage in self.stages))
        count = max(1, _ELEMENTS // sum(stream.size for stream in streams))
        parts = [
            self._evaluated([array[start : start + count] for array in given])
            for start in range(0, max(len(given[0]), 1), count)
        ]
        return [np.concatenate(exits) for exits in zip(*parts, strict=True)]

    def _evaluated(self, entries: Sequence[Integers]) -> list[Integers]:
        values = {-1 - number: given for number, given in enumerate(entries)}
        last = {source: n for n, stage in enumerate(self.stages) for source in stage.sources}
        for number, stage in enumerate(self.stages):
            given = [
                values[source].reshape(len(values[source]), *stage.seen(place).shape)
                for place, source in enumerate(stage.sources)
            ]
            values[number] = evaluate_stage(stage, given)
            for source in set(stage.sources) - set(self.exits):
                if last[source] == number:
                    del values[source]
        return [values[number] for number in self.exits]
