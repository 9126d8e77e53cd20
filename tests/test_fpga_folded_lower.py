"""Golden models as folded programs: what they compute, what their stages are, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from golden_models import Golden
from models import network, normal
from test_fpga_network import classifier
from test_fpga_network_operators import (
    CONVOLUTIONS,
    MODELS,
    codes,
    conv_model,
    matmul,
    out,
    out_sum,
    random_feeds,
    sums,
)

import actc
from actc.errors import ModelError, UsageError
from actc.ir import spec
from actc.targets.fpga.folded.lower import Order
from actc.targets.fpga.folded.network import FoldedNetwork, build_folded
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
from actc.targets.fpga.functions.stages import in_stages
from actc.targets.fpga.hdl import Range

Array = np.ndarray[Any, Any]


def check(model: ir.Model, seed: int = 0) -> FoldedNetwork:
    """Fold a model, and compare it and its ranges with the specification on random inputs."""
    folded = build_folded(model, "net")
    feeds = random_feeds(model, seed)
    wanted = spec.run(ir.to_proto(model), feeds)
    found = folded.run(feeds)
    assert list(found) == list(wanted)
    assert folded.agrees(found, wanted).all()
    consistent(folded, feeds)
    return folded


def consistent(folded: FoldedNetwork, feeds: dict[str, Array]) -> None:
    """Streams stay in their ranges, functions have the ranges of what they are of."""
    program = folded.program
    every = FoldedProgram(program.entries, program.stages, tuple(range(len(program.stages))))
    values = every.evaluate(folded.prologue(feeds))
    assert [layer.name for layer in folded.layers] == [stage.name for stage in program.stages]
    assert len({stage.name for stage in program.stages}) == len(program.stages)
    for stage, value in zip(program.stages, values, strict=True):
        assert value.shape[1:] == stage.output.shape
        assert stage.output.range.low <= value.min() <= value.max() <= stage.output.range.high
        assert stage.input.range == program.stream(stage.sources[0]).range
        assert stage.input.size == program.stream(stage.sources[0]).size
        functions = getattr(stage, "functions", ())
        assert len(functions) in (0, stage.output.channels)
        assert len({f.key for f in functions}) == len({id(f) for f in functions})
        if isinstance(stage, MatrixStage):
            of_matrix(stage)


def of_matrix(stage: MatrixStage) -> None:
    assert (stage.plain is None) == bool(stage.functions)
    for function, parts, total in zip(stage.functions, stage.stages, stage.totals, strict=False):
        assert function.range == total
        assert in_stages(total, parts).key == function.key  # type: ignore[arg-type]


def kinds(folded: FoldedNetwork) -> list[type[Stage]]:
    return [type(stage) for stage in folded.program.stages]


def refused(model: ir.Model) -> list[tuple[str, str]]:
    """Operators that cannot be folded, and why."""
    with pytest.raises(ModelError) as caught:
        build_folded(model, "net")
    assert {d.code for d in caught.value.diagnostics} == {"ACT0605"}
    return [(d.place.op or "", d.message) for d in caught.value.diagnostics]


@pytest.mark.parametrize("name", [name for name in CONVOLUTIONS if name != "3d"])
def test_convolutions(name: str) -> None:
    folded = check(CONVOLUTIONS[name]())
    assert kinds(folded) == [MatrixStage]


SINGLE: dict[str, list[type[Stage]]] = {
    "IntMatMul": [MatrixStage],
    "IntMatMul of rows": [MatrixStage],
    "WideMatMul": [MatrixStage],
    "Table": [MapStage],
    "ChannelTable": [MapStage],
    "ChannelTable of images": [MapStage],
    "Steps": [MatrixStage],
    "Steps per channel": [MatrixStage],
    "Requantize": [MatrixStage],
    "Requantize per channel": [MatrixStage],
    "Requantize that skips codes": [MatrixStage],
    "Requantize to 11 bits": [MatrixStage],
    "IntAdd of a constant": [MapStage],
    "IntMul by a constant": [MapStage],
    "IntMul by itself": [MapStage],
    "IntReduceSum": [MatrixStage],
    "IntReduceSum, kept axes": [MatrixStage],
    "IntReduceMean": [MatrixStage],
    "ReduceMax": [MaximumStage],
    "MaxPool": [MaximumStage],
    "MaxPool, padded": [MaximumStage],
    "MaxPool with ceil_mode": [MaximumStage],
    "MaxPool behind a monotone function": [MatrixStage, MaximumStage],
    "MaxPool behind a table": [MatrixStage, MaximumStage],
}


@pytest.mark.parametrize("name", SINGLE)
def test_operators(name: str) -> None:
    assert kinds(check(MODELS[name]())) == SINGLE[name]


@pytest.mark.parametrize(
    "end", ["accumulator", "one scale", "finer", "codes", "softmax", "log-softmax"]
)
def test_ends(end: str) -> None:
    folded = check(classifier(end))
    assert kinds(folded) == [MatrixStage, MatrixStage]
    (output,) = folded.interface()["outputs"]
    wanted = {"softmax": "scores", "log-softmax": "log_softmax", "codes": "codes"}
    assert output["kind"] == wanted.get(end, "accumulator")


def quantized_net() -> ir.Model:
    """As quantized networks of few bits come: pictures, a table in front, staircases."""
    g = Golden(30)
    x = g.node("Reshape", codes(g, 1, 5, 4), g.const(np.array([-1, 20])))
    x = g.actc("Table", x, g.const((np.arange(256) > 7).astype(np.uint8) * 2))
    for size in ((20, 8), (8, 8)):
        weight = g.rng.integers(0, 2, size).astype(np.int8) * 2 - 1
        numbers = (weight, np.zeros(8, np.int32), np.uint8(1))
        acc = g.actc("IntMatMul", x, *map(g.const, numbers))
        points = np.sort(g.rng.integers(-4, 5, (8, 256)), axis=1).astype(np.int32)
        points[:, 2:] = points[:, 2:3] + np.arange(254)
        values = np.minimum(np.arange(256), 2).astype(np.uint8)
        offset = (256 * np.arange(8, dtype=np.int32)).reshape(1, 8)
        tables = (points.reshape(-1), np.tile(values, 8), offset)
        x = g.actc("Steps", acc, *map(g.const, tables))
    return out_sum(g, matmul(g, x, 8, 3, zero=1, bits=2))


def test_tables_in_front_are_a_stage() -> None:
    folded = check(quantized_net())
    assert kinds(folded) == [MapStage, MatrixStage, MatrixStage, MatrixStage]
    front = folded.program.stages[0]
    assert isinstance(front, MapStage)
    assert len({id(f) for f in front.functions}) == 1
    assert front.input.shape == (1, 1, 20)  # a matrix product takes any order


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


def test_flattened_maps_are_read_in_any_order() -> None:
    g = Golden(36)
    x = g.conv(codes(g, 2, 4, 3), 2, 3, (2, 2), zero=7)
    flat = g.node("Flatten", g.node("Transpose", x, perm=[0, 2, 1, 3]), axis=1)
    folded = check(out_sum(g, matmul(g, g.table(flat), 18, 4)))
    assert kinds(folded) == [MatrixStage, MatrixStage]
    last = folded.program.stages[1]
    assert last.input.shape == (1, 1, 18)
    assert folded.program.stream(0).shape == (3, 2, 3)


def test_functions_that_differ_by_position_take_a_stage() -> None:
    g = Golden(37)
    x = g.conv(codes(g, 2, 3, 3), 2, 2, (2, 2), zero=7)
    flat = g.node("Flatten", x, axis=1)
    folded = check(out_sum(g, matmul(g, g.channel_table(flat, 8, 0), 8, 2)))
    assert kinds(folded) == [MatrixStage, MapStage, MatrixStage]
    assert folded.program.stages[1].input.shape == (1, 1, 8)


def channels_last() -> ir.Model:
    """Pictures as TensorFlow has them: transposed in front of the first convolution."""
    g = Golden(38)
    x = g.node("Transpose", codes(g, 4, 5, 2), perm=[0, 3, 1, 2])
    x = g.conv(x, 2, 3, (2, 2), zero=7)
    x = g.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = g.node("Transpose", x, perm=[0, 2, 3, 1])
    return out_sum(g, matmul(g, x, 3, 2))


def test_channels_may_come_last() -> None:
    folded = check(channels_last())
    assert kinds(folded) == [MatrixStage, MaximumStage, MatrixStage]
    description = folded.interface()
    assert description["inputs"][0]["order"] == {"shape": [4, 5, 2], "axes": [0, 1, 2]}
    assert description["outputs"][0]["order"]["axes"] == [0, 1, 2]


def test_a_batch_of_one_may_be_flattened_from_its_first_axis_on() -> None:
    g = Golden(46)
    scale, zero = g.const(np.float32(0.5)), g.const(np.uint8(7))
    x = str(g.node("QuantizeLinear", g.input("x", 2, 3, batch=1), scale, zero))
    model = out_sum(g, matmul(g, g.node("Flatten", x, axis=0), 6, 2))
    folded = build_folded(model, "net")
    feeds = {"x": normal(1, 2, 3, scale=3.0)}
    assert folded.agrees(folded.run(feeds), spec.run(ir.to_proto(model), feeds)).all()


def test_sequences() -> None:
    g = Golden(39)
    x = g.conv(codes(g, 3, 9), 3, 4, (3,), stride=2, pads=[1, 1], zero=7)
    x = g.node("MaxPool", x, kernel_shape=[2], strides=[1])
    rows = g.node("Transpose", x, perm=[0, 2, 1])
    y = g.requantize(matmul(g, rows, 4, 3), 400.0)
    axes = g.const(np.array([1]))
    acc = g.actc("IntReduceSum", y, g.const(np.uint8(100)), axes, keepdims=0)
    folded = check(out_sum(g, acc))
    shapes = [stage.output.shape for stage in folded.program.stages]
    assert shapes == [(1, 5, 4), (1, 4, 4), (1, 4, 3), (1, 1, 3)]


@pytest.mark.parametrize("axes", [[1], [2], [3], [2, 3], [1, 2, 3], [1, 3]])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_sums_over_axes(axes: list[int], keepdims: int) -> None:
    g = Golden(40)
    x = g.conv(codes(g, 2, 3, 4), 2, 3, (1, 1), zero=7)
    given = g.const(np.uint8(7)), g.const(np.array(axes))
    acc = g.actc("IntReduceSum", x, *given, keepdims=keepdims)
    folded = check(out_sum(g, acc))
    assert kinds(folded) == [MatrixStage, MatrixStage]
    assert not np.any(folded.program.stages[1].weights > 1)  # type: ignore[attr-defined]


def test_weights_lose_their_common_factor() -> None:
    g = Golden(41)
    weight = 6 * g.rng.integers(-3, 4, (5, 4)).astype(np.int8)
    weight[:, 1], weight[:, 2] = 0, 5
    numbers = (weight, np.array([5, 5, -1, 0], np.int32), np.uint8(7))
    acc = g.actc("IntMatMul", codes(g, 5), *map(g.const, numbers))
    (stage,) = check(out(g, sums(g, acc, 300))).program.stages
    assert isinstance(stage, MatrixStage)
    assert np.abs(stage.weights).max() <= 3
    assert (stage.weights[2] == 1).all()


def signs(zero: int, pads: Sequence[int] = (0, 0, 0, 0), end: str = "codes") -> ir.Model:
    """Two convolutions of codes 4 and 18 and 4, 6, 8, with maxima between them."""
    g = Golden(45)
    x = codes(g, 2, 5, 5)
    table = np.where(np.arange(256) > 6, 18, 4).astype(np.uint8)
    x = g.actc("Table", x, g.const(table))
    acc = g.conv(x, 2, 3, (2, 2), pads=pads, zero=zero, finish="accumulator")
    x = g.requantize(acc, 1000.0, (1, 3, 1, 1))
    three = (4 + 2 * (np.arange(256) // 86)).astype(np.uint8)
    x = g.actc("Table", x, g.const(three))
    x = g.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    if end == "maximum":
        return out(g, x)
    acc = g.conv(x, 3, 2, (2, 2), pads=pads, zero=6, finish="accumulator")
    return out_sum(g, acc) if end == "sum" else out(g, g.requantize(acc, 2000.0))


@pytest.mark.parametrize(
    ("model", "widths"),
    [
        (signs(7), [1, 2, 2]),
        (signs(4), [1, 2, 2]),
        (signs(4, (1, 0, 0, 1)), [1, 2, 2]),
        (signs(7, (1, 0, 0, 1)), [5, 2, 2]),  # what stands in the padding is no code
        (signs(7, end="sum"), [1, 2, 2]),  # its step is a factor of what leaves
        (signs(7, end="maximum"), [1, 4, 4]),
    ],
)
def test_few_values_take_few_bits(model: ir.Model, widths: list[int]) -> None:
    folded = check(model)
    found = [stage.output.range.width for stage in folded.program.stages]
    assert found[:3] == widths


@pytest.mark.parametrize("padded", [False, True])
def test_totals_are_exact(padded: bool) -> None:
    """Both ends of every total are reached, by an input that is found weight by weight."""
    stream = Stream(3, 3, 2, Range(-2, 5))
    window = Window((2, 2), before=(1, 0) if padded else (0, 0))
    rng = np.random.default_rng(3)
    weights = rng.integers(-7, 8, (4, 2, 2, 1))
    output = Stream(3 if padded else 2, 2, 4, Range(0, 0))
    stage = MatrixStage(
        "m", (), (-1,), stream, output, window, weights, groups=2, outside=1,
        plain=np.zeros(4, np.int64),
    )  # fmt: skip
    program = FoldedProgram((stream,), (stage,), (0,))
    ends = [(r.low, r.high) for r in stage.totals]
    for channel, (low, high) in product(range(4), [(-2, 5), (5, -2)]):
        x = np.zeros((1, 3, 3, 2), np.int64)
        kernel = np.where(weights[channel, ..., 0] >= 0, high, low)
        x[0, 1:, 1:, channel // 2] = kernel
        (found,) = program.evaluate([x])
        assert found[0, -1, -1, channel] == ends[channel][int(high == 5)]
    many = program.evaluate([rng.integers(-2, 6, (500, 3, 3, 2))])[0]
    assert all(a <= many[..., c].min() <= many[..., c].max() <= b for c, (a, b) in enumerate(ends))


def test_all_that_cannot_be_folded_is_named() -> None:
    g = Golden(42)
    x = g.conv(codes(g, 2, 4, 4), 2, 2, (1, 1), zero=7)
    both = g.node("Concat", x, x, axis=1)
    numbers = (np.uint8(0), np.float64(1), np.ones(4, np.int32))
    norm = g.actc(
        "IntRmsNorm", x, g.const(numbers[0]), g.const(numbers[2]), g.const(numbers[1]), axis=3
    )
    pooled = g.node("MaxPool", x, kernel_shape=[2, 2], auto_pad="SAME_UPPER")
    mixed = matmul(g, g.node("Transpose", x, perm=[0, 1, 3, 2]), 4, 2)
    outputs = (g.dequantize(both), g.dequantize(sums(g, norm, 2**20)), g.dequantize(pooled))
    found = refused(g.model(*outputs, g.dequantize(mixed, 0.1, np.int32(0))))
    assert sorted(op for op, _ in found) == ["Concat", "IntMatMul", "IntRmsNorm", "MaxPool"]
    assert all("cannot be folded" in text for _, text in found)


REFUSED: dict[str, tuple[Callable[[], ir.Model], str]] = {
    "3d": (CONVOLUTIONS["3d"], "3 axes"),
    "two inputs": (MODELS["WideMul"], "takes one tensor"),
    "repeated along channels": (MODELS["IntAdd that broadcasts"], "channels"),
    "several per element": (MODELS["ChannelTable, several per element"], "several values"),
    "products of tensors": (MODELS["IntBatchMatMul by a constant"], "IntBatchMatMul"),
    "nothing": (MODELS["Squeeze"], "nothing"),
    "several channels": (MODELS["WideMaxPool"], "several channels together"),
    "flags": (MODELS["Where by a comparison"], "Where"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    make, reason = REFUSED[name]
    assert any(reason in text for _, text in refused(make()))


def test_two_outputs_are_refused() -> None:
    g = Golden(43)
    x = codes(g, 4)
    first, second = matmul(g, x, 4, 2), matmul(g, x, 4, 3)
    zero = np.int32(0)
    found = refused(g.model(g.dequantize(first, 0.1, zero), g.dequantize(second, 0.1, zero)))
    ((_, text),) = found
    assert "gives one tensor" in text


def test_orders_that_no_stream_has_are_refused() -> None:
    g = Golden(44)
    x = sums(g, matmul(g, codes(g, 6), 6, 12), 200)
    image = g.node("Reshape", x, g.const(np.array([-1, 3, 2, 2])))
    found = refused(out(g, g.conv(image, 3, 2, (1, 1))))
    ((op, text),) = found
    assert op == "IntConv"
    assert "position by position" in text


def test_hosts_permute_axes_only() -> None:
    g = Golden(47)
    flat = g.node("Flatten", g.conv(codes(g, 2, 3, 3), 2, 2, (2, 2), zero=7), axis=1)
    ((_, text),) = refused(out(g, flat))
    assert "order" in text
    g = Golden(48)
    image = g.node("Reshape", codes(g, 12), g.const(np.array([-1, 3, 2, 2])))
    ((op, _),) = refused(out(g, g.conv(image, 3, 2, (1, 1))))
    assert op == "IntConv"
    g = Golden(49)
    image = g.node("Reshape", codes(g, 12), g.const(np.array([-1, 1, 3, 4])))
    check(out(g, g.conv(image, 1, 2, (2, 2))))
    assert not Order((6, 4, 1), (1, 0, 2)).permutes((4, 6))


def test_feeds_are_checked() -> None:
    folded = build_folded(conv_model((2, 4, 5), 3, (3, 3)), "net")
    with pytest.raises(UsageError, match="ACT0553"):
        folded.run({"x": np.zeros((1, 2, 4, 4), np.float32)})


def test_the_interface_says_the_order() -> None:
    """A host that knows nothing but the description feeds and reads the streams."""
    model = conv_model((2, 4, 5), 3, (2, 2))
    folded = check(model)
    description = json.loads(json.dumps(folded.interface()))
    (entry,), (output,) = description["inputs"], description["outputs"]
    feeds = random_feeds(model)
    x = np.clip(np.rint(feeds["x"] / np.float32(0.5)) + 7, 0, 15).astype(np.int64)
    assert entry["stream"] == [4, 5, 2]
    shaped = x.reshape(-1, *entry["order"]["shape"])
    streamed = shaped.transpose(0, *(axis + 1 for axis in entry["order"]["axes"]))
    (given,) = folded.prologue(feeds)
    np.testing.assert_array_equal(streamed, given)
    (found,) = folded.program.evaluate([streamed])
    assert list(found.shape[1:]) == output["stream"]
    tensor = np.zeros((len(x), *output["order"]["shape"]), np.int64)
    tensor.transpose(0, *(axis + 1 for axis in output["order"]["axes"]))[:] = found
    y = (tensor.reshape(-1, *output["shape"]) - output["zero_point"]).astype(np.float32)
    golden = spec.run(ir.to_proto(model), feeds)[output["output"]]
    np.testing.assert_array_equal(y * np.float32(output["scale"]), golden)


def test_orders_undo_themselves() -> None:
    order = Order((3, 4, 5), (1, 2, 0))
    tensor = np.arange(120).reshape(2, 3, 4, 5)
    stream = order.to_stream(tensor)
    assert stream.shape == (2, 4, 5, 3)
    np.testing.assert_array_equal(order.to_tensor(stream, (3, 4, 5)), tensor)
    assert Order.of(order.places) == order
    assert Order.of(np.roll(np.arange(6), 1).reshape(1, 2, 3)) is None


def random_network(seed: int) -> ir.Model:
    """A chain of random stages with branches that are joined again."""
    g = Golden(seed)
    rng = np.random.default_rng(seed)
    channels, extents = int(rng.integers(1, 4)), [int(rng.integers(5, 8)) for _ in range(2)]
    x = codes(g, channels, *extents)
    for _ in range(5):
        kind = rng.choice(["conv", "depthwise", "pool", "branch", "gate", "table"])
        if kind == "pool" and min(extents) > 3:
            x = g.node("MaxPool", x, kernel_shape=[2, 2], strides=[1, 2], pads=[0, 1, 0, 0])
            extents = [extents[0] - 1, (extents[1] + 1 - 2) // 2 + 1]
        elif kind == "conv" and min(extents) > 2:
            wanted = int(rng.integers(1, 5))
            finish = str(rng.choice(["table", "requantize", "channel_table"]))
            x = g.conv(x, channels, wanted, (2, 1), pads=[0, 1, 0, 0], zero=9, finish=finish)
            channels, extents = wanted, [extents[0] - 1, extents[1] + 1]
        elif kind == "depthwise":
            pads = [1, 1, 1, 1]
            x = g.conv(x, channels, channels, (3, 3), pads=pads, group=channels, zero=9)
        elif kind in ("branch", "gate"):
            a, b = g.conv(x, channels, channels, (1, 1), finish="requantize"), g.table(x)
            x = g.add(a, b) if kind == "branch" else g.mul(b, a)
        else:
            x = g.table(x)
    flat = g.node("Flatten", x, axis=1)
    return out_sum(g, matmul(g, flat, channels * extents[0] * extents[1], 3))


@pytest.mark.parametrize("seed", range(60, 76))
def test_random_networks(seed: int) -> None:
    check(random_network(seed), seed)


def test_a_compiled_network(tmp_path: Any) -> None:
    """Strided, depthwise and pointwise convolutions from float, with data."""
    weights = {
        "k": normal(4, 1, 3, 3, seed=1) / 3,
        "d": normal(4, 1, 3, 3, seed=2) / 3,
        "p": normal(6, 4, 1, 1, seed=3) / 2,
        "w": normal(6, 3, seed=4) / 2,
    }
    body = """
        first = Conv<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>(x, k)
        a = HardSwish(first)
        second = Conv<kernel_shape=[3,3], pads=[1,1,1,1], group=4>(a, d)
        gate = Sigmoid(second)
        b = Mul(a, gate)
        third = Conv<kernel_shape=[1,1]>(b, p)
        c = Relu(third)
        pool = GlobalAveragePool(c)
        flat = Flatten<axis=1>(pool)
        y = Gemm(flat, w)
    """
    model = network("float[N,1,9,8] x => float[N,3] y", body, weights)
    data = {"x": normal(40, 1, 9, 8, seed=5)}
    actc.compile(model, "onnx", data=data, output=tmp_path, activations="5")
    golden = ir.load(tmp_path / "golden.onnx")
    folded = build_folded(golden, "net")
    wanted = spec.run(ir.to_proto(golden), data)
    assert folded.agrees(folded.run(data), wanted).all()
    assert ProductStage in kinds(folded)
    consistent(folded, data)
