"""Golden models as folded programs: what they compute, what their stages are, what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from folded_lowering import check, consistent, kinds
from golden_models import Golden
from models import network, normal
from network_operators import CONVOLUTIONS, MODELS, codes, matmul, out, out_sum, sums
from test_fpga_network import classifier

import actc
from actc.ir import spec
from actc.targets.fpga.folded.network import build_folded
from actc.targets.fpga.folded.program import (
    FoldedProgram,
    MapStage,
    MatrixStage,
    MaximumStage,
    ProductStage,
    Stage,
    Stream,
    Window,
)
from actc.targets.fpga.hdl import Range


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
