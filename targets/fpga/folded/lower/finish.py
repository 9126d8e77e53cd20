"""Drafts become stages: each takes the functions that all its readers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from actc.targets.fpga.folded.lower.functions import Affine, affine
from actc.targets.fpga.folded.lower.narrow import narrowed
from actc.targets.fpga.folded.lower.pairs import common
from actc.targets.fpga.folded.lower.tracked import Draft, Integers, Lowering, Path, Tracked, hull
from actc.targets.fpga.folded.program import (
    ConcatStage,
    FoldedProgram,
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
)
from actc.targets.fpga.functions import Stage as Function
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.functions.stages import in_stages
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.network.builder import Unsupported
from actc.targets.fpga.network.elements import Element, Layer
from actc.targets.fpga.network.lower import scope_of

_WIDEST = 1 << 16
"""Integers of a sum or product that leaves without a function behind it."""
_BARE = (ConcatStage, MaximumStage, RecurrentStage, RepeatStage, RowStage)
"""Stages that may leave without functions."""
_WITH_FUNCTIONS = (*_BARE, MapStage, ProductStage, SumStage)


def finished(
    lowering: Lowering, exits: Sequence[Tracked]
) -> tuple[FoldedProgram, tuple[Layer, ...]]:
    """The program that computes what leaves, and its stages as layers.

    Raises:
        Unsupported: an exit leaves with more bits than a stage gives.
    """
    writer = _Writer(lowering, exits)
    for draft in lowering.drafts:
        writer.write(draft)
    entries = tuple(d.output for d in lowering.drafts if not d.head)
    numbers = tuple(writer.places[x.draft, x.path] for x in exits)
    layers = tuple(map(_layer, writer.stages, writer.heads))
    program = FoldedProgram(entries, tuple(writer.stages), numbers)
    return narrowed(program, lowering.functions.shared), layers


class _Writer:
    """The stages so far.

    Attributes:
        places: of a draft and a path behind it, the number of the source that gives it.
        heads: operators of the stages' first nodes.
    """

    def __init__(self, lowering: Lowering, exits: Sequence[Tracked]) -> None:
        self.lowering = lowering
        self.stages: list[Stage] = []
        self.heads: list[str] = []
        self.places: dict[tuple[Draft, Path], int] = {}
        self.entries = 0
        self.wanted: dict[Draft, list[Path]] = {}
        readers = (x for draft in lowering.drafts for x in draft.sources)
        for x in (*readers, *exits):
            paths = self.wanted.setdefault(x.draft, [])
            if x.path not in paths:
                paths.append(x.path)

    def write(self, draft: Draft) -> None:
        """The stages of a draft: itself, and one for each function that not all readers share."""
        paths = self.wanted.get(draft, [])
        if not draft.head:
            self.entries += 1
            self.places[draft, ()] = -self.entries
        if not paths:
            return
        base = common(tuple(paths))
        alone = isinstance(draft.stage, (SumStage, ProductStage)) and () not in paths
        if alone and not base:  # a sum leaves rounded only: one stage for each way of rounding
            for path in paths:
                self._add(draft, path, self._staged(draft, path))
            return
        if draft.head:
            self._add(draft, base, self._staged(draft, base))
        elif base:
            self._behind(draft, (), base)
        for path in paths:
            if path != base:
                self._behind(draft, base, path)

    def _add(self, draft: Draft, path: Path, stage: Stage, head: str = "") -> None:
        self.places[draft, path] = len(self.stages)
        self.stages.append(stage)
        self.heads.append(head or draft.head)

    def _behind(self, draft: Draft, base: Path, path: Path) -> None:
        """A stage of the functions of `path` that are behind those of `base`."""
        taken, elements = draft.known[base], draft.known[path]
        rest = path[len(base) :]
        given = hull(element.range for element in taken)
        input = replace(draft.output, range=given)
        reached = hull(element.range for element in elements)
        functions = [
            self._after(given, first, last, reached)
            for first, last in zip(taken, elements, strict=True)
        ]
        stage = MapStage(
            self.lowering.name(scope_of(rest[0])),
            tuple(str(node.name) for node in rest),
            (self.places[draft, base],),
            input,
            replace(input, range=reached),
            tuple(functions),
        )
        self._add(draft, path, stage, rest[0].op_type)

    def _after(self, inputs: Range, first: Element, last: Element, reached: Range) -> StepFunction:
        """What makes `last` of `first`; equal functions are one.

        Args:
            inputs: of all channels: so that these have equal functions.
            reached: what readers count on; inputs that do not occur may give more.
        """
        function = in_stages(inputs, last.stages[len(first.stages) :])
        inside = np.clip(function.levels, reached.low, reached.high)
        return self._shared(StepFunction.from_runs(inputs, function.starts, inside))

    def _staged(self, draft: Draft, path: Path) -> Stage:
        """The stage of a draft with the functions of a path."""
        elements = draft.known[path]
        output = replace(draft.output, range=hull(element.range for element in elements))
        nodes = (*draft.nodes, *(str(node.name) for node in path))
        sources = tuple(self.places[x.draft, x.path] for x in draft.sources)
        stage = replace(draft.stage, nodes=nodes, sources=sources, output=output)
        if any((draft, other) in self.places for other in draft.known):
            stage = replace(stage, name=self.lowering.name(stage.name))
        if isinstance(stage, MatrixStage):
            return self._matrix(draft, stage, elements)
        if isinstance(stage, _BARE) and not path:
            return stage
        functions = self._functions(draft, elements)
        assert isinstance(stage, _WITH_FUNCTIONS)
        return replace(stage, functions=functions)

    def _functions(self, draft: Draft, elements: Sequence[Element]) -> tuple[StepFunction, ...]:
        return tuple(
            self._shared(_identity(element.range) if element.function is None else element.function)
            if not offset
            else self._shared(affine(_function(element), 1, offset, element.wire.range))
            for element, offset in zip(elements, draft.constants.tolist(), strict=True)
        )

    def _matrix(self, draft: Draft, stage: MatrixStage, elements: Sequence[Element]) -> MatrixStage:
        """With functions of totals whose weights have no common factor."""
        if all(element.function is None for element in elements):
            return replace(stage, plain=draft.constants)
        factors = _common_factors(stage.weights)
        stage = replace(stage, weights=stage.weights // factors[:, None, None, None])
        functions, stages = [], []
        shared: dict[int, tuple[Function, ...]] = {}
        numbers = zip(factors.tolist(), draft.constants.tolist(), stage.totals, strict=True)
        for element, (factor, offset, total) in zip(elements, numbers, strict=True):
            function = self._shared(affine(_function(element), factor, offset, total))
            functions.append(function)
            first, *rest = element.stages
            own = (first if (factor, offset) == (1, 0) else Affine(first, factor, offset), *rest)
            stages.append(shared.setdefault(id(function), own))
        return replace(stage, functions=tuple(functions), stages=tuple(stages))

    def _shared(self, function: StepFunction) -> StepFunction:
        return self.lowering.functions.shared(function)


def _function(element: Element) -> StepFunction:
    return _identity(element.range) if element.function is None else element.function


def _identity(range: Range) -> StepFunction:
    """What a sum or product has that leaves as it is.

    Raises:
        Unsupported: there are too many values.
    """
    if range.high - range.low >= _WIDEST:
        raise Unsupported(
            f"the network ends with a sum or product of {range.width} bits",
            "let a layer follow it, or round it to codes",
        )
    return StepFunction.of(range, np.arange(range.low, range.high + 1))


def _common_factors(weights: Integers) -> Integers:
    """Of each output's weights; 1 where all are 0."""
    found: Integers = np.gcd.reduce(weights.reshape(len(weights), -1), axis=1)
    return np.maximum(found, 1)


def _layer(stage: Stage, head: str) -> Layer:
    products, weights = 0, 0
    if isinstance(stage, MatrixStage):
        weights = int(np.count_nonzero(stage.weights))
        products = weights * stage.output.positions
    elif isinstance(stage, RecurrentStage):
        weights = int(np.count_nonzero(stage.cell.r))
        products = weights * stage.input.positions
    elif isinstance(stage, ProductStage):
        products = stage.output.size
    return Layer(stage.name, head, list(stage.nodes), stage.output.shape, products, weights)


def entry(lowering: Lowering, name: str, stream: Stream) -> Draft:
    """The draft of what the host gives."""
    stage = MapStage(name, (), (), stream, stream)
    return lowering.draft(stage, None, [], [stream.range] * stream.channels)
