"""Folded programs as layers of hls4ml.

hls4ml puts zeros around images, so that a stream that is padded with something else is carried
as ``factor * x - center``, where that is zero. What is added by this, biases and all other
constants are in the functions behind the sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError
from actc.targets.fpga.folded.lower.functions import affine
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
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.hdl.names import Names, identifier
from actc.targets.hls4ml.binary import agreement_layer, is_binary
from actc.targets.hls4ml.functions import Chain, function_layers
from actc.targets.hls4ml.joins import concat_layers, repeat_layer, spread
from actc.targets.hls4ml.layers import Attribute, HlsFunction, HlsLayer, HlsNetwork, hull_of
from actc.targets.hls4ml.linear import (
    Linear,
    is_dense,
    is_padded,
    linear_layers,
    sums_of,
    whole,
    window_attributes,
)
from actc.targets.hls4ml.rows import refusal, row_layer

INPUT = "net_in"
_HELP = "compile for an FPGA of `actc targets`, whose hardware has it, or for cpu"
Passing: TypeAlias = ConcatStage | MaximumStage | RepeatStage
"""Stages that choose elements as they are; they may have functions behind them."""


@dataclass(frozen=True, slots=True)
class Carried:
    """How a stream is carried: ``factor * x - center`` for its elements x."""

    factor: int = 1
    center: int = 0

    def of(self, range: Range) -> Range:
        """The range that is carried."""
        return (range * Range(self.factor, self.factor)).plus(-self.center)


PLAIN = Carried()


def problems_of(program: FoldedProgram) -> list[Diagnostic]:
    """All stages that have no layer."""
    return [
        Diagnostic(
            "ACT0430",
            f"'{stage.name}' has no layer in hls4ml: {reason}",
            place=Place(node=stage.nodes[0] if stage.nodes else stage.name),
            help=_HELP if isinstance(stage, RecurrentStage) else "compile for cpu or onnx",
        )
        for stage in program.stages
        if (reason := _reason(stage))
    ]


def _reason(stage: Stage) -> str:
    """Why a stage has no layer; "" where it has."""
    if isinstance(stage, RowStage):
        return refusal(stage)
    return "it is recurrent" if isinstance(stage, RecurrentStage) else ""


def lower(program: FoldedProgram, name: str, io: str, *, own: bool = False) -> HlsNetwork:
    """The layers of a folded program.

    Args:
        program: with one entry and one exit.
        name: of the network.
        io: "parallel" or "stream".
        own: whether convolutions of arrays are actc's, see
            :attr:`~actc.targets.hls4ml.backends.Backend.own`.

    Raises:
        ModelError: ACT0430, all stages that have no layer.
    """
    problems = problems_of(program)
    if problems:
        raise ModelError(problems)
    return _Lowering(program, name, io, own).network()


class _Lowering:
    """The layers so far.

    Attributes:
        carried: of each source, how it is carried.
        sources: of each source, the layer that gives it.
    """

    def __init__(self, program: FoldedProgram, name: str, io: str, own: bool) -> None:
        self.program, self.name, self.io, self.own = program, name, io, own
        self.layers: list[HlsLayer] = []
        self.functions: list[HlsFunction] = []
        self.carried = _carried(program)
        self.sources: dict[int, str] = {-1: INPUT}
        self._names = Names()
        self._names.reserve(INPUT)
        self._moved: dict[tuple[int, Carried], str] = {}
        self._shaped: dict[tuple[str, tuple[int, ...]], str] = {}
        self._shapes = {INPUT: _shape(program.entries[0])}
        self._ranges = {INPUT: program.entries[0].range}

    def network(self) -> HlsNetwork:
        (entry,), (exit,) = self.program.entries, self.program.exits
        for number, stage in enumerate(self.program.stages):
            self._write(number, stage)
        assert self.layers[-1].name == self.sources[exit], "all that is computed leads to the exit"
        found = HlsNetwork(
            self.name, INPUT, _shape(entry), entry.range, tuple(self.layers), tuple(self.functions)
        )
        return spread(found, self._unique) if self.io == "stream" else found

    def _write(self, number: int, stage: Stage) -> None:
        carried = self.carried[number]
        if isinstance(stage, MatrixStage):
            name = self._matrix(stage, carried)
        elif isinstance(stage, MaximumStage):
            name = self._maximum(stage, carried)
        elif isinstance(stage, SumStage):
            name = self._pair(stage, carried, "ActcSum", stage.factors)
        elif isinstance(stage, ProductStage):
            name = self._pair(stage, carried, "ActcProduct", stage.zeros)
        elif isinstance(stage, ConcatStage):
            name = self._concat(stage, carried)
        elif isinstance(stage, RepeatStage):
            name = self._repeat(stage, carried)
        elif isinstance(stage, RowStage):
            given = self._read(stage.sources[0], _shape(stage.input), PLAIN)
            layer = row_layer(stage, self._unique(identifier(stage.name)), given)
            name = self._last(stage, self._add(layer), carried)
        else:
            assert isinstance(stage, MapStage)
            given = self._read(stage.sources[0], _shape(stage.input), PLAIN)
            chain = Chain.of(stage.functions)
            name = self._behind(stage, given, stage.input.range, chain, carried)
        self.sources[number] = name

    # --- what is read

    def _read(
        self, source: int, shape: tuple[int, ...], wanted: Carried, *, gathers: bool = False
    ) -> str:
        """The layer that gives a source in some way, with some shape.

        Args:
            gathers: whether what reads it takes a vector from several words of a stream.
        """
        name = self.sources[source]
        if self.carried[source] != wanted:
            name = self._recarried(source, wanted)
        if self._shapes[name] == shape:
            return name
        if self.io == "stream" and len(shape) == 1 and not gathers:
            # hls4ml leaves images as they come where they become vectors
            name = self._reshaped(name, (1, 1, *shape))
        return self._reshaped(name, shape)

    def _reshaped(self, name: str, shape: tuple[int, ...]) -> str:
        if self._shapes[name] == shape:
            return name
        if (name, shape) not in self._shaped:
            attributes: dict[str, Attribute] = {"target_shape": shape}
            new = self._unique(f"{name}_shaped")
            layer = HlsLayer(new, "ActcReshape", (name,), shape, self._ranges[name], attributes)
            self._shaped[name, shape] = self._add(layer)
        return self._shaped[name, shape]

    def _recarried(self, source: int, wanted: Carried) -> str:
        """A source that is carried as it is, since its readers differ, as one of them wants it."""
        if (source, wanted) not in self._moved:
            assert self.carried[source] == PLAIN
            name, range = self.sources[source], self.program.stream(source).range
            attributes: dict[str, Attribute] = {"factor": wanted.factor, "offset": -wanted.center}
            layer = HlsLayer(
                self._unique(f"{name}_moved"), "ActcAffine", (name,), self._shapes[name],
                wanted.of(range), attributes,
            )  # fmt: skip
            self._moved[source, wanted] = self._add(layer)
        return self._moved[source, wanted]

    # --- stages

    def _matrix(self, stage: MatrixStage, carried: Carried) -> str:
        reading = _reading(stage)
        shape = _shape(stage.input) if is_dense(stage) else stage.input.shape
        given = self._read(stage.sources[0], shape, reading, gathers=is_dense(stage))
        if is_binary(stage):
            return self._agreeing(stage, given, carried)
        weights = whole(stage)
        counted = stage.counted or 1
        factor = 1 if reading != PLAIN else counted
        totals = stage.weights.reshape(len(stage.weights), -1).sum(axis=1)
        negative = np.count_nonzero(stage.weights < 0, axis=(1, 2, 3))
        offsets = reading.center * totals + stage.counted * negative
        codes = reading.of(stage.input.range)
        bias = np.zeros(len(weights), np.int64)
        if stage.plain is not None:
            assert carried == PLAIN
            bias = np.asarray(stage.factor * offsets + stage.plain, np.int64)
            weights = weights * (stage.factor * factor)
        sums = sums_of(weights, bias, codes, padded=is_padded(stage.window))
        linear = Linear(stage, weights, bias, codes, sums)
        *before, layer = linear_layers(linear, given, self.io, self._unique, own=self.own)
        for windows in before:
            self._add(windows)
        if stage.plain is not None:
            return self._add(replace(layer, result=stage.output.range))
        self._add(layer)
        functions = [
            affine(function, factor, int(offset), own)
            for function, offset, own in zip(stage.functions, offsets, sums, strict=True)
        ]
        chain = Chain.of(functions, stage.stages, [(factor, int(c)) for c in offsets])
        return self._behind(stage, layer.name, layer.result, chain, carried)

    def _agreeing(self, stage: MatrixStage, given: str, carried: Carried) -> str:
        layer = agreement_layer(stage, given, self._unique)
        self._add(layer)
        if stage.plain is not None:
            return layer.name
        chain = Chain.of(stage.functions, stage.stages, [(1, 0)] * len(stage.weights))
        return self._behind(stage, layer.name, layer.result, chain, carried)

    def _maximum(self, stage: MaximumStage, carried: Carried) -> str:
        reading = _pooled(stage, carried)
        given = self._read(stage.sources[0], stage.input.shape, reading)
        held = reading.of(stage.input.range)
        attributes = {
            **window_attributes(stage.window, stage.input), "dilations": stage.window.dilations,
            "outside": held.low,
        }  # fmt: skip
        layer = HlsLayer(
            self._unique(identifier(stage.name)), "ActcMaxPool", (given,),
            (*stage.window.positions(stage.input), stage.input.channels), held, attributes,
            scope=stage.name,
        )  # fmt: skip
        return self._last(stage, self._add(layer), carried)

    def _pair(
        self, stage: SumStage | ProductStage, carried: Carried, op: str, pair: tuple[int, int]
    ) -> str:
        left, right = (self._read(source, _shape(stage.input), PLAIN) for source in stage.sources)
        found = hull_of(np.array([[f.range.low, f.range.high] for f in stage.functions]))
        layer = HlsLayer(
            self._unique(identifier(stage.name)), op, (left, right), _shape(stage.output), found,
            {"first": pair[0], "second": pair[1]}, scope=stage.name,
        )  # fmt: skip
        self._add(layer)
        return self._behind(stage, layer.name, found, Chain.of(stage.functions), carried)

    def _concat(self, stage: ConcatStage, carried: Carried) -> str:
        reading = _pooled(stage, carried)
        given = [
            self._read(source, _shape(stage.seen(place)), reading)
            for place, source in enumerate(stage.sources)
        ]
        for layer in concat_layers(given, self._shapes, self._ranges, stage.name, self._unique):
            name = self._add(layer)
        return self._last(stage, name, carried)

    def _repeat(self, stage: RepeatStage, carried: Carried) -> str:
        reading = _pooled(stage, carried)
        given = self._read(stage.sources[0], stage.input.shape, reading)
        layer = repeat_layer(stage, given, reading.of(stage.input.range), self._unique)
        return self._last(stage, self._add(layer), carried)

    def _last(self, stage: Passing | RowStage, name: str, carried: Carried) -> str:
        """The functions of a stage that may have none."""
        if not stage.functions:
            return name
        return self._behind(stage, name, self._ranges[name], Chain.of(stage.functions), carried)

    def _behind(
        self, stage: Stage, given: str, range: Range, chain: Chain, carried: Carried
    ) -> str:
        """The functions of a stage, behind the layer that they read."""
        moved = chain.carried(carried.factor, carried.center)
        name = given
        made = function_layers(
            moved, range, identifier(stage.name), given, self._shapes[given], self._unique
        )
        for layer in made:
            name = self._add(replace(layer, scope=stage.name))
        self.functions.append(HlsFunction(given, name, moved.functions))
        return name

    def _add(self, layer: HlsLayer) -> str:
        self.layers.append(layer)
        self._shapes[layer.name], self._ranges[layer.name] = layer.shape, layer.result
        return layer.name

    def _unique(self, name: str) -> str:
        return self._names.new(name.lower())


# --- how streams are carried


def _reading(stage: MatrixStage) -> Carried:
    """How a stage wants what it reads, so that padding is zero."""
    if not is_padded(stage.window) or stage.outside == 0 or is_binary(stage):
        return PLAIN
    return Carried(stage.counted or 1, stage.outside)


def _carried(program: FoldedProgram) -> dict[int, Carried]:
    """How each source is carried: as all readers want it, or as it is."""
    found: dict[int, Carried] = {-1 - k: PLAIN for k in range(len(program.entries))}
    for number in reversed(range(len(program.stages))):
        stage = program.stages[number]
        plain = isinstance(stage, MatrixStage) and stage.plain is not None
        plain |= isinstance(stage, RowStage) and not stage.functions
        wants = {_want(program.stages[reader], found, reader) for reader in program.readers(number)}
        if number in program.exits or plain or len(wants) != 1:
            wants = {PLAIN}
        found[number] = wants.pop()
    return found


def _want(stage: Stage, found: Mapping[int, Carried], number: int) -> Carried:
    if isinstance(stage, MatrixStage):
        return _reading(stage)
    return _pooled(stage, found[number]) if isinstance(stage, Passing) else PLAIN


def _pooled(stage: Passing, carried: Carried) -> Carried:
    """How what only chooses elements wants them: as what reads it does."""
    return PLAIN if stage.functions else carried


# --- parts of layers


def _shape(stream: Stream) -> tuple[int, ...]:
    """Of one sample: [channels], or [rows, columns, channels]."""
    return (stream.channels,) if stream.positions == 1 else stream.shape
