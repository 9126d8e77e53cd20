"""Golden models as folded programs: values that several stages read, and sums of branches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
import pytest
from folded_lowering import check, kinds
from golden_models import Golden
from network_operators import codes, matmul, out, out_sum, sums

from actc.targets.fpga.folded.program import (
    MapStage,
    MatrixStage,
    MaximumStage,
    ProductStage,
    Stage,
    SumStage,
)


def residual(first: str = "x") -> ir.Model:
    """Two convolutions around which their input goes, or what they begin with."""
    g = Golden(31)
    x = codes(g, 3, 4, 5)
    pads = [1, 1, 1, 1]
    start = g.conv(x, 3, 3, (1, 1), zero=7) if first == "conv" else x
    a = sums(g, g.conv(start, 3, 3, (3, 3), pads=pads, zero=7, finish="accumulator"), 4000)
    b = sums(g, g.conv(a, 3, 3, (3, 3), pads=pads, zero=7, finish="accumulator"), 4000)
    numbers = (np.int32(7001), np.int32(9003), np.int32(-70_000))
    added = g.actc("IntAdd", b, start, *map(g.const, numbers))
    y = g.channel_table(sums(g, added, 200_000), 3, 2)
    mean = g.actc("IntReduceSum", y, g.const(np.uint8(3)), g.const(np.array([2, 3])), keepdims=0)
    return out_sum(g, matmul(g, sums(g, mean, 5000), 3, 4))


@pytest.mark.parametrize("first", ["x", "conv"])
def test_residual_blocks(first: str) -> None:
    folded = check(residual(first))
    wanted: list[type[Stage]] = [MatrixStage, MatrixStage, SumStage, MatrixStage, MatrixStage]
    assert kinds(folded) == [MatrixStage][: first == "conv"] + wanted
    (total,) = (stage for stage in folded.program.stages if isinstance(stage, SumStage))
    # two codes of 4 bits, rounded to 4: small factors round alike
    assert max(map(abs, total.factors)) < 128 or first == "conv"
    source = -1 if first == "x" else 0
    assert sorted(folded.program.readers(source)) == [int(first == "conv"), 2 + (first == "conv")]


def gated(itself: bool) -> ir.Model:
    g = Golden(32)
    x = g.conv(codes(g, 2, 4, 4), 2, 4, (3, 3), zero=7, finish="requantize")
    gate = g.table(x)
    if not itself:
        gate = g.conv(gate, 4, 4, (1, 1))
    zeros = (np.uint8(120), np.uint8(99))
    acc = g.actc("IntMul", x, gate, *map(g.const, zeros))
    return out(g, g.table(g.requantize(acc, 5000.0)))


def test_gates() -> None:
    folded = check(gated(itself=False))
    assert kinds(folded) == [MatrixStage, MapStage, MatrixStage, ProductStage]
    # x * f(x) is a function of x
    assert kinds(check(gated(itself=True))) == [MatrixStage]


def excited(extents: tuple[int, ...], *, first: bool = True) -> ir.Model:
    """Channels weighed by what a small network makes of their means."""
    g = Golden(50)
    x = g.conv(codes(g, 2, *extents), 2, 4, [1] * len(extents), zero=7)
    axes = g.const(np.arange(2, 2 + len(extents)))
    mean = g.actc("IntReduceSum", x, g.const(np.uint8(117)), axes, keepdims=0)
    gate = g.requantize(matmul(g, g.requantize(mean, 300.0), 4, 4), 3000.0)
    gate = g.node("Reshape", g.table(gate), g.const(np.array([-1, 4, *[1] * len(extents)])))
    acc = g.actc(
        "IntMul", *((x, gate) if first else (gate, x)), *map(g.const, np.array([120, 99], np.uint8))
    )
    return out(g, g.requantize(acc, 5000.0))


@pytest.mark.parametrize(
    ("extents", "count"), [((3, 4), 2), ((4, 1), 1), ((1, 5), 1), ((5,), 1), ((1, 1), 0)]
)
def test_vectors_are_repeated_for_maps(extents: tuple[int, ...], count: int) -> None:
    folded = check(excited(extents, first=count != 2))
    wanted: list[type[Stage]] = [MatrixStage, MatrixStage, MatrixStage]
    assert kinds(folded) == wanted + [MaximumStage] * count + [ProductStage]
    assert check(excited(extents)).program.stages[-1].sources == (0, 2 + count)


def test_a_tensor_added_to_itself_is_a_function() -> None:
    g = Golden(33)
    x = g.conv(codes(g, 2, 3), 2, 3, (2,), zero=7)
    numbers = (np.int32(7001), np.int32(9003), np.int32(-70_000))
    model = out(g, sums(g, g.actc("IntAdd", x, x, *map(g.const, numbers)), 3_000_000))
    assert kinds(check(model)) == [MatrixStage]


def readers(*paths: Sequence[str]) -> ir.Model:
    """A product behind whose accumulator go several functions, each with a convolution."""
    g = Golden(34)
    acc = g.conv(codes(g, 2, 4, 3), 2, 3, (1, 1), zero=7, finish="accumulator")
    known: dict[tuple[str, ...], str] = {(): acc}
    ends = []
    for path in paths:
        for length in range(1, len(path) + 1):
            inner = known[tuple(path[: length - 1])]
            if tuple(path[:length]) not in known:
                made = g.requantize(inner, 8000.0, (1, 3, 1, 1)) if length == 1 else g.table(inner)
                known[tuple(path[:length])] = made
        ends.append(g.conv(known[tuple(path)], 3, 2, (1, 1), finish="requantize"))
    total = ends[0]
    for end in ends[1:]:
        total = g.add(total, end)
    return out(g, total)


def test_functions_are_shared_by_readers() -> None:
    folded = check(readers(["q"], ["q", "f"], ["q", "g"]))
    first, *rest = folded.program.stages
    assert [name.partition("_")[0] for name in first.nodes] == ["IntConv", "Requantize"]
    maps = [stage for stage in rest if isinstance(stage, MapStage)]
    assert [len({id(f) for f in stage.functions}) for stage in maps] == [1, 1]
    assert [stage.sources for stage in maps] == [(0,), (0,)]
    assert len(folded.program.readers(0)) == 3
    together = check(readers(["q", "f"], ["q", "f"]))
    assert MapStage not in kinds(together)
    assert len(together.program.stages[0].nodes) == 3


def test_accumulators_that_are_read_twice_leave_as_they_are() -> None:
    folded = check(readers(["q"], ["r"]))
    first = folded.program.stages[0]
    assert isinstance(first, MatrixStage)
    assert first.plain is not None
    assert kinds(folded)[:3] == [MatrixStage, MapStage, MapStage]


def sums_read_twice() -> ir.Model:
    g = Golden(35)
    a = codes(g, 4)
    numbers = (np.int32(70_001), np.int32(-90_003), np.int32(5))
    b = sums(g, matmul(g, a, 4, 4), 200)
    acc = g.actc("IntAdd", a, b, *map(g.const, numbers))
    left, right = (matmul(g, sums(g, acc, spread), 4, 3) for spread in (900_000, 2_000_000))
    return out(g, g.add(g.requantize(left, 200.0), g.requantize(right, 200.0)))


def test_sums_that_are_rounded_twice_are_two_stages() -> None:
    folded = check(sums_read_twice())
    added = [stage for stage in folded.program.stages if isinstance(stage, SumStage)]
    assert [stage.sources for stage in added[:2]] == [(0, -1), (0, -1)] or [
        stage.sources for stage in added[:2]
    ] == [(-1, 0), (-1, 0)]
