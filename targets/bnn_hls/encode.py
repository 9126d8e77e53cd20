"""Folded programs as layers: streams of two values carry a bit, sums of their products are counts.

With elements ``low + step * k`` and weights ``s * (2 v - 1)`` (k and v are bits), over N products::

    sum of w x = low * sum of w + step * s * (popcount(xnor(k, v)) - N + sum of v)

so that a function of the sum is one of the count; its thresholds take up all constants. Padding
that is in the middle of both values (zero between -1 and 1) counts for nothing: "centred xnor".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError
from actc.targets.bnn_hls.layers import (
    Code,
    Integers,
    Layer,
    MapLayer,
    MatrixLayer,
    MaximumLayer,
    Network,
    Port,
    Product,
    ProductLayer,
    SumLayer,
)
from actc.targets.fpga.folded.program import (
    FoldedProgram,
    MapStage,
    MatrixStage,
    MaximumStage,
    ProductStage,
    Stage,
    SumStage,
)
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range


def encode(program: FoldedProgram, name: str) -> Network:
    """The layers of a program with one entry and one exit.

    Args:
        name: of the network, an identifier.

    Raises:
        ModelError: ACT0421, layers that this target has not.
    """
    found = _refused(program)
    if found:
        raise ModelError(found)
    codes = _codes(program)
    layers = tuple(
        _layer(stage, [codes[source] for source in stage.sources], codes[number])
        for number, stage in enumerate(program.stages)
    )
    entry = Port.of(program.entries[0], codes[-1])
    return Network(name, entry, layers, program.exits[0])


def problems_of(program: FoldedProgram) -> list[Diagnostic]:
    """All reasons why a program cannot be encoded."""
    return _refused(program)


def _refused(program: FoldedProgram) -> list[Diagnostic]:
    known = (MatrixStage, MaximumStage, SumStage, ProductStage, MapStage)
    found = [
        Diagnostic(
            "ACT0421",
            f"the layer '{stage.name}' is recurrent; this target has no such layers",
            place=Place(node=", ".join(stage.nodes) or stage.name),
            help="compile for an FPGA (`actc targets`), which folds them, or --target onnx",
        )
        for stage in program.stages
        if not isinstance(stage, known)
    ]
    if len(program.entries) != 1 or len(program.exits) != 1 or program.exits[0] < 0:
        text = "the network must have one input and one output, and layers between them"
        found.append(Diagnostic("ACT0421", text, help="split the model, or use --target cpu"))
    return found


# --- what streams carry


def _codes(program: FoldedProgram) -> dict[int, Code]:
    """The code of each source."""
    codes = {-1: Code(_with_padding(program, -1, program.entries[0].range))}
    for number, stage in enumerate(program.stages):
        passed = isinstance(stage, MaximumStage) and not stage.functions
        codes[number] = codes[stage.sources[0]] if passed else _code(program, number, stage)
    return codes


def _code(program: FoldedProgram, number: int, stage: Stage) -> Code:
    functions: Sequence[StepFunction] = getattr(stage, "functions", ())
    levels = {int(level) for function in functions for level in function.levels}
    if len(levels) == 2:
        low, high = sorted(levels)
        code = Code(Range(0, 1), low, high - low)
        if _accepted(program, number, code):
            return code
    return Code(_with_padding(program, number, stage.output.range))


def _with_padding(program: FoldedProgram, number: int, range: Range) -> Range:
    """The values of a source, and those that its readers have in their padding."""
    for place in program.readers(number):
        reader = program.stages[place]
        if isinstance(reader, MatrixStage) and _padded(reader):
            if reader.counted != 2:  # else its padding is between both values
                range = range.hull(Range(reader.outside, reader.outside))
        elif isinstance(reader, MaximumStage) and not reader.functions:
            range = _with_padding(program, place, range)
    return range


def _accepted(program: FoldedProgram, number: int, code: Code) -> bool:
    """Whether all readers of a source take its bits."""
    if number in program.exits:
        return False
    for place in program.readers(number):
        reader = program.stages[place]
        if isinstance(reader, MaximumStage) and not reader.functions:
            if not _accepted(program, place, code):
                return False
        elif isinstance(reader, MatrixStage) and _padded(reader):
            scaled = _scaled(reader, code)
            if not scaled.holds(reader.outside) and not _is_centred(reader, scaled):
                return False
    return True


def _padded(stage: MatrixStage) -> bool:
    return any((*stage.window.before, *stage.window.after))


def _scaled(stage: MatrixStage, code: Code) -> Code:
    """The elements that a stage multiplies, in place of those that it reads."""
    factor = stage.counted or 1
    return Code(code.range, code.low * factor, code.step * factor)


def _is_centred(stage: MatrixStage, code: Code) -> bool:
    """Whether padding lies in the middle of two values, between weights of which none is 0."""
    middle = 2 * stage.outside == 2 * code.low + code.step
    symmetric = _magnitude(stage.weights) > 0 and bool(np.all(stage.weights != 0))
    return middle and symmetric


def _is_depthwise(stage: MatrixStage) -> bool:
    return 1 < stage.groups == stage.input.channels == len(stage.weights)


# --- layers


def _layer(stage: Stage, codes: Sequence[Code], output: Code) -> Layer:
    if isinstance(stage, MatrixStage):
        return _matrix(stage, codes[0], output)
    own = _port(stage, output)
    ports = tuple(Port.of(stage.input, code) for code in codes)
    base = (stage.name, stage.nodes, stage.sources, ports, own)
    first = codes[0]
    if isinstance(stage, MaximumStage):
        functions = _composed(stage.functions, first.step, first.low, first.range, output)
        return MaximumLayer(*base, functions, first.range, stage.window)
    if isinstance(stage, SumStage):
        factors = (stage.factors[0] * first.step, stage.factors[1] * codes[1].step)
        offset = stage.factors[0] * first.low + stage.factors[1] * codes[1].low
        parts = [code.range * Range(f, f) for code, f in zip(codes, factors, strict=True)]
        total = Range(parts[0].low + parts[1].low, parts[0].high + parts[1].high)
        functions = _composed(stage.functions, 1, offset, total, output)
        return SumLayer(*base, functions, total, factors)
    if isinstance(stage, ProductStage):
        offsets = (first.low - stage.zeros[0], codes[1].low - stage.zeros[1])
        moved = [code.values.plus(-zero) for code, zero in zip(codes, stage.zeros, strict=True)]
        total = moved[0] * moved[1]
        functions = _composed(stage.functions, 1, 0, total, output)
        return ProductLayer(*base, functions, total, (first.step, codes[1].step), offsets)
    assert isinstance(stage, MapStage)
    functions = _composed(stage.functions, first.step, first.low, first.range, output)
    return MapLayer(*base, functions, first.range)


def _port(stage: Stage, code: Code) -> Port:
    return Port.of(stage.output, code)


@dataclass(frozen=True, slots=True)
class _Sum:
    """What a sum of products is: ``factor * total + offsets``, totals in `ranges`."""

    product: Product
    factor: int
    offsets: Integers
    ranges: list[Range]
    weights: Integers


def _matrix(stage: MatrixStage, given: Code, output: Code) -> MatrixLayer:
    weights = stage.weights if _is_depthwise(stage) else _ungrouped(stage)
    code = _scaled(stage, given)
    centred = _padded(stage) and not code.holds(stage.outside)
    outside = int(code.of(np.array(stage.outside))) if _padded(stage) and not centred else 0
    found = _sum(weights, code, centred)
    total = Range.of([end for r in found.ranges for end in (r.low, r.high)])
    negative = np.count_nonzero(stage.weights < 0, axis=(1, 2, 3))
    offsets, factor = found.offsets + stage.counted * negative, found.factor
    functions: list[StepFunction] = []
    for at, function in enumerate(stage.functions):
        functions += _composed([function], factor, int(offsets[at]), found.ranges[at], output)
    if stage.plain is not None:
        offsets, factor = stage.factor * offsets + stage.plain, stage.factor * factor
    return MatrixLayer(
        stage.name, stage.nodes, stage.sources, (Port.of(stage.input, given),),
        _port(stage, output), tuple(_shared(functions)), total, stage.window, found.product,
        found.weights, outside, factor, offsets, stage.plain is not None,
    )  # fmt: skip


def _ungrouped(stage: MatrixStage) -> Integers:
    """Weights of all channels; those of other groups are 0."""
    if stage.groups == 1:
        return stage.weights
    outputs, rows, columns, group = stage.weights.shape
    found = np.zeros((outputs, rows, columns, stage.input.channels), np.int64)
    each = outputs // stage.groups
    for number in range(stage.groups):
        own, read = slice(number * each, (number + 1) * each), number * group
        found[own, :, :, read : read + group] = stage.weights[own]
    return found


def _magnitude(weights: Integers) -> int:
    """s where all weights are -s, 0 or s, at least one of which is not 0; else 0."""
    found = np.unique(np.abs(weights[weights != 0]))
    return int(found[0]) if found.size == 1 else 0


def _sum(weights: Integers, code: Code, centred: bool) -> _Sum:
    """How the sums of products of values and weights are computed.

    Args:
        centred: whether padding lies in the middle of two values.
    """
    flat = weights.reshape(len(weights), -1)
    size, low = _magnitude(weights), code.low * flat.sum(axis=1)
    bits = code.range == Range(0, 1)
    positive, there = (flat > 0).sum(axis=1), (flat != 0).sum(axis=1)
    if centred:
        middle = (2 * code.low + code.step) // 2
        ranges = [Range(-flat.shape[1], flat.shape[1])] * len(flat)
        factor = code.step // 2 * size
        return _Sum("centred xnor", factor, middle * flat.sum(axis=1), ranges, weights // size)
    if bits and size and not (flat < 0).any():
        ranges = [Range(0, int(n)) for n in there]
        return _Sum("and", code.step * size, low, ranges, weights // size)
    if bits and size:
        factor = code.step * size
        kind: Product = "xnor" if there.min() == flat.shape[1] else "masked xnor"
        ranges = [Range(0, int(n)) for n in there]
        return _Sum(kind, factor, low + factor * (positive - there), ranges, weights // size)
    if size and (flat != 0).all() and (flat < 0).any():
        ranges = _ranges(flat // size, code.range)
        return _Sum("signs", code.step * size, low, ranges, weights // size)
    return _Sum("integers", code.step, low, _ranges(flat, code.range), weights)


def _ranges(flat: Integers, codes: Range) -> list[Range]:
    low = np.minimum(flat * codes.low, flat * codes.high).sum(axis=1)
    high = np.maximum(flat * codes.low, flat * codes.high).sum(axis=1)
    return [Range(int(a), int(b)) for a, b in zip(low, high, strict=True)]


# --- functions


def _composed(
    functions: Sequence[StepFunction], factor: int, offset: int, inputs: Range, output: Code
) -> tuple[StepFunction, ...]:
    """Codes of ``f(factor * x + offset)`` for x in `inputs`; equal ones are one.

    Args:
        factor: at least 1.
    """
    made: dict[int, StepFunction] = {}
    for function in functions:
        if id(function) in made:
            continue
        starts = -((offset - function.starts) // factor)
        inside = starts[(starts > inputs.low) & (starts <= inputs.high)]
        starts = np.unique(np.append(inside, inputs.low))
        levels = output.of(function.evaluate(starts * factor + offset))
        made[id(function)] = StepFunction.from_runs(inputs, starts, levels)
    return tuple(_shared([made[id(function)] for function in functions]))


def _shared(functions: Sequence[StepFunction]) -> list[StepFunction]:
    """Equal functions are one object."""
    known: dict[object, StepFunction] = {}
    return [known.setdefault(function.key, function) for function in functions]
