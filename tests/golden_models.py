"""Writes small golden models, and says what onnxruntime makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from actc.ir import dialect

Array = np.ndarray[Any, Any]


class Golden:
    """Writes small golden models, node by node.

    Args:
        seed: of the random weights and tables.
    """

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.shapes: dict[str, tuple[int | str, ...]] = {}

    def input(
        self, name: str, *shape: int, dtype: type = np.float32, batch: str | int = "n"
    ) -> str:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.inputs.append(helper.make_tensor_value_info(name, kind, [batch, *shape]))
        return name

    def const(self, array: Any) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.asarray(array), name)
        return name

    def node(self, op: str, *inputs: str, outputs: int = 1, domain: str = "", **given: Any) -> Any:
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        label = f"{op}_{len(self.nodes)}"
        made = helper.make_node(op, list(inputs), names, name=label, domain=domain, **given)
        self.nodes.append(made)
        return names[0] if outputs == 1 else names

    def actc(self, op: str, *inputs: str, **given: Any) -> str:
        return str(self.node(op, *inputs, domain="actc", **given))

    def quantize(self, x: str, scale: float = 0.05, zero: int = 117) -> str:
        scale_name, zero_name = self.const(np.float32(scale)), self.const(np.uint8(zero))
        return str(self.node("QuantizeLinear", x, scale_name, zero_name))

    def requantize(self, acc: str, spread: float, channels: Sequence[int] = ()) -> str:
        """Requantize an accumulator of about this spread to the range of uint8."""
        shift = 24
        factor = 60 / spread * 2**shift
        multiplier = self.rng.integers(int(factor / 2), int(factor) + 2, channels).astype(np.int32)
        low, high = (0, 255) if self.rng.random() < 0.5 else (9, 240)
        rest = (np.int32(shift), np.uint8(120), np.uint8(low), np.uint8(high))
        return self.actc("Requantize", acc, self.const(multiplier), *map(self.const, rest))

    def table(self, x: str) -> str:
        codes = self.rng.permutation(256).astype(np.uint8)
        return self.actc("Table", x, self.const(codes))

    def channel_table(self, x: str, channels: int, spatial: int) -> str:
        codes = self.rng.integers(0, 256, 256 * channels).astype(np.uint8)
        offset = (256 * np.arange(channels, dtype=np.int32)).reshape(1, -1, *[1] * spatial)
        return self.actc("ChannelTable", x, self.const(codes), self.const(offset))

    def conv(
        self,
        x: str,
        c_in: int,
        c_out: int,
        kernel: Sequence[int],
        *,
        stride: int = 1,
        pads: Sequence[int] | None = None,
        group: int = 1,
        dilation: int = 1,
        zero: int = 117,
        finish: str = "table",
    ) -> str:
        spatial = len(kernel)
        weight = self.rng.integers(-127, 128, (c_out, c_in // group, *kernel)).astype(np.int8)
        ones = [1] * spatial
        bias = self.rng.integers(-3000, 3000, (1, c_out, *ones)).astype(np.int32)
        acc = self.actc(
            "IntConv",
            x,
            self.const(weight),
            self.const(bias),
            self.const(np.uint8(zero)),
            strides=[stride] * spatial,
            pads=list(pads or [0] * (2 * spatial)),
            dilations=[dilation] * spatial,
            group=group,
            kernel_shape=list(kernel),
        )
        if finish == "accumulator":
            return acc
        spread = 73 * 73 * float(np.sqrt(weight[0].size))
        out = self.requantize(acc, spread, (1, c_out, *ones))
        if finish == "table":
            return self.table(out)
        return self.channel_table(out, c_out, spatial) if finish == "channel_table" else out

    def matmul(self, x: str, depth: int, width: int, zero: int = 117) -> str:
        weight = self.rng.integers(-127, 128, (depth, width)).astype(np.int8)
        bias = self.rng.integers(-3000, 3000, width).astype(np.int32)
        inputs = (weight, bias, np.uint8(zero))
        return self.actc("IntMatMul", x, *map(self.const, inputs))

    def add(self, a: str, b: str) -> str:
        terms = (np.int32(7001), np.int32(9003), np.int32(-1_870_000))
        acc = self.actc("IntAdd", a, b, *map(self.const, terms))
        return self.requantize(acc, 800_000.0)

    def mul(self, a: str, b: str) -> str:
        acc = self.actc("IntMul", a, b, self.const(np.uint8(120)), self.const(np.uint8(99)))
        return self.requantize(acc, 5000.0)

    def dequantize(self, x: str, scale: Any = 0.03, zero: Any = 120, **given: Any) -> str:
        kinds = (np.asarray(scale, np.float32), np.asarray(zero))
        return str(self.node("DequantizeLinear", x, *map(self.const, kinds), **given))

    def model(self, *outputs: str) -> ir.Model:
        results = [onnx.ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph(
            self.nodes, "golden", self.inputs, results, list(self.constants.values())
        )
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid("actc", 1)]
        made = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        model = ir.serde.deserialize_model(made)
        dialect.add_bodies(model)
        typed = onnx.shape_inference.infer_shapes(ir.serde.serialize_model(model))
        return ir.serde.deserialize_model(typed)


def outputs_of(model: ir.Model, feeds: dict[str, Array]) -> dict[str, Array]:
    """Golden's outputs in onnxruntime."""
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    proto = ir.serde.serialize_model(model).SerializeToString()
    session = onnxruntime.InferenceSession(proto, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def conv_net() -> ir.Model:
    """Convolutions of all kinds, a residual sum, pooling and a classifier."""
    g = Golden()
    x = g.quantize(g.input("image", 3, 17, 18))
    a = g.conv(x, 3, 16, (3, 3), stride=2, pads=[1, 1, 1, 1])
    b = g.conv(a, 16, 16, (3, 3), pads=[1, 1, 1, 1], group=16)
    c = g.conv(b, 16, 24, (1, 1), finish="requantize")
    d = g.conv(c, 24, 24, (3, 3), pads=[1, 1, 1, 1], zero=120)
    e = g.add(c, d)
    axes = g.const(np.array([2, 3]))
    total = g.actc("IntReduceSum", e, g.const(np.uint8(120)), axes, keepdims=1)
    flat = g.node("Flatten", g.requantize(total, 3000.0), axis=1)
    scores = g.matmul(flat, 24, 10, 120)
    y = g.dequantize(scores, np.linspace(0.001, 0.002, 10), np.zeros(10, np.int32), axis=1)
    return g.model(y)
