"""Small golden models that together use every kernel of the target `c`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from golden_models import Golden, conv_net

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Network:
    """A model, and the shapes of its inputs without batch; all but `ids` are float32."""

    model: ir.Model
    shapes: dict[str, tuple[int, ...]]

    def feeds(self, samples: int) -> dict[str, Array]:
        """Inputs, beyond the range of codes too."""
        rng = np.random.default_rng(samples)
        return {
            name: rng.integers(-2, 12, (samples, *shape)).astype(np.int32)
            if name == "ids"
            else (rng.normal(size=(samples, *shape)) * 3).astype(np.float32)
            for name, shape in self.shapes.items()
        }


def convolutions() -> Network:
    """Dense, depthwise and pointwise convolutions, a sum, an average, a scale per channel."""
    return Network(conv_net(), {"image": (3, 17, 18)})


def over_time() -> Network:
    """Groups, dilation, strides, wide padding and maxima in one dimension; two readers."""
    g = Golden()
    x = g.quantize(g.input("x", 6, 40))
    a = g.conv(x, 6, 12, (5,), stride=2, pads=[2, 1])
    b = g.conv(a, 12, 12, (3,), pads=[2, 2], dilation=2, group=4, finish="requantize", zero=0)
    c = g.conv(b, 12, 12, (2,), dilation=3, group=12, pads=[3, 0], finish="channel_table")
    d = g.node("MaxPool", c, kernel_shape=[2], strides=[2])
    acc = g.conv(d, 12, 5, (4,), pads=[5, 1], finish="accumulator")
    e, f = g.requantize(acc, 40000.0), g.table(g.requantize(acc, 90000.0))
    return Network(g.model(g.add(e, f), g.dequantize(acc, 0.1, np.int32(0))), {"x": (6, 40)})


def windows() -> Network:
    """Rows of windows that are long, with and without padding and dilation; one channel."""
    g = Golden(2)
    x = g.quantize(g.input("x", 1, 11, 9))
    a = g.conv(x, 1, 24, (2, 3), pads=[1, 0, 0, 2], finish="requantize")
    b = g.conv(a, 24, 30, (3, 3), pads=[2, 1, 0, 4], zero=120, finish="channel_table")
    c = g.conv(b, 30, 26, (3, 3), stride=2, zero=0, finish="table")
    d = g.conv(b, 30, 26, (2, 3), dilation=2, pads=[1, 1, 0, 0], zero=99, finish="requantize")
    return Network(g.model(c, g.dequantize(d, zero=np.uint8(120))), {"x": (1, 11, 9)})


def gates() -> Network:
    """Products, reductions, tables per channel, parts joined and cut, in channels-last."""
    g = Golden(3)
    x = g.quantize(g.input("x", 3, 9, 8))
    a = g.conv(x, 3, 10, (3, 3), pads=[1, 1, 1, 1], finish="channel_table")
    axes = g.const(np.array([2, 3]))
    total = g.actc("IntReduceSum", a, g.const(np.uint8(120)), axes, keepdims=1)
    gate = g.conv(g.requantize(total, 3000.0), 10, 10, (1, 1), finish="table")
    gated = g.mul(a, gate)
    top = g.node("ReduceMax", gated, g.const(np.array([1])), keepdims=1)
    both = g.node("Concat", gated, top, a, axis=1)
    bounds = ([2, 7], [19, -9], [1, 3], [3, -2])
    part = g.node("Slice", both, *(g.const(np.array(b)) for b in bounds))
    table = g.channel_table(part, 6, 2)
    biased = g.add(table, g.const(g.rng.integers(0, 256, (6, 1, 1)).astype(np.uint8)))
    left, right = g.node("Split", biased, g.const(np.array([2, 4])), outputs=2, axis=1)
    pooled = g.node("MaxPool", a, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])
    model = g.model(g.dequantize(left, zero=np.uint8(120)), right, pooled)
    return Network(model, {"x": (3, 9, 8)})


def attention() -> Network:
    """Queries, keys and values by a transpose that moves the batch; norms, softmax, a mask."""
    g = Golden(5)
    x = g.quantize(g.input("x", 5, 12))
    gamma, beta = (g.rng.integers(-900, 900, 12).astype(np.int32) for _ in range(2))
    inputs = (gamma, beta, np.float64(0.37))
    acc = g.actc("IntLayerNorm", x, *map(g.const, inputs), axis=-1, count=12)
    normal = g.table(g.requantize(acc, 2_000_000.0))
    scaled = (np.uint8(117), gamma, np.float64(30.7))
    rms = g.requantize(g.actc("IntRmsNorm", normal, *map(g.const, scaled), axis=-1), 3e7)
    hidden = g.requantize(g.matmul(rms, 12, 36), 73 * 73 * np.sqrt(12), (1, 1, 36))
    five = g.node("Reshape", hidden, g.const(np.array([-1, 5, 3, 2, 6])))
    moved = g.node("Transpose", five, perm=[2, 0, 3, 1, 4])
    parts = []
    for start in range(3):
        bounds = ([start], [start + 1], [0])
        one = g.node("Slice", moved, *(g.const(np.array(b)) for b in bounds))
        parts.append(g.node("Squeeze", one, g.const(np.array([0]))))
    keys = g.node("Transpose", parts[1], perm=[0, 1, 3, 2])
    zeros = g.const(np.uint8(120)), g.const(np.uint8(118))
    scores = g.requantize(g.actc("IntBatchMatMul", parts[0], keys, *zeros), 9000.0)
    powers = g.const(np.round(np.exp(-np.arange(256) * 0.03) * 2**20).astype(np.int32))
    soft = g.quantize(g.actc("IntSoftmax", scores, powers, axis=-1), 1 / 255, 0)
    hide = g.const(np.triu(np.ones((1, 1, 5, 5), bool), 1))
    masked = g.actc("IntMaskedSoftmax", scores, hide, powers, axis=-1, empty=0)
    both = g.add(soft, g.quantize(masked, 1 / 250, 3))
    mixed = g.actc("IntBatchMatMul", both, parts[2], g.const(np.uint8(9)), zeros[1])
    out = g.requantize(mixed, 9000.0)
    shares = g.actc("IntProbabilities", out, powers, axis=-1, bits=12)
    share = g.dequantize(shares, 2**-12, np.uint16(0))
    return Network(g.model(share, masked, g.dequantize(out, zero=np.uint8(120))), {"x": (5, 12)})


def staircases() -> Network:
    """Steps by comparison and by search; rows of a table; a table in front of everything."""
    g = Golden(6)
    ids = g.input("ids", 7, dtype=np.int32)
    rows = g.actc("IntEmbed", ids, g.const(g.rng.integers(0, 256, (9, 10)).astype(np.uint8)))
    axes = g.const(np.array([1]))
    total = g.actc("IntReduceSum", rows, g.const(np.uint8(128)), axes, keepdims=0)
    few, many = (_steps(g, total, 10, count) for count in (5, 40))
    x = g.table(g.quantize(g.input("x", 10), 1 / 3, 128))
    joined = g.add(g.mul(few, many), x)
    return Network(g.model(joined, few, many), {"ids": (7,), "x": (10,)})


def comparisons() -> Network:
    """Integers of all widths and truth values, compared, joined and converted."""
    g = Golden(8)
    ids = g.input("ids", 11, dtype=np.int32)
    wide = g.node("Cast", ids, to=onnx.TensorProto.INT64)
    three = g.node("Equal", wide, g.const(np.array([[3]], np.int64)))
    low = g.node("Cast", g.node("Cast", wide, to=onnx.TensorProto.INT8), to=onnx.TensorProto.INT32)
    same = g.node("Equal", low, g.const(np.arange(11, dtype=np.int32)[None]))
    either = g.node("Or", three, same)
    both = g.node("And", g.node("Not", three), g.node("Cast", ids, to=onnx.TensorProto.BOOL))
    code = g.node("Cast", either, to=onnx.TensorProto.INT64)
    return Network(g.model(either, both, code, low), {"ids": (11,)})


def _steps(g: Golden, acc: str, channels: int, count: int) -> str:
    points = np.full((channels, 256), 2**31 - 1, np.int64)
    points[:, :count] = np.sort(g.rng.integers(-900, 900, (channels, count)))
    values = g.rng.integers(0, 256, (channels, 256))
    values[:, count:] = values[:, count : count + 1]
    arrays = (points.astype(np.int32).reshape(-1), values.astype(np.uint8).reshape(-1))
    offset = np.arange(channels, dtype=np.int32).reshape(1, -1) * 256
    return g.actc("Steps", acc, *map(g.const, arrays), g.const(offset))


def signs(ternary: bool = False) -> Network:
    """Layers of signs: bits between them, pooled, unpacked for another reader."""
    g = Golden(7)
    kinds = (-1, 0, 1) if ternary else (-1, 1)
    x = g.quantize(g.input("x", 20, 7, 6))
    two = g.actc("Table", x, g.const((np.arange(256) > 120).astype(np.uint8) * 2))
    a = _sign_conv(g, two, 20, 35, kinds)
    b = g.node("MaxPool", _sign(g, a, 35, 2), kernel_shape=[2, 2], strides=[2, 2])
    c = _sign_conv(g, b, 35, 33, kinds)
    d = _sign(g, c, 33, 2)
    flat = g.node("Flatten", d)
    last = (g.rng.choice(kinds, (33 * 9, 6)).astype(np.int8), np.zeros(6, np.int32), np.uint8(1))
    scores = g.actc("IntMatMul", flat, *map(g.const, last))
    return Network(g.model(g.dequantize(scores, 0.1, np.int32(0)), d), {"x": (20, 7, 6)})


def _sign_conv(g: Golden, x: str, c_in: int, c_out: int, kinds: tuple[int, ...]) -> str:
    weight = g.rng.choice(kinds, (c_out, c_in, 3, 3)).astype(np.int8)
    bias = g.rng.integers(-9, 10, (1, c_out, 1, 1)).astype(np.int32)
    return g.actc(
        "IntConv", x, *map(g.const, (weight, bias, np.uint8(1))), kernel_shape=[3, 3],
        strides=[1, 1], pads=[1, 1, 1, 1], dilations=[1, 1], group=1,
    )  # fmt: skip


def _sign(g: Golden, acc: str, channels: int, high: int) -> str:
    """Codes 0 and `high`, rising or falling with the sum."""
    points = np.full((channels, 256), 2**31 - 1, np.int64)
    points[:, 0] = g.rng.integers(-20, 20, channels)
    values = np.zeros((channels, 256), np.uint8)
    rising = g.rng.random(channels) < 0.7
    values[rising, 1:], values[~rising, 0] = high, high
    arrays = (points.astype(np.int32).reshape(-1), values.reshape(-1))
    offset = 256 * np.arange(channels, dtype=np.int32).reshape(1, -1, 1, 1)
    return g.actc("Steps", acc, *map(g.const, arrays), g.const(offset))


NETWORKS: dict[str, Callable[[], Network]] = {
    "convolutions": convolutions,
    "over time": over_time,
    "windows": windows,
    "gates": gates,
    "attention": attention,
    "staircases": staircases,
    "comparisons": comparisons,
    "signs": signs,
    "ternary": lambda: signs(ternary=True),
}
