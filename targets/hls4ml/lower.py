"""Folded programs as layers of hls4ml.

hls4ml puts zeros around images, so that a stream that is padded with something else is carried
as ``factor * x - center``, where that is zero. What is added by this, biases and all other
constants are in the functions behind the sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError
from actc.targets.fpga.folded.lower.functions import affine
from actc.targets.fpga.folded.program import (
    FoldedProgram,
    MapStage,
    MatrixStage,
    MaximumStage,
    ProductStage,
    Stage,
    Stream,
    SumStage,
    Window,
)
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.hdl.names import Names, identifier
from actc.targets.hls4ml.functions import Chain, function_layers
from actc.targets.hls4ml.layers import Attribute, HlsLayer, HlsNetwork, Integers, hull_of

INPUT = "net_in"


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
    taken = (MatrixStage, MaximumStage, SumStage, ProductStage, MapStage)
    return [
        Diagnostic(
            "ACT0430",
            f"'{stage.name}' has no layer in hls4ml: a {type(stage).__name__.removesuffix('Stage')}",
            place=Place(node=stage.nodes[0] if stage.nodes else stage.name),
            help="compile for an FPGA of `actc targets`, whose hardware has it, or for cpu",
        )
        for stage in program.stages
        if not isinstance(stage, taken)
    ]


def lower(program: FoldedProgram, name: str) -> HlsNetwork:
    """The layers of a folded program.

    Args:
        program: with one entry and one exit.
        name: of the network.

    Raises:
        ModelError: ACT0430, all stages that have no layer.
    """
    problems = problems_of(program)
    if problems:
        raise ModelError(problems)
    return _Lowering(program, name).network()


class _Lowering:
    """The layers so far.

    Attributes:
        carried: of each source, how it is carried.
        names: source -> the layer that gives it.
    """

    def __init__(self, program: FoldedProgram, name: str) -> None:
        self.program, self.name = program, name
        self.layers: list[HlsLayer] = []
        self.carried = _carried(program)
        self.sources: dict[int, str] = {-1: INPUT}
        self._names = Names()
        self._names.reserve(INPUT)
        self._moved: dict[tuple[int, Carried], str] = {}
        self._shapes: dict[tuple[str, tuple[int, ...]], str] = {}

    def network(self) -> HlsNetwork:
        (entry,), (exit,) = self.program.entries, self.program.exits
        for number, stage in enumerate(self.program.stages):
            self._write(number, stage)
        last = self._read(exit, self.program.stream(exit), PLAIN)
        if self.layers[-1].name != last:  # what leaves comes last
            self.layers.sort(key=lambda layer: layer.name == last)
        return HlsNetwork(self.name, INPUT, _shape(entry), entry.range, tuple(self.layers))

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
        else:
            assert isinstance(stage, MapStage)
            given = self._read(stage.sources[0], stage.input, PLAIN)
            chain = Chain.of(stage.functions)
            name = self._behind(stage, given, stage.input.range, chain, carried)
        self.sources[number] = name

    # --- what is read

    def _read(self, source: int, input: Stream, wanted: Carried) -> str:
        """The layer that gives a source in some way, with the shape of `input`."""
        name, carried = self.sources[source], self.carried[source]
        if carried != wanted:
            name = self._recarried(source, carried, wanted)
        stream, shape = self.program.stream(source), _shape(input)
        if _shape(stream) == shape:
            return name
        if (name, shape) not in self._shapes:
            attributes: dict[str, Attribute] = {"target_shape": shape}
            flat = HlsLayer(
                self._unique(f"{name}_shaped"), "ActcReshape", (name,), shape,
                wanted.of(stream.range), attributes,
            )  # fmt: skip
            self._shapes[name, shape] = self._add(flat)
        return self._shapes[name, shape]

    def _recarried(self, source: int, carried: Carried, wanted: Carried) -> str:
        """``wanted.factor * (x + carried.center) / carried.factor - wanted.center``."""
        if (source, wanted) in self._moved:
            return self._moved[source, wanted]
        name, stream = self.sources[source], self.program.stream(source)
        if carried.factor != 1:  # back to x first: what is carried is a multiple of the factor
            raise AssertionError("a stream that some read as it is is carried as it is")
        offset = carried.center * wanted.factor - wanted.center
        layer = HlsLayer(
            self._unique(f"{name}_moved"), "ActcAffine", (name,), _shape(stream),
            wanted.of(stream.range), {"factor": wanted.factor, "offset": offset},
        )  # fmt: skip
        self._moved[source, wanted] = self._add(layer)
        return layer.name

    # --- stages

    def _matrix(self, stage: MatrixStage, carried: Carried) -> str:
        reading = _reading(stage)
        given = self._read(stage.sources[0], stage.input, reading)
        weights = _whole(stage)
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
        sums = _sums(weights, bias, codes, padded=_is_padded(stage.window))
        layer = _linear_layer(self._unique(identifier(stage.name)), stage, given, weights, bias,
                              codes, sums)  # fmt: skip
        if stage.plain is not None:
            return self._add(replace(layer, result=stage.output.range))
        self._add(layer)
        functions = [
            affine(function, factor, int(offset), own)
            for function, offset, own in zip(stage.functions, offsets, sums, strict=True)
        ]
        chain = Chain.of(functions, stage.stages, [(factor, int(c)) for c in offsets])
        return self._behind(stage, layer.name, layer.result, chain, carried)

    def _maximum(self, stage: MaximumStage, carried: Carried) -> str:
        given = self._read(
            stage.sources[0], stage.input, PLAIN if stage.functions else carried
        )
        held = (PLAIN if stage.functions else carried).of(stage.input.range)
        rows, columns = stage.window.positions(stage.input)
        layer = HlsLayer(
            self._unique(identifier(stage.name)), "ActcMaxPool", (given,),
            (rows, columns, stage.input.channels), held, _window(stage.window, stage.input),
            scope=stage.name,
        )  # fmt: skip
        self._add(layer)
        if not stage.functions:
            return layer.name
        return self._behind(stage, layer.name, held, Chain.of(stage.functions), carried)

    def _pair(
        self, stage: SumStage | ProductStage, carried: Carried, op: str, pair: tuple[int, int]
    ) -> str:
        left, right = (self._read(source, stage.input, PLAIN) for source in stage.sources)
        found = hull_of(np.array([[f.range.low, f.range.high] for f in stage.functions]))
        layer = HlsLayer(
            self._unique(identifier(stage.name)), op, (left, right), _shape(stage.output), found,
            {"first": pair[0], "second": pair[1]}, scope=stage.name,
        )  # fmt: skip
        self._add(layer)
        return self._behind(stage, layer.name, found, Chain.of(stage.functions), carried)

    def _behind(
        self, stage: Stage, given: str, range: Range, chain: Chain, carried: Carried
    ) -> str:
        """The functions of a stage, behind the layer that they read."""
        moved = chain.carried(carried.factor, carried.center)
        name = given
        made = function_layers(
            moved, range, identifier(stage.name), given, _shape(stage.output), self._unique
        )
        for layer in made:
            name = self._add(replace(layer, scope=stage.name))
        return name

    def _add(self, layer: HlsLayer) -> str:
        self.layers.append(layer)
        return layer.name

    def _unique(self, name: str) -> str:
        return self._names.new(name.lower())


# --- how streams are carried


def _reading(stage: MatrixStage) -> Carried:
    """How a stage wants what it reads, so that padding is zero."""
    if not _is_padded(stage.window) or stage.outside == 0:
        return PLAIN
    return Carried(stage.counted or 1, stage.outside)


def _is_padded(window: Window) -> bool:
    return any(window.before) or any(window.after)


def _carried(program: FoldedProgram) -> dict[int, Carried]:
    """How each source is carried: as all readers want it, or as it is."""
    found: dict[int, Carried] = {-1 - k: PLAIN for k in range(len(program.entries))}
    for number in reversed(range(len(program.stages))):
        stage = program.stages[number]
        plain = isinstance(stage, MatrixStage) and stage.plain is not None
        wants = {_want(program.stages[reader], found, reader) for reader in program.readers(number)}
        if number in program.exits or plain or len(wants) != 1:
            wants = {PLAIN}
        found[number] = wants.pop()
    return found


def _want(stage: Stage, found: Mapping[int, Carried], number: int) -> Carried:
    if isinstance(stage, MatrixStage):
        return _reading(stage)
    if isinstance(stage, MaximumStage) and not stage.functions:
        return found[number]
    return PLAIN


# --- parts of layers


def _shape(stream: Stream) -> tuple[int, ...]:
    """Of one sample: [channels], or [rows, columns, channels]."""
    return (stream.channels,) if stream.positions == 1 else stream.shape


def _whole(stage: MatrixStage) -> Integers:
    """Weights [outputs, rows, columns, inputs], dilated kernels filled up with zeros.

    Depthwise ones stay [outputs, rows, columns, 1]; of other groups they are zero outside.
    """
    weights = stage.weights
    outputs, rows, columns, own = weights.shape
    steps = stage.window.dilations
    spread = np.zeros(
        (outputs, (rows - 1) * steps[0] + 1, (columns - 1) * steps[1] + 1, own), np.int64
    )
    spread[:, :: steps[0], :: steps[1]] = weights
    if stage.groups == 1 or _is_depthwise(stage):
        return spread
    whole = np.zeros((*spread.shape[:3], stage.input.channels), np.int64)
    share = outputs // stage.groups
    for group in range(stage.groups):
        rows_of, columns_of = slice(group * share, (group + 1) * share), group * own
        whole[rows_of, :, :, columns_of : columns_of + own] = spread[rows_of]
    return whole


def _is_depthwise(stage: MatrixStage) -> bool:
    return stage.groups == stage.input.channels == len(stage.weights) and stage.groups > 1


def _sums(weights: Integers, bias: Integers, codes: Range, *, padded: bool) -> list[Range]:
    """The range of each channel's sum."""
    held = codes.hull(Range(0, 0)) if padded else codes
    flat = weights.reshape(len(weights), -1)
    low = np.minimum(flat * held.low, flat * held.high).sum(axis=1) + bias
    high = np.maximum(flat * held.low, flat * held.high).sum(axis=1) + bias
    return [Range(int(a), int(b)) for a, b in zip(low, high, strict=True)]


