"""What stages compute, against loops over elements; samples in parts, and how many there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from folded_lowering import check
from network_operators import CONVOLUTIONS, random_feeds

from actc.ir import spec
from actc.targets.fpga.folded import program as programs
from actc.targets.fpga.folded.evaluation import evaluate_stage
from actc.targets.fpga.folded.program import (
    ConcatStage,
    FoldedProgram,
    MatrixStage,
    RepeatStage,
    Stream,
    Window,
)
from actc.targets.fpga.folded.samples import samples_of, work_of
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range

Array = np.ndarray[Any, Any]


def random_matrix(rng: np.random.Generator, limit: int, codes: Range) -> MatrixStage:
    """A convolution in groups, padded and dilated."""
    groups, group, outputs = (int(rng.integers(1, 4)) for _ in range(3))
    kernel, strides, dilations, before, after = (
        (int(rng.integers(low, high)), int(rng.integers(low, high)))
        for low, high in ((1, 4), (1, 3), (1, 3), (0, 3), (0, 2))
    )
    window = Window(kernel, strides, dilations, before, after)
    input = Stream(6, 7, groups * group, codes)
    weights = rng.integers(-limit, limit + 1, (groups * outputs, *kernel, group))
    output = Stream(*window.positions(input), groups * outputs, Range(0, 0))
    return MatrixStage(
        "m", (), (-1,), input, output, window, weights, groups, codes.clamp(3),
        plain=rng.integers(-9, 10, groups * outputs),
    )  # fmt: skip


def by_loops(stage: MatrixStage, x: Array) -> Array:
    """One product after the other, in Python's integers."""
    rows, columns, outputs = stage.output.shape
    window, share = stage.window, outputs // stage.groups
    group = stage.input.channels // stage.groups
    assert stage.plain is not None
    found = np.zeros((len(x), rows, columns, outputs), object)
    for place in np.ndindex(found.shape):
        sample, *at, output = place
        total = int(stage.plain[output])
        for *tap, channel in np.ndindex(*window.kernel, group):
            spots = [
                at[k] * window.strides[k] + tap[k] * window.dilations[k] - window.before[k]
                for k in (0, 1)
            ]
            own = output // share * group + channel
            inside = 0 <= spots[0] < stage.input.rows and 0 <= spots[1] < stage.input.columns
            value = int(x[sample, spots[0], spots[1], own]) if inside else stage.outside
            total += int(stage.weights[output, tap[0], tap[1], channel]) * value
        found[place] = total
    return found


@pytest.mark.parametrize("limit", [7, 1 << 40])
@pytest.mark.parametrize("seed", range(12))
def test_products(seed: int, limit: int) -> None:
    """Also with sums that float64 does not hold."""
    rng = np.random.default_rng(seed)
    codes = Range(-8, 7) if limit == 7 else Range(-(1 << 15), (1 << 15) - 1)
    stage = random_matrix(rng, limit, codes)
    x = rng.integers(codes.low, codes.high + 1, (2, *stage.input.shape))
    np.testing.assert_array_equal(evaluate_stage(stage, [x]), by_loops(stage, x))


def test_joined_and_repeated() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 9, (3, 2, 3, channels)) for channels in (1, 2))
    streams = [Stream(2, 3, channels, Range(0, 8)) for channels in (1, 2, 3)]
    join = ConcatStage("c", (), (-1, -2), streams[0], streams[2], tuple(streams[:2]))
    joined = evaluate_stage(join, [a, b])
    large = Stream(4, 9, 3, Range(0, 16))
    double = StepFunction.of(Range(0, 8), 2 * np.arange(9))
    repeat = RepeatStage("r", (), (0,), streams[2], large, (2, 3), (double,) * 3)
    program = FoldedProgram((streams[0], streams[1]), (join, repeat), (1, 0))
    enlarged, left = program.evaluate([a, b])
    np.testing.assert_array_equal(left, joined)
    for place in np.ndindex(enlarged.shape):
        sample, row, column, channel = place
        source = a if channel == 0 else b
        assert enlarged[place] == 2 * source[sample, row // 2, column // 3, max(channel - 1, 0)]


def test_samples_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of few samples give what all together do."""
    folded = check(CONVOLUTIONS["2d"]())
    rng = np.random.default_rng(1)
    stream = folded.program.entries[0]
    x = rng.integers(stream.range.low, stream.range.high + 1, (11, *stream.shape))
    whole = folded.program.evaluate([x])
    monkeypatch.setattr(
        programs, "_ELEMENTS", 3 * sum(s.output.size for s in folded.program.stages)
    )
    for found, wanted in zip(folded.program.evaluate([x]), whole, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert folded.program.evaluate([x[:0]])[0].shape == (0, *whole[0].shape[1:])


@pytest.mark.parametrize(("each", "data", "random"), [(1000, 8, 6), (7, 4, 3), (0, 1, 3)])
def test_samples_within_work(each: int, data: int, random: int) -> None:
    """Of large networks fewer, but never none; what is said is what there is."""
    model = CONVOLUTIONS["2d"]()
    folded = check(model)
    feeds = {name: array[:8] for name, array in random_feeds(model).items()}
    outputs = spec.run(ir.to_proto(model), feeds)
    work = each * work_of(folded.program)
    found = samples_of(folded, model, feeds, outputs, most=10, random=6, work=work)
    assert found.count == data + random
    assert found.kind.startswith(f"{data} sample")
    assert found.kind.endswith(f"and {random} random ones")
