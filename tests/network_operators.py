"""Golden models of single operators for FPGA networks, and how such a network is compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
from golden_models import Golden

from actc.ir import spec
from actc.targets.fpga.adders import AdderOptions
from actc.targets.fpga.network import Network, NetworkOptions, build_network

Array = np.ndarray[Any, Any]

QUICK = NetworkOptions(adders=AdderOptions(effort=0))
SAMPLES = 40


def check(model: ir.Model, options: NetworkOptions = QUICK, seed: int = 0) -> Network:
    """Build a network and compare it with the specification on random inputs."""
    network = build_network(model, "net", options)
    feeds = random_feeds(model, seed)
    wanted = spec.run(ir.to_proto(model), feeds)
    found = network.run(feeds)
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    return network


def random_feeds(model: ir.Model, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    feeds: dict[str, Array] = {}
    for value in model.graph.inputs:
        assert value.shape is not None
        assert value.dtype is not None
        shape = (SAMPLES, *(int(extent) for extent in list(value.shape)[1:]))
        dtype = value.dtype.numpy()
        if dtype.kind == "f":
            feeds[str(value.name)] = (rng.standard_normal(shape) * 3).astype(dtype)
        elif dtype == np.dtype(bool):
            feeds[str(value.name)] = rng.random(shape) < 0.5
        else:
            high = 256 if dtype == np.dtype(np.uint8) else 9
            low = 0 if dtype.kind == "u" else -3
            feeds[str(value.name)] = rng.integers(low, high, shape).astype(dtype)
    return feeds


def codes(g: Golden, *shape: int, high: int = 15, name: str = "x") -> str:
    """Codes 0..high of a float input."""
    q = g.quantize(g.input(name, *shape), 0.5, 7)
    numbers = (np.int32(2), np.int32(1), np.uint8(0), np.uint8(0), np.uint8(high))
    return g.actc("Requantize", q, *map(g.const, numbers))


def wide_codes(g: Golden, *shape: int, name: str = "x") -> str:
    """Codes of 10 bits of a float input."""
    scale, zero = g.const(np.float32(0.02)), g.const(np.uint16(500))
    q = str(g.node("QuantizeLinear", g.input(name, *shape), scale, zero))
    numbers = (np.int32(2), np.int32(1), np.uint16(0), np.uint16(0), np.uint16(1023))
    return g.actc("Requantize", q, *map(g.const, numbers))


def sums(g: Golden, acc: str, spread: float, bits: int = 4) -> str:
    """Requantize to `bits`, with saturation."""
    shift, top = 20, 2**bits - 1
    factor = np.int32(top / spread * 2**shift)
    numbers = (factor, np.int32(shift), np.uint8(top // 2), np.uint8(1), np.uint8(top - 1))
    return g.actc("Requantize", acc, *map(g.const, numbers))


def matmul(g: Golden, x: str, depth: int, width: int, zero: int = 7, bits: int = 4) -> str:
    limit = 2 ** (bits - 1)
    weight = g.rng.integers(-limit, limit, (depth, width)).astype(np.int8)
    bias = g.rng.integers(-30, 30, width).astype(np.int32)
    return g.actc("IntMatMul", x, *map(g.const, (weight, bias, np.uint8(zero))))


def out(g: Golden, x: str) -> ir.Model:
    return g.model(g.dequantize(x, 0.03, np.uint8(3)))


def out_sum(g: Golden, acc: str, dtype: type = np.int32) -> ir.Model:
    return g.model(g.dequantize(acc, 0.03, dtype(0)))


def conv_model(
    shape: tuple[int, ...],
    outputs: int,
    kernel: tuple[int, ...],
    *,
    pads: tuple[int, ...] | None = None,
    strides: tuple[int, ...] | None = None,
    dilations: tuple[int, ...] | None = None,
    group: int = 1,
    op: str = "IntConv",
) -> ir.Model:
    g = Golden(1)
    x = wide_codes(g, *shape) if op == "WideConv" else codes(g, *shape)
    spatial = len(kernel)
    weight = g.rng.integers(-4, 5, (outputs, shape[0] // group, *kernel)).astype(np.int8)
    kind = np.int64 if op == "WideConv" else np.int32
    bias = g.rng.integers(-30, 30, (1, outputs, *[1] * spatial)).astype(kind)
    zero = np.uint16(500) if op == "WideConv" else np.uint8(7)
    acc = g.actc(
        op,
        x,
        *map(g.const, (weight, bias, zero)),
        strides=list(strides or [1] * spatial),
        pads=list(pads or [0] * 2 * spatial),
        dilations=list(dilations or [1] * spatial),
        group=group,
        kernel_shape=list(kernel),
    )
    return out(g, sums(g, acc, 40000 if op == "WideConv" else 300))


CONVOLUTIONS: dict[str, Callable[[], ir.Model]] = {
    "1d": lambda: conv_model((2, 7), 3, (3,), pads=(1, 1)),
    "1d strided, uneven pads": lambda: conv_model((2, 8), 3, (3,), pads=(2, 0), strides=(2,)),
    "2d": lambda: conv_model((2, 4, 5), 3, (3, 3), pads=(1, 1, 1, 1)),
    "2d strided": lambda: conv_model((1, 5, 6), 2, (2, 3), strides=(2, 3)),
    "2d dilated": lambda: conv_model((1, 6, 6), 2, (2, 2), dilations=(2, 3), pads=(0, 1, 2, 0)),
    "depthwise": lambda: conv_model((3, 4, 4), 3, (3, 3), pads=(1, 1, 1, 1), group=3),
    "two per channel": lambda: conv_model((2, 4, 4), 4, (2, 2), group=2),
    "grouped": lambda: conv_model((4, 3, 3), 6, (2, 2), group=2),
    "pointwise": lambda: conv_model((4, 2, 2), 3, (1, 1)),
    "3d": lambda: conv_model((1, 3, 3, 3), 2, (2, 2, 2)),
    "wide": lambda: conv_model((2, 3, 3), 2, (2, 2), pads=(1, 0, 0, 1), op="WideConv"),
}


def dense(op: str = "IntMatMul", shape: tuple[int, ...] = (6,)) -> ir.Model:
    g = Golden(2)
    if op == "IntMatMul":
        return out_sum(g, matmul(g, codes(g, *shape), shape[-1], 4))
    weight = g.rng.integers(-8, 8, (shape[-1], 4)).astype(np.int8)
    x = wide_codes(g, *shape)
    numbers = (weight, np.arange(4, dtype=np.int64), np.uint16(500))
    acc = g.actc(op, x, *map(g.const, numbers))
    return out(g, sums(g, acc, 40000))


def channel_table(spatial: int) -> ir.Model:
    g = Golden(3)
    shape = (3, *[2] * spatial)
    x = codes(g, *shape)
    return out(g, g.channel_table(x, 3, spatial))


def expanded_table() -> ir.Model:
    """Several functions per element, as splines have."""
    g = Golden(4)
    x = g.node("Unsqueeze", codes(g, 3), g.const(np.array([2])))
    table = g.rng.integers(0, 256, 256 * 12).astype(np.uint8)
    offset = (256 * np.arange(12, dtype=np.int32)).reshape(1, 3, 4)
    return out(g, g.actc("ChannelTable", x, g.const(table), g.const(offset)))


def steps(channels: bool) -> ir.Model:
    g = Golden(5)
    acc = matmul(g, codes(g, 5), 5, 3)
    rows = 3 if channels else 1
    points = np.sort(g.rng.choice(np.arange(-400, 400), (rows, 256), replace=False), axis=1)
    values = g.rng.integers(0, 256, (rows, 256)).astype(np.uint8)
    offset = (256 * np.arange(rows, dtype=np.int32)).reshape(1, rows)
    numbers = (points.astype(np.int32).reshape(-1), values.reshape(-1), offset)
    return out(g, g.actc("Steps", acc, *map(g.const, numbers)))


def requantized(multiplier: Any, shift: int, bits: int = 8) -> ir.Model:
    g = Golden(6)
    acc = matmul(g, codes(g, 5), 5, 3)
    top = 2**bits - 1
    kind = np.uint8 if bits <= 8 else np.uint16
    numbers = (np.int32(multiplier), np.int32(shift), kind(top // 3), kind(0), kind(top))
    y = g.actc("Requantize", acc, *map(g.const, numbers))
    return g.model(g.dequantize(y, 0.03, kind(3)))


def added(first: int, second: int, shape: tuple[int, ...] = (2, 3)) -> ir.Model:
    g = Golden(7)
    a, b = codes(g, 2, 3, name="a"), codes(g, *shape, name="b")
    numbers = (np.int32(first), np.int32(second), np.int32(-70_000))
    return out(g, sums(g, g.actc("IntAdd", a, b, *map(g.const, numbers)), 200_000))


def added_constant() -> ir.Model:
    g = Golden(8)
    a = codes(g, 2, 3, name="a")
    b = g.const(g.rng.integers(0, 200, (1, 2, 1)).astype(np.uint8))
    numbers = (np.int32(7001), np.int32(903), np.int32(-70_000))
    return out(g, sums(g, g.actc("IntAdd", a, b, *map(g.const, numbers)), 200_000))


def multiplied(kind: str) -> ir.Model:
    g = Golden(9)
    a = codes(g, 2, 3, name="a")
    others = {
        "square": lambda: a,
        "constant": lambda: g.const(g.rng.integers(0, 9, (3,)).astype(np.uint8)),
        "tensor": lambda: codes(g, 2, 1, name="b"),
    }
    b = others[kind]()
    zeros = (np.uint8(7), np.uint8(7 if kind == "square" else 2))
    return out(g, sums(g, g.actc("IntMul", a, b, *map(g.const, zeros)), 80))


def wide_mul() -> ir.Model:
    g = Golden(10)
    a, b = wide_codes(g, 2, name="a"), codes(g, 2, name="b")
    acc = g.actc("WideMul", a, b, g.const(np.uint16(500)), g.const(np.uint8(3)))
    return out(g, sums(g, acc, 5000))


def batch_matmul(constant: bool) -> ir.Model:
    g = Golden(11)
    a = codes(g, 2, 2, 3, name="a")
    if constant:
        b = g.const(g.rng.integers(0, 9, (3, 2)).astype(np.uint8))
    else:
        b = codes(g, 1, 3, 2, name="b")
    acc = g.actc("IntBatchMatMul", a, b, g.const(np.uint8(7)), g.const(np.uint8(4)))
    return out(g, sums(g, acc, 150))


def reduced(op: str, keepdims: int = 0) -> ir.Model:
    g = Golden(12)
    x = codes(g, 2, 3, 4)
    axes = g.const(np.array([-1, 2]))
    if op == "ReduceMax":
        return out(g, g.node("ReduceMax", x, axes, keepdims=keepdims))
    y = g.actc(op, x, g.const(np.uint8(7)), axes, keepdims=keepdims)
    return out_sum(g, y)


def pooled(behind: str, **given: Any) -> ir.Model:
    g = Golden(13)
    shape = (2, 5, 4)
    x = codes(g, *shape)
    if behind != "codes":  # functions of accumulators: monotone, or not
        x = g.conv(x, 2, 2, (1, 1), zero=7, finish="requantize")
        if behind == "table":
            x = g.table(x)
    return out(g, g.node("MaxPool", x, **{"kernel_shape": [2, 2], "strides": [2, 2], **given}))


def wide_pool() -> ir.Model:
    g = Golden(14)
    x = wide_codes(g, 2, 5)
    given = {"strides": [2], "pads": [1, 0], "dilations": [1], "kernel_shape": [3]}
    y = g.actc("WideMaxPool", x, **given, ceil_mode=0)
    y = g.actc("WideReduceMax", y, g.const(np.array([1])), keepdims=0)
    return g.model(g.dequantize(y, 0.03, np.uint16(3)))


def embedded() -> ir.Model:
    g = Golden(15)
    index = g.node("Cast", g.input("i", 3, dtype=np.int64), to=6)
    rows = g.rng.integers(0, 16, (6, 2)).astype(np.uint8)
    return out(g, g.actc("IntEmbed", index, g.const(rows)))


def placed(op: str, **given: Any) -> ir.Model:
    g = Golden(16)
    x = g.node("Cast", codes(g, 3, 4, high=4), to=6)
    return g.model(g.node(op, x, **given))


def chosen(masked: bool) -> ir.Model:
    g = Golden(17)
    a, b = codes(g, 3, name="a"), codes(g, 3, name="b")
    if masked:
        mask = g.input("mask", 3, dtype=np.bool_)
    else:
        parts = [g.node("Cast", v, to=6) for v in (a, b)]
        mask = g.node("Or", g.node("Greater", *parts), g.node("Not", g.node("Less", *parts)))
    return out(g, g.node("Where", mask, a, b))


MOVES: dict[str, Callable[[Golden, str], str]] = {
    "Concat": lambda g, x: g.node("Concat", x, g.node("Identity", x), axis=-1),
    "Flatten": lambda g, x: g.node("Flatten", x, axis=1),
    "Gather": lambda g, x: g.node("Gather", x, g.const(np.array([[0, -1], [1, 1]])), axis=2),
    "Pad": lambda g, x: g.node(
        "Pad", x, g.const(np.array([0, 0, 1, 0, 0, 0, 2, 1])), g.const(np.uint8(5))
    ),
    "Pad by reflection": lambda g, x: g.node(
        "Pad", x, g.const(np.array([0, 0, 1, 2, 0, 0, 2, 1])), mode="reflect"
    ),
    "Reshape": lambda g, x: g.node("Reshape", x, g.const(np.array([-1, 4, 6]))),
    "Reshape by zeros": lambda g, x: g.node("Reshape", x, g.const(np.array([0, 0, -1]))),
    "Slice": lambda g, x: g.node(
        "Slice", x, *(g.const(np.array(v)) for v in ([1, -1], [3, -(2**31)], [2, 3], [1, -2]))
    ),
    "Split": lambda g, x: g.node("Split", x, outputs=2, axis=-1, num_outputs=2)[1],
    "Split unevenly": lambda g, x: g.node(
        "Split", x, g.const(np.array([1, 3])), outputs=2, axis=-1
    )[1],
    "Squeeze": lambda g, x: g.node(
        "Squeeze", g.node("Unsqueeze", x, g.const(np.array([1, -1]))), g.const(np.array([1]))
    ),
    "Transpose": lambda g, x: g.node("Transpose", x, perm=[0, 3, 1, 2]),
}


def moved(name: str) -> ir.Model:
    g = Golden(18)
    return out(g, MOVES[name](g, codes(g, 2, 3, 4)))


MODELS: dict[str, Callable[[], ir.Model]] = {
    "IntMatMul": dense,
    "IntMatMul of rows": lambda: dense(shape=(3, 4)),
    "WideMatMul": lambda: dense("WideMatMul"),
    "Table": lambda: out(g := Golden(20), g.table(codes(g, 4))),
    "ChannelTable": lambda: channel_table(0),
    "ChannelTable of images": lambda: channel_table(2),
    "ChannelTable, several per element": expanded_table,
    "Steps": lambda: steps(False),
    "Steps per channel": lambda: steps(True),
    "Requantize": lambda: requantized(900_000, 21),
    "Requantize per channel": lambda: requantized([[900_000, 5, 0]], 19),
    "Requantize that skips codes": lambda: requantized(2**22 + 7, 20),
    "Requantize to 11 bits": lambda: requantized(3_000_001, 20, bits=11),
    "IntAdd": lambda: added(7001, 9003),
    "IntAdd that subtracts": lambda: added(7001, -4003),
    "IntAdd that broadcasts": lambda: added(7001, 903, (1, 3)),
    "IntAdd of a constant": added_constant,
    "IntMul": lambda: multiplied("tensor"),
    "IntMul by a constant": lambda: multiplied("constant"),
    "IntMul by itself": lambda: multiplied("square"),
    "WideMul": wide_mul,
    "IntBatchMatMul": lambda: batch_matmul(False),
    "IntBatchMatMul by a constant": lambda: batch_matmul(True),
    "IntReduceSum": lambda: reduced("IntReduceSum"),
    "IntReduceSum, kept axes": lambda: reduced("IntReduceSum", 1),
    "IntReduceMean": lambda: reduced("IntReduceMean"),
    "ReduceMax": lambda: reduced("ReduceMax", 1),
    "MaxPool": lambda: pooled("codes"),
    "MaxPool, padded": lambda: pooled("codes", pads=[1, 0, 0, 1], dilations=[1, 2]),
    "MaxPool with ceil_mode": lambda: pooled("codes", ceil_mode=1, strides=[3, 3]),
    "MaxPool behind a monotone function": lambda: pooled("requantize"),
    "MaxPool behind a table": lambda: pooled("table"),
    "WideMaxPool": wide_pool,
    "IntEmbed": embedded,
    "ArgMax": lambda: placed("ArgMax", axis=2, keepdims=0),
    "ArgMax of the last": lambda: placed("ArgMax", axis=1, select_last_index=1),
    "ArgMin": lambda: placed("ArgMin", axis=-1, keepdims=1),
    "Where by an input": lambda: chosen(True),
    "Where by a comparison": lambda: chosen(False),
    **{name: lambda name=name: moved(name) for name in MOVES},
}
