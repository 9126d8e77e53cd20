"""The stages that are measured for the costs of folded networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from math import prod

import numpy as np

from actc.targets.fpga.folded.costs.clocks import kept_rows, products_per_clock
from actc.targets.fpga.folded.folding import Folding, divisors, foldings, input_word
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

PER_STAGE = 3
"""Foldings of each stage."""
MOST_PRODUCT_BITS, MOST_ROM_BITS, MOST_RAM_BITS = 4000, 12000, 2500
"""Limits that keep synthesis short: bits of products, of weights and of a window in logic."""
MOST_PAIRS = 600
"""The same of binary stages: pairs of bits that are compared in a clock."""
MEASURED = 6
"""Properties of foldings that differ, the first ones; others are as usual."""
_SAME = Window((3, 3), before=(1, 1), after=(1, 1))
_HALF = Window((2, 2), strides=(2, 2))
_STRIDED = Window((3, 3), strides=(2, 2), before=(1, 1), after=(1, 1))


@dataclass(frozen=True, eq=False)
class Unit:
    """A stage in one of its foldings.

    Attributes:
        name: of the stage.
        program: of this stage alone.
        folding: its own.
        entry: elements of an input word; not those that the stage takes if there is a
            converter between.
    """

    name: str
    program: FoldedProgram
    folding: Folding
    entry: int


def plan() -> list[Unit]:
    """All units, mixed, so that each part of the list has all kinds; binary ones follow."""
    return [*_units(_stages(), 20), *_units(_binary_stages(), 21)]


def _units(stages: Iterator[Stage], seed: int) -> list[Unit]:
    rng = np.random.default_rng(seed)
    units: list[Unit] = []
    for stage in stages:
        allowed = sorted(
            (folding for folding in foldings(stage) if _measurable(stage, folding)), key=astuple
        )
        count = min(PER_STAGE, len(allowed))
        for place in rng.choice(len(allowed), count, replace=False):
            folding = allowed[int(place)]
            entry = input_word(stage, folding)
            if rng.random() < 0.3:
                words = [word for word in divisors(stage.input.channels) if word <= 16]
                entry = int(rng.choice(words))
            entries = tuple(stage.input for _ in stage.sources[:1])
            program = FoldedProgram(entries, (stage,), (0,))
            units.append(Unit(stage.name, program, folding, entry))
    return [units[int(place)] for place in rng.permutation(len(units))]


def _measurable(stage: Stage, folding: Folding) -> bool:
    """Whether yosys is done with it soon."""
    if folding != Folding(*astuple(folding)[:MEASURED]):
        return False
    word = input_word(stage, folding)
    ring = kept_rows(stage) * stage.input.columns * stage.input.channels
    ram = ring * stage.input.range.width
    if folding.buffer == "logic" and ram > MOST_RAM_BITS:
        return False
    if word * stage.input.range.width > 300 or folding.pe > 64:
        return False
    if not isinstance(stage, MatrixStage):
        return True
    if stage.counted and folding.multiplier == "dsp":
        return False
    if stage.counted and products_per_clock(stage, folding) > MOST_PAIRS:
        return False
    weight = Range(int(stage.weights.min()), int(stage.weights.max())).width
    product = products_per_clock(stage, folding) * stage.input.range.width * weight
    rom = prod(stage.weights.shape) * weight
    return product <= MOST_PRODUCT_BITS and (folding.weights == "block" or rom <= MOST_ROM_BITS)


def _stages() -> Iterator[Stage]:
    u2, u4, u8, s8 = (*map(Range.unsigned, (2, 4, 8)), Range(-128, 127))
    vector, image = (lambda c, r: Stream(1, 1, c, r)), (lambda s, c, r: Stream(s, s, c, r))
    yield _matrix("dense784", vector(784, u4), 64, 2, u4)
    yield _matrix("dense256", vector(256, u4), 32, 4, u4)
    yield _matrix("dense256s", vector(256, s8), 64, 8, s8)
    yield _matrix("dense64", vector(64, u4), 10, 4, None)
    yield _matrix("dense64b", vector(64, u2), 32, 2, u2)
    yield _matrix("dense64w", vector(64, u8), 10, 8, None)
    yield _matrix("dense128", vector(128, u2), 48, 2, u2, signs=True)
    yield _matrix("dense96", vector(96, u8), 24, 6, u8)
    yield _matrix("conv1", image(14, 1, u8), 16, 8, u8, _SAME)
    yield _matrix("conv16", image(14, 16, u8), 32, 8, u8, _SAME)
    yield _matrix("conv16b", image(12, 16, u4), 16, 4, u4, _SAME)
    yield _matrix("conv8", image(8, 8, u4), 16, 3, u4, _SAME)
    yield _matrix("conv8s", image(10, 8, s8), 16, 4, s8, _STRIDED)
    yield _matrix("conv4", image(6, 4, u2), 8, 2, u2, _SAME)
    yield _matrix("point", image(7, 32, u8), 32, 8, u8, Window())
    yield _matrix("grouped", image(8, 16, u4), 16, 4, u4, _SAME, groups=2)
    yield _matrix("depthwise", image(8, 16, u8), 16, 6, u8, _SAME, groups=16)
    yield _average("average", image(7, 32, u8), u8)
    yield _pool("pool", image(14, 16, u8), _HALF)
    yield _pool("pool4", image(12, 8, u4), _HALF)
    yield _pool("pool3", image(9, 8, s8), _STRIDED)
    yield _sum("sum", image(8, 8, u8))
    yield _sum("scaled", image(6, 8, u4), (3, 5))
    yield _product("product", image(6, 8, u8), (0, 3))
    yield _map("map", image(6, 8, u8))


def _binary_stages() -> Iterator[Stage]:
    bit, u8 = Range(0, 1), Range.unsigned(8)
    vector, image = (lambda c: Stream(1, 1, c, bit)), (lambda s, c: Stream(s, s, c, bit))
    yield _signs("signs784", vector(784), 64)
    yield _signs("signs256", vector(256), 256)
    yield _signs("signs96", vector(96), 96)
    yield _signs("signs64", vector(64), 10, scores=True)
    yield _signs("signs256s", vector(256), 10, scores=True)
    yield _signs("signs_conv32", image(12, 32), 48, Window((3, 3)))
    yield _signs("signs_conv16", image(8, 16), 32, _SAME)
    yield _signs("signs_point", image(7, 64), 32, Window())
    yield _pool("pool1", image(12, 32), _HALF)
    yield _threshold("threshold", Stream(1, 1, 128, u8))


def _signs(
    name: str, given: Stream, outputs: int, window: Window | None = None, *, scores: bool = False
) -> MatrixStage:
    """A binary stage: thresholds of both directions behind it, or its counts as they are."""
    own = Window() if window is None else window
    weights = _weights((outputs, *own.kernel, given.channels), 2, signs=True)
    counted = 2 if any(own.before) else 1
    bare = Stream(*own.positions(given), outputs, Range(0, 0))
    stage = MatrixStage(
        name, (), (-1,), given, bare, window=own, weights=weights, outside=int(counted > 1),
        counted=counted,
    )  # fmt: skip
    total = stage.totals[0]
    if scores:
        offsets = np.arange(outputs, dtype=np.int64) * 7 - 20
        result = total + Range(int(offsets.min()), int(offsets.max()))
        return replace(stage, output=replace(bare, range=result), plain=offsets)
    rng = np.random.default_rng(outputs)
    middles = rng.normal(total.high / 2, total.high**0.5, outputs).round().astype(np.int64)
    functions = tuple(
        StepFunction.from_runs(
            total, np.array([0, middle]), np.array([0, 1]) ^ int(rng.integers(2))
        )
        for middle in np.clip(middles, 1, total.high).tolist()
    )
    return replace(
        stage,
        output=replace(bare, range=given.range),
        functions=functions,
        stages=tuple((function.cut,) for function in functions),
    )


def _threshold(name: str, given: Stream) -> MapStage:
    """The sign of each element."""
    half = given.range.high // 2 + 1
    levels = np.arange(given.range.low, given.range.high + 1) >= half
    function = StepFunction.of(given.range, levels.astype(np.int64))
    output = replace(given, range=Range(0, 1))
    return MapStage(name, (), (-1,), given, output, functions=(function,) * given.channels)


def _weights(shape: Sequence[int], bits: int, signs: bool) -> np.ndarray:
    rng, half = np.random.default_rng(sum(shape)), 1 << (bits - 1)
    found = rng.integers(-half, half, tuple(shape), dtype=np.int64)
    return np.where(found < 0, -1, 1) if signs else found


def _matrix(
    name: str,
    given: Stream,
    outputs: int,
    bits: int,
    codes: Range | None,
    window: Window | None = None,
    groups: int = 1,
    signs: bool = False,
) -> MatrixStage:
    own = Window() if window is None else window
    weights = _weights((outputs, *own.kernel, given.channels // groups), bits, signs)
    return _made(name, given, weights, own, codes, groups)


def _average(name: str, given: Stream, codes: Range) -> MatrixStage:
    weights = np.ones((given.channels, given.rows, given.columns, 1), np.int64)
    window = Window((given.rows, given.columns))
    return _made(name, given, weights, window, codes, given.channels)


def _made(
    name: str,
    given: Stream,
    weights: np.ndarray,
    window: Window,
    codes: Range | None,
    groups: int,
) -> MatrixStage:
    bare = Stream(*window.positions(given), len(weights), Range(0, 0))
    stage = MatrixStage(name, (), (-1,), given, bare, window=window, weights=weights, groups=groups)
    totals = stage.totals
    hull = Range(min(r.low for r in totals), max(r.high for r in totals))
    if codes is None:
        offsets = np.arange(len(weights), dtype=np.int64) * 7 - 20
        result = hull + Range(int(offsets.min()), int(offsets.max()))
        return replace(stage, output=replace(bare, range=result), plain=offsets)
    functions = tuple(_staircase(hull, codes, channel) for channel in range(len(weights)))
    return replace(
        stage,
        output=replace(bare, range=codes),
        functions=functions,
        stages=tuple((function.cut,) for function in functions),
    )


def _staircase(inputs: Range, codes: Range, channel: int) -> StepFunction:
    """A requantization, ``(x * factor + offset) >> shift`` saturated, as golden models have it."""
    factor = 64 + (channel * 37) % 64
    spread = 0.4 * (inputs.high - inputs.low) * factor / max(codes.high - codes.low, 1)
    shift = max(int(spread).bit_length(), 1)
    middle = (inputs.low + inputs.high) // 2 + (channel * 11) % 9
    offset = (codes.low + codes.high + 1) // 2 * (1 << shift) - middle * factor
    levels = np.arange(codes.low + 1, codes.high + 1)
    places = -((offset - levels * (1 << shift)) // factor)
    places = np.clip(places, inputs.low + 1, inputs.high)
    starts = np.concatenate([[inputs.low], np.unique(places)])
    reached = codes.low + np.searchsorted(places, starts, side="right")
    return StepFunction.from_runs(inputs, starts, reached.astype(np.int64))


def _pool(name: str, given: Stream, window: Window) -> MaximumStage:
    output = replace(given, **dict(zip(("rows", "columns"), window.positions(given), strict=True)))
    return MaximumStage(name, (), (-1,), given, output, window=window)


def _sum(name: str, given: Stream, factors: tuple[int, int] = (1, 1)) -> SumStage:
    a, b = (Range(factor, factor) for factor in factors)
    functions = (_curve(given.range * a + given.range * b, given.range),) * given.channels
    return SumStage(name, (), (-1, -1), given, given, factors=factors, functions=functions)


def _product(name: str, given: Stream, zeros: tuple[int, int]) -> ProductStage:
    total = given.range.plus(-zeros[0]) * given.range.plus(-zeros[1])
    functions = (_curve(total, given.range),) * given.channels
    return ProductStage(name, (), (-1, -1), given, given, zeros=zeros, functions=functions)


def _map(name: str, given: Stream) -> MapStage:
    values = np.arange(given.range.low, given.range.high + 1)
    curve = np.round(given.range.high * np.sin(values / given.range.high * np.pi / 2))
    function = StepFunction.of(given.range, curve.astype(np.int64))
    return MapStage(name, (), (-1,), given, given, functions=(function,) * given.channels)


def _curve(inputs: Range, codes: Range) -> StepFunction:
    return _staircase(inputs, codes, 0)