def _partial(weights: Integers, bias: Integers, codes: Range) -> Range:
    """What the accumulator holds at any time, whatever is added first."""
    flat = np.abs(weights.reshape(len(weights), -1)).sum(axis=1)
    most = int((flat * max(abs(codes.low), abs(codes.high)) + np.abs(bias)).max())
    return Range(-most, most)


def _linear_layer(
    name: str,
    stage: MatrixStage,
    given: str,
    weights: Integers,
    bias: Integers,
    codes: Range,
    sums: Sequence[Range],
) -> HlsLayer:
    total = sums[0]
    for other in sums[1:]:
        total = total.hull(other)
    types = {
        "accum": _partial(weights, bias, codes),
        "weight": hull_of(weights).hull(Range(-1, 1)),
        "bias": hull_of(bias).hull(Range(-1, 1)),
    }
    attributes: dict[str, Attribute]
    rows, columns = stage.window.positions(stage.input)
    if stage.input.positions == 1 and prod(weights.shape[1:3]) == 1:
        matrix = weights.reshape(len(weights), -1).T
        if _is_depthwise(stage):
            matrix = np.diag(weights.reshape(-1))
        op, shape, attributes = "ActcDense", (len(weights),), {"weight": matrix, "bias": bias}
    else:
        op = "ActcDepthwiseConv2D" if _is_depthwise(stage) else "ActcConv2D"
        kernel = np.ascontiguousarray(
            weights.transpose(1, 2, 0, 3) if _is_depthwise(stage) else weights.transpose(1, 2, 3, 0)
        )
        shape = (rows, columns, len(weights))
        window = replace(stage.window, kernel=weights.shape[1:3], dilations=(1, 1))
        attributes = {"weight": kernel, "bias": bias, **_window(window, stage.input)}
    return HlsLayer(name, op, (given,), shape, total, attributes, types, stage.name)


def _window(window: Window, input: Stream) -> dict[str, Attribute]:
    return {
        "input_shape": input.shape,
        "kernel_shape": window.kernel,
        "strides": window.strides,
        "pads": (*window.before, *window.after),
    }


def identity(range: Range) -> StepFunction:
    """Each integer of a range itself."""
    return StepFunction.of(range, np.arange(range.low, range.high + 1))
