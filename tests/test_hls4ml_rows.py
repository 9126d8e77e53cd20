"""Argmax, probabilities and layer normalization as layers of hls4ml: exact, with integers alone."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folded_programs import matrix
from hls4ml_networks import needs_hls4ml, simulated
from installed import needs_gxx

from actc.targets.fpga.folded.program import (
    ConcatStage,
    FoldedProgram,
    MapStage,
    RowStage,
    Stream,
    SumStage,
    Window,
)
from actc.targets.fpga.folded.rows import ArgmaxRow, LayerNormRow, Row, SoftmaxRow
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range
from actc.targets.hls4ml.backends import BACKENDS
from actc.targets.hls4ml.evaluate import evaluate
from actc.targets.hls4ml.lower import lower, problems_of
from actc.targets.hls4ml.options import Options
from actc.targets.hls4ml.simulation import compile_bench, run_bench
from actc.targets.hls4ml.worker import PROJECT

Array = np.ndarray[Any, Any]
WIDE = Range(0, 2**16 - 1)
ROUNDED = (11487, 6662)
"""An element among zeros, and the integer next to which 4096 d / sqrt(v + eps) is brought."""


def powers(step: float, count: int, one: int = 1 << 24) -> Array:
    return np.asarray(np.rint(one * np.exp(-step * np.arange(count))), np.int64)


def normal(channels: int, eps: float, seed: int = 0) -> LayerNormRow:
    rng = np.random.default_rng(seed)
    gamma, beta = rng.integers(-300, 300, channels), rng.integers(-(2**20), 2**20, channels)
    return LayerNormRow(gamma, beta, eps)


def stage(
    row: Row,
    input: Stream,
    name: str = "row",
    functions: tuple[StepFunction, ...] = (),
    source: int = -1,
) -> RowStage:
    found = row.ranges(input.channels)
    ranges = [Range(int(f.levels.min()), int(f.levels.max())) for f in functions] or found
    whole = Range(min(r.low for r in ranges), max(r.high for r in ranges))
    output = Stream(input.rows, input.columns, len(found), whole)
    return RowStage(name, (name,), (source,), input, output, row=row, functions=functions)


def alone(row: Row, channels: int, range: Range) -> FoldedProgram:
    input = Stream(1, 1, channels, range)
    return FoldedProgram((input,), (stage(row, input),), (0,))


def assert_same(program: FoldedProgram, given: Array) -> None:
    """Layers compute what the program does, within the ranges."""
    network = lower(program, "net", "stream")
    found = evaluate(network, given)
    expected = program.evaluate([given.reshape(len(given), *program.entries[0].shape)])[0]
    np.testing.assert_array_equal(found.ravel(), expected.ravel())
    assert network.output.result.low <= found.min()
    assert found.max() <= network.output.result.high


def everything(channels: int, range: Range) -> Array:
    codes = np.arange(range.low, range.high + 1)
    return np.array(list(itertools.product(codes, repeat=channels)))


@pytest.mark.parametrize(
    "row",
    [
        ArgmaxRow(),
        *(SoftmaxRow(powers(step, 16), bits) for step in (0.01, 0.7) for bits in (9, 16)),
        *(normal(3, eps) for eps in (2.0**-20, 0.3, 9.0, 1e6)),
    ],
)
def test_all_inputs_of_small_rows(row: Row) -> None:
    for channels, range in ((1, Range(0, 15)), (3, Range(0, 15)), (3, Range(-8, 7))):
        if isinstance(row, LayerNormRow) and channels != len(row.gamma):
            continue
        assert_same(alone(row, channels, range), everything(channels, range))


def test_ties_take_the_first() -> None:
    program = alone(ArgmaxRow(), 4, WIDE)
    found = program.evaluate([np.array([[[[3, 9, 9, 1]]], [[[0, 0, 0, 0]]]])])[0].ravel()
    assert found.tolist() == [1, 0]


def test_one_saturates_and_shares_are_rounded_half_up() -> None:
    row = SoftmaxRow(np.array([3, 1]), 9)
    found = row.evaluate(np.array([[1], [0]]))
    assert found.tolist() == [[511], [511]]
    # 3/4 and 1/4 of 512, and shares of 2/3, 1/6, 1/6: 341.3, 85.3
    assert row.evaluate(np.array([[1, 0]])).tolist() == [[384, 128]]
    # 512 / 1024 is half of a unit
    half = SoftmaxRow(np.array([1023, 1]), 9)
    assert half.evaluate(np.array([[1, 0]])).tolist() == [[511, 1]]


def odd_one(channels: int, base: Array, own: Array) -> Array:
    """Rows of equal elements but for the first."""
    rows = np.repeat(np.asarray(base)[:, None], channels, axis=1)
    rows[:, 0] = own
    return rows


def test_layer_norm_rounds_as_float64_does() -> None:
    """Where one element differs from k^2 equal ones, |d| / sqrt(v) is close to k."""
    rng = np.random.default_rng(0)
    for count in range(90):
        channels = int(rng.integers(1, 9)) ** 2 + 1
        unit = 2.0 ** int(rng.integers(-24, 0))
        eps = (
            float(2.0 ** rng.uniform(-24, 6)),
            int(rng.integers(1, 8)) * unit,
            int(rng.integers(1, 1024)) * 2.0**-20 + 2.0**-21 + 2.0**-60,
        )[count % 3]
        given = odd_one(channels, *rng.integers(0, 2**16, (2, 200)))
        assert_same(alone(normal(channels, eps), channels, WIDE), given)


def test_quotients_next_to_an_integer() -> None:
    rng = np.random.default_rng(1)
    for _ in range(400):
        d, k = int(rng.integers(1, 2**16)), int(rng.integers(1, 4096))
        eps = ((4096 * d / k) ** 2 - d * d) * (1 + 2.0**-52 * int(rng.integers(-2, 3)))
        assert_same(alone(normal(2, eps), 2, WIDE), np.array([[0, d], [d, 0]]))


def test_sums_half_way_between_two_numbers() -> None:
    for d in range(2**15, 2**16, 397):
        length = (d * d).bit_length()
        for more in (0.0, 2.0**-40):
            eps = 2.0 ** (length - 54) * (1 + more)
            assert_same(alone(normal(2, eps), 2, WIDE), np.array([[0, d], [d, 0]]))


def test_what_float64_cannot_do_is_refused() -> None:
    for row, range, reason in (
        (normal(3, 0.0), WIDE, "divides by zero"),
        (normal(2000, 1.0), WIDE, "squares"),
        (normal(3, 2.0**53), WIDE, "squares"),
        (SoftmaxRow(powers(1e-9, 2**16, 1 << 30), 16), WIDE, "31 bits"),
    ):
        (problem,) = problems_of(alone(row, 2000 if "quares" in reason else 3, range))
        assert problem.code == "ACT0430"
        assert reason in problem.message


def test_what_is_padded_behind_a_row() -> None:
    """Streams are carried so that padding is zero; rows give what they compute."""
    input = Stream(3, 4, 3, Range(0, 15))
    row = stage(SoftmaxRow(powers(0.2, 16), 9), input)
    window = Window((3, 3), before=(1, 1), after=(1, 1))
    conv = matrix("conv", row.output, 2, window=window, source=0, outside=7)
    program = FoldedProgram((input,), (row, conv), (1,))
    assert_same(program, np.random.default_rng(0).integers(0, 16, (20, *input.shape)))


# --- the C++


def joined(rows: int) -> tuple[FoldedProgram, Array]:
    """All rows of one map, side by side, and samples whose quotients are next to integers."""
    d, k = ROUNDED
    eps = (16384 * d / k) ** 2 - 4.0 * d * d
    input = Stream(rows, 2 if rows > 1 else 1, 5, WIDE)
    norm = normal(5, eps)
    functions = tuple(
        StepFunction.from_runs(r, np.linspace(r.low, r.high, 200).astype(np.int64), levels)
        for r, levels in zip(
            norm.ranges(5), np.random.default_rng(3).integers(0, 256, (5, 200)), strict=True
        )
    )
    codes = stage(norm, input, "codes", functions)
    stages = (
        codes,
        stage(norm, input, "norm"),
        stage(SoftmaxRow(powers(0.03, 256), 16), codes.output, "shares", source=0),
        stage(ArgmaxRow(), input, "largest"),
    )
    whole = Range(min(s.output.range.low for s in stages), max(s.output.range.high for s in stages))
    channels = sum(s.output.channels for s in stages)
    output = Stream(input.rows, input.columns, channels, whole)
    every = tuple(s.output for s in stages)
    concat = ConcatStage("all", ("all",), (0, 1, 2, 3), every[0], output, every)
    rng = np.random.default_rng(2)
    given = rng.integers(0, 2**16, (64, input.positions, 5))
    given[8:16] = np.sort(given[8:16] // 2**13)
    given[16] = given[17, ..., :1]
    given[20:40] = odd_one(5, *rng.integers(0, 2**16, (2, 20)))[:, None]
    given[40:44] = np.array([0, 0, 0, 0, d])
    given[44:48] = np.array([d, d, d, d, 0])
    program = FoldedProgram((input,), (*stages, concat), (4,))
    return program, given.reshape(64, *input.shape)


def test_rows_of_one_map() -> None:
    for rows in (1, 3):
        assert_same(*joined(rows))


@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize(
    ("backend", "io", "rows"), [("Vitis", "stream", 3), ("Catapult", "parallel", 1)]
)
def test_cpp_of_rows(backend: str, io: str, rows: int, tmp_path: Path) -> None:
    compare_rows(backend, io, rows, tmp_path)


@pytest.mark.slow
@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize("io", ["parallel", "stream"])
@pytest.mark.parametrize("backend", ["Vivado", "Vitis", "Quartus", "Catapult", "oneAPI"])
def test_cpp_of_rows_of_all_backends(backend: str, io: str, tmp_path: Path) -> None:
    compare_rows(backend, io, 3 if io == "stream" else 1, tmp_path)


def compare_rows(backend: str, io: str, rows: int, folder: Path) -> None:
    program, given = joined(rows)
    options = Options(backend, io)
    network = lower(program, "net", io, own=BACKENDS[backend].own)
    found = simulated(network, options, given, folder)
    np.testing.assert_array_equal(found, evaluate(network, given))


@needs_gxx
@needs_hls4ml
def test_a_wrong_rounding_is_found(tmp_path: Path) -> None:
    program, given = joined(1)
    options = Options("Vitis", "parallel")
    network = lower(program, "net", "parallel")
    expected = evaluate(network, given)
    np.testing.assert_array_equal(simulated(network, options, given, tmp_path), expected)
    header = tmp_path / PROJECT / "firmware/nnet_utils/actc_layer_norm.h"
    text = header.read_text("utf-8")
    line = "root - rest <= slack ? 1 : 0"
    assert line in text
    header.write_text(text.replace(line, "0"), "utf-8")
    compile_bench(network, options, tmp_path / PROJECT, tmp_path / "bench")
    found = run_bench(network, tmp_path / PROJECT, tmp_path / "bench", given, tmp_path)
    places = set(np.argwhere(found != expected)[:, -1].tolist())
    assert places & {5, 6, 7, 8, 9}  # the normalization without a function behind it


@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize("backend", ["Vitis", "oneAPI"])
def test_images_that_are_read_as_vectors(backend: str, tmp_path: Path) -> None:
    """Streams bring them position by position: all layers but products take words of a vector."""
    image, vector = Stream(2, 2, 3, Range(0, 7)), Stream(1, 1, 12, Range(0, 7))
    move = StepFunction.of(image.range, np.arange(7, -1, -1))
    square = StepFunction.of(image.range, (np.arange(8) ** 2) // 7)
    total = StepFunction.of(Range(0, 14), np.arange(15) // 2)
    stages = (
        MapStage("image", ("image",), (-1,), image, image, functions=(move,) * 3),
        MapStage("map", ("map",), (0,), vector, vector, functions=(move, square) * 6),
        SumStage("sum", ("sum",), (0, 1), vector, vector, functions=(total,) * 12),
        stage(ArgmaxRow(), vector, "row", source=2),
    )
    program = FoldedProgram((image,), stages, (3,))
    network = lower(program, "net", "stream", own=BACKENDS[backend].own)
    given = np.random.default_rng(3).integers(0, 8, (40, 2, 2, 3))
    found = simulated(network, Options(backend, "stream"), given, tmp_path)
    np.testing.assert_array_equal(found.ravel(), program.evaluate([given])[0].ravel())
    np.testing.assert_array_equal(found, evaluate(network, given))
