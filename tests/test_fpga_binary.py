"""Binary layers of FPGA targets: popcounts, stages that count, networks folded and unrolled."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from binary_networks import KINDS, golden_of, random_network
from folded_programs import chain, matrix, maximum, samples, spread
from installed import needs_iverilog

from actc.ir import spec
from actc.targets.fpga.adders import AdderOptions, linear
from actc.targets.fpga.folded.folding import foldings, input_word
from actc.targets.fpga.folded.hardware.core import folded_design
from actc.targets.fpga.folded.hardware.functions import stage_function
from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.lower.narrow import counting
from actc.targets.fpga.folded.network import FoldedNetwork, build_folded
from actc.targets.fpga.folded.program import (
    FoldedProgram,
    MatrixStage,
    MaximumStage,
    Stream,
    Window,
)
from actc.targets.fpga.folded.simulation import simulate_folded
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Graph, Module, Output, Range, evaluate
from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.network import NetworkOptions, build_network
from actc.targets.fpga.pipeline import find_timing
from actc.targets.fpga.popcount import Pair, agreements, popcount

BITS = Range(0, 1)
SAME = Window((3, 3), before=(1, 1), after=(1, 1))
OPTIONS = {
    "ecp5": HardwareOptions("ecp5", find_timing("ecp5-6"), 80.0),
    "ice40": HardwareOptions("ice40", find_timing("ice40-up"), 24.0),
}


# -- popcounts -----------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["ecp5", "ice40"])
@pytest.mark.parametrize("count", [*range(1, 20), 31, 32, 63, 64, 100])
def test_pairs_that_agree_are_counted(family: str, count: int) -> None:
    rng = np.random.default_rng(count)
    graph = Graph()
    first = [graph.input(f"a{n}", BITS) for n in range(count)]
    second = [graph.input(f"b{n}", BITS) for n in range(count)]
    total = agreements([Pair(*pair) for pair in zip(first, second, strict=True)], family)
    assert total.range == Range(0, count)
    module = Module("m", (*first, *second), (Output("y", total, total.width),))
    given = rng.integers(0, 2, (2 * count, 200))
    given[:count, 0] = given[count:, 0]
    given[:count, 1] = 1 - given[count:, 1]
    feeds = {wire.operator.name: bits for wire, bits in zip(module.inputs, given, strict=True)}  # type: ignore[attr-defined]
    found = evaluate(module, feeds)["y"]
    assert np.array_equal(found, (given[:count] == given[count:]).sum(axis=0))


def test_ones_are_counted_and_constants_take_nothing() -> None:
    graph = Graph()
    wires = [graph.input(f"a{n}", BITS) for n in range(9)]
    total = popcount(wires, "ecp5")
    module = Module("m", tuple(wires), (Output("y", total, total.width),))
    given = {f"a{n}": np.array([0, 1, n % 2]) for n in range(9)}
    assert evaluate(module, given)["y"].tolist() == [0, 9, 4]
    ones = [Pair(graph.constant(1), graph.constant(bit)) for bit in (0, 1, 1, 0, 1, 1, 1)]
    assert agreements(ones, "ecp5").value == 5


# -- stages --------------------------------------------------------------------------------


def signs(stage: MatrixStage, seed: int = 1) -> MatrixStage:
    """The stage with weights of -1 and 1; plain."""
    weights = np.random.default_rng(seed).choice([-1, 1], stage.weights.shape)
    return _ranged(replace(stage, weights=weights.astype(np.int64)))


def _ranged(stage: MatrixStage) -> MatrixStage:
    assert stage.plain is not None
    hull = functools.reduce(Range.hull, stage.totals) * Range(stage.factor, stage.factor)
    offsets = Range(int(stage.plain.min()), int(stage.plain.max()))
    return replace(stage, output=replace(stage.output, range=hull + offsets))


def thresholds(stage: MatrixStage, *, falling: bool) -> MatrixStage:
    """A plain stage with one threshold per channel, and one bit behind it."""
    rng = np.random.default_rng(3)
    made = []
    for number, total in enumerate(stage.totals):
        at = int(rng.integers(total.low + 1, total.high + 1))
        levels = np.array([1, 0] if falling and number % 2 else [0, 1])
        made.append(StepFunction(total, np.array([total.low, at]), levels))
    output = replace(stage.output, range=BITS)
    return replace(stage, plain=None, functions=tuple(made), output=output)


STAGES = {
    "dense": signs(matrix("dense", Stream(1, 1, 18, BITS), 6)),
    "convolution": signs(matrix("conv", Stream(5, 4, 6, BITS), 4, window=SAME, outside=1)),
    "grouped": signs(matrix("conv", Stream(5, 4, 4, BITS), 4, window=SAME, groups=2, outside=0)),
    "depthwise": signs(matrix("conv", Stream(5, 4, 4, BITS), 4, window=SAME, groups=4, outside=0)),
}


@pytest.mark.parametrize("name", STAGES)
def test_counts_and_sums_are_the_same(name: str) -> None:
    for stage in (STAGES[name], thresholds(STAGES[name], falling=True)):
        counted = counting(stage, lambda function: function)
        assert isinstance(counted, MatrixStage)
        assert counted.counted == 1
        given = samples(chain(stage), 5)
        wanted = chain(stage).evaluate([given])[0]
        assert np.array_equal(chain(counted).evaluate([given])[0], wanted)


def test_only_signs_of_bits_are_counted() -> None:
    stage = STAGES["convolution"]
    zero = replace(stage, weights=np.where(np.arange(6) == 2, 0, stage.weights))
    wide = replace(stage, input=replace(stage.input, range=Range(0, 2)))
    outside = replace(stage, outside=2)
    for other in (zero, wide, outside):
        assert counting(other, lambda function: function) is other


@needs_iverilog
@pytest.mark.parametrize("family", OPTIONS)
@pytest.mark.parametrize(
    ("name", "between"),
    [*((name, False) for name in STAGES), *((name, True) for name in STAGES if name != "dense")],
)
def test_stages_that_count_equal_their_program(name: str, between: bool, family: str) -> None:
    """`between`: what stands in the padding is between both values."""
    stage = counting(STAGES[name], lambda function: function)
    assert isinstance(stage, MatrixStage)
    if between:
        stage = _ranged(replace(stage, counted=2, outside=1))
    program = chain(stage)
    given = samples(program, 3)
    chosen = [f for f in foldings(stage) if f.multiplier == "logic"]
    for number, folding in enumerate(spread(chosen, 4)):
        word = input_word(stage, folding)
        design = folded_design(program, [folding], "core", OPTIONS[family], word)
        found = simulate_folded(design, given, simulator="icarus", pauses=number % 2 == 1)
        assert np.array_equal(found.outputs, program.evaluate([given])[0]), folding


def operators(program: FoldedProgram, family: str) -> list[op.Operator]:
    function = stage_function(program, program.stages[0], family)
    assert function is not None
    return [wire.operator for wire in function.module.wires()]


@pytest.mark.parametrize("family", OPTIONS)
def test_a_threshold_is_one_comparison(family: str) -> None:
    for falling in (False, True):
        stage = counting(thresholds(STAGES["dense"], falling=falling), lambda function: function)
        found = operators(chain(stage), family)
        assert sum(isinstance(own, op.Compare) for own in found) == 1
        assert not any(isinstance(own, (op.Add, op.Subtract, op.Multiply)) for own in found)


@needs_iverilog
def test_the_maximum_of_bits_is_a_bit() -> None:
    stage = maximum("pool", Stream(4, 6, 4, BITS), Window((2, 2), (2, 2)))
    program = chain(stage)
    given = samples(program, 3)
    for folding in spread(list(foldings(stage)), 3):
        word = input_word(stage, folding)
        design = folded_design(program, [folding], "core", OPTIONS["ice40"], word)
        found = simulate_folded(design, given, simulator="icarus")
        assert np.array_equal(found.outputs, program.evaluate([given])[0])


# -- networks ------------------------------------------------------------------------------


def folded(golden: onnx.ModelProto) -> FoldedNetwork:
    return build_folded(ir.from_proto(golden), "core")


def networks(kind: str, seeds: range) -> Iterator[tuple[onnx.ModelProto, dict[str, np.ndarray]]]:
    for seed in seeds:
        model, feeds = random_network(np.random.default_rng(seed), kind)
        yield golden_of(model, feeds), feeds


@needs_iverilog
@pytest.mark.parametrize("kind", KINDS)
def test_random_networks_equal_golden_folded(kind: str) -> None:
    rng = np.random.default_rng(7)
    counted = 0
    for number, (golden, feeds) in enumerate(networks(kind, range(4))):
        network = folded(golden)
        wanted = spec.run(golden, feeds)
        assert network.agrees(network.run(feeds), wanted).all()
        program = network.program
        for stage in program.stages:
            if isinstance(stage, MatrixStage) and set(np.unique(stage.weights)) <= {-1, 1}:
                counted += stage.counted > 0
        chosen = []
        for stage in program.stages:
            every = [f for f in foldings(stage) if f.multiplier == "logic"]
            chosen.append(every[int(rng.integers(len(every)))])
        given = network.prologue(feeds)[0][:6]
        family = list(OPTIONS)[number % 2]
        design = folded_design(program, chosen, "core", OPTIONS[family], 1)
        found = simulate_folded(design, given, simulator="icarus", pauses=number % 2 == 0)
        assert np.array_equal(found.outputs, program.evaluate([given])[0]), chosen
    assert counted >= 4


@pytest.mark.parametrize("kind", KINDS)
def test_random_networks_equal_golden_unrolled(kind: str) -> None:
    options = NetworkOptions(end="scores", adders=AdderOptions(effort=0))
    for golden, feeds in networks(kind, range(10, 13)):
        found = build_network(ir.from_proto(golden), "core", options)
        assert found.agrees(found.run(feeds), spec.run(golden, feeds)).all()


def test_binary_layers_of_networks_are_counted_and_pooled_as_bits() -> None:
    """All layers behind the first sign, also where zeros are padded."""
    found = {"counted": 0, "between": 0, "pooled": 0}
    for golden, _ in networks("conv", range(20, 32)):
        for stage in folded(golden).program.stages:
            if isinstance(stage, MatrixStage):
                signs_only = set(np.unique(stage.weights)) <= {-1, 1}
                if signs_only and stage.input.range == BITS:
                    assert stage.counted
                found["counted"] += stage.counted > 0
                found["between"] += stage.counted == 2
            elif isinstance(stage, MaximumStage):
                found["pooled"] += stage.input.range == BITS
    assert all(found.values()), found


@pytest.mark.parametrize("family", OPTIONS)
def test_signs_of_bits_are_counted_in_unrolled_layers(family: str) -> None:
    rng = np.random.default_rng(5)
    matrix = rng.choice([-1, 1], (9, 23))
    graph = Graph()
    wires = [graph.input(f"a{n}", BITS) for n in range(23)]
    constants = rng.integers(-9, 9, 9)
    found = linear(matrix, wires, constants, AdderOptions(family=family))
    assert not any(isinstance(wire.operator, op.Subtract) for wire in graph.wires)
    outputs = tuple(Output(f"y{n}", wire, wire.width) for n, wire in enumerate(found))
    given = rng.integers(0, 2, (23, 100))
    feeds = {f"a{n}": bits for n, bits in enumerate(given)}
    values = evaluate(Module("m", tuple(wires), outputs), feeds)
    wanted = matrix @ given + constants[:, None]
    for number, wire in enumerate(found):
        assert np.array_equal(values[f"y{number}"], wanted[number])
        low = int(constants[number]) - int(np.count_nonzero(matrix[number] < 0))
        assert wire.range == Range(low, low + 23)
