"""The cpu target in float32: close to onnxruntime on the approximated model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from installed import needs_tvm
from onnx import numpy_helper, parser

from actc.ir import dialect
from actc.targets.tvm import CpuTarget
from actc.targets.tvm.kernels.float_spec import SCALAR_OPERATORS
from actc.targets.tvm.lower import examine, kernel_plan

Array = np.ndarray[Any, Any]

HEADER = '<ir_version: 10, opset_import: ["" : 21, "actc" : 1]>\n'
GELU = """
<domain: "actc", opset_import: ["" : 21], overload: "s1">
Activation (x) => (y) {
  half = Constant <value_float = 0.5> ()
  root = Constant <value = float {0.70710678}> ()
  one = Constant <value_float = 1.0> ()
  moved = Mul (x, root)
  e = Erf (moved)
  raised = Add (e, one)
  halved = Mul (x, half)
  y = Mul (halved, raised)
}"""
FAMILY = """
<domain: "actc", opset_import: ["" : 21], overload: "s2">
Activation (x) => (y) {
  slope = Constant <value = float[1, 6, 1, 1] {0.1, -0.2, 0.3, 0.0, 1.5, 0.7}> ()
  zero = Constant <value_float = 0.0> ()
  scaled = Mul (x, slope)
  negative = Less (x, zero)
  y = Where (negative, scaled, x)
}"""


def make(text: str, constants: dict[str, Array], bodies: tuple[str, ...] = ()) -> ir.Model:
    """A model from ONNX's text format, with initializers and activations."""
    proto = parser.parse_model(HEADER + text)
    proto.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in constants.items())
    for body in bodies:
        proto.functions.append(parser.parse_function(body))
    for node in proto.graph.node:
        if node.op_type == "Activation":
            node.overload = node.name
    model = ir.serde.deserialize_model(proto)
    dialect.add_bodies(model)
    return model


def check(model: ir.Model, tmp_path: Path, **shapes: tuple[int, ...]) -> None:
    """Build, and compare with onnxruntime on two batches."""
    onnxruntime = pytest.importorskip("onnxruntime")
    target = CpuTarget()
    target.build(target.plan(model, "float32"), tmp_path)
    proto: onnx.ModelProto = ir.serde.serialize_model(model)
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(2)
    for batch in (1, 3):
        feeds = {
            name: (2 * rng.normal(size=(batch, *shape))).astype(np.float32)
            for name, shape in shapes.items()
        }
        got = target.run(tmp_path, feeds)
        names = [output.name for output in session.get_outputs()]
        for name, wanted in zip(names, session.run(names, feeds), strict=True):
            scale = float(np.sqrt(np.mean(np.square(wanted))))
            assert scale > 1e-3
            assert got[name].shape == wanted.shape
            np.testing.assert_allclose(got[name], wanted, rtol=2e-5, atol=1e-5 * scale)


def random(*shape: int, seed: int = 0) -> Array:
    return (np.random.default_rng(seed).normal(size=shape) / 3).astype(np.float32)


@needs_tvm
def test_a_convolutional_net(tmp_path: Path) -> None:
    text = """net (float[n, 3, 11, 10] x) => (float[n, 5] y) {
  a = Conv <pads = [1, 1, 1, 1], strides = [2, 1]> (x, w0, b0)
  [s1] b = actc.Activation (a)
  c = Conv <pads = [1, 0, 1, 2], group = 6> (b, w1)
  [s2] d = actc.Activation (c)
  e = AveragePool <kernel_shape = [3, 2], pads = [1, 1, 1, 1], count_include_pad = 1> (d)
  f = AveragePool <kernel_shape = [3, 2], pads = [1, 1, 1, 1]> (d)
  g = Sub (e, f)
  h = MaxPool <kernel_shape = [2, 3], strides = [2, 2], pads = [0, 1, 1, 1]> (g)
  i = actc.PiecewiseLinear (h, breaks, slopes, intercepts)
  gate = GlobalAveragePool (i)
  j = Sigmoid (gate)
  k = Mul (i, j)
  l = Flatten (k)
  m = MatMul (l, w2)
  o = Add (m, b2)
  p = actc.QuantizedTable (o, scale, zero, values)
  y = Softmax <axis = 1> (p)
}"""
    constants = {
        "w0": random(6, 3, 3, 3),
        "b0": random(6, seed=1),
        "w1": random(6, 1, 3, 3, seed=2),
        "w2": random(6 * 3 * 6, 5, seed=3),
        "b2": random(1, 5, seed=4),
        "breaks": np.array([-0.2, 0.0, 0.1], np.float32),
        "slopes": np.array([0.1, 0.7, -2, 1], np.float32),
        "intercepts": np.array([0.5, 0.2, 0.1, -0.3], np.float32),
        "scale": np.float32(0.01),
        "zero": np.uint8(120),
        "values": (random(256, seed=5) * 3).astype(np.float32),
    }
    constants["values"] = np.linspace(-2, 2, 256, dtype=np.float32)
    model = make(text, constants, (GELU, FAMILY))
    kinds = [type(call.kernel).__name__ for call in kernel_plan(model, "float32").calls]
    assert kinds.count("FloatConv") == 3
    # The GELU is part of its convolution, the gate's sigmoid is computed once per channel.
    assert kinds[:3] == ["Elementwise", "FloatConv", "FloatConv"]
    # A table steps where its input moves by a rounding error: compare what lies before it.
    plain = make(
        text.replace("p = actc.QuantizedTable (o, scale, zero, values)", "p = Identity (o)"),
        {k: v for k, v in constants.items() if k not in ("scale", "zero", "values")},
        (GELU, FAMILY),
    )
    check(plain, tmp_path, x=(3, 11, 10))


@needs_tvm
def test_a_quantized_table_is_looked_up_exactly(tmp_path: Path) -> None:
    text = """net (float[n, 70] x) => (float[n, 70] y) {
  y = actc.QuantizedTable (x, scale, zero, values)
}"""
    constants = {
        "scale": np.float32(0.05),
        "zero": np.uint8(120),
        "values": random(256),
    }
    check(make(text, constants), tmp_path, x=(70,))


@needs_tvm
def test_attention(tmp_path: Path) -> None:
    text = """net (float[n, 7, 12] x) => (float[n, 7, 12] y, float[n, 2, 7, 7] probabilities) {
  normal = LayerNormalization <axis = -1, epsilon = 0.001> (x, gamma, beta)
  qkv = MatMul (normal, w)
  biased = Add (bias, qkv)
  q, k, v = Split <axis = 2, num_outputs = 3> (biased)
  q4 = Reshape (q, heads)
  k4 = Reshape (k, heads)
  v4 = Reshape (v, heads)
  qt = Transpose <perm = [0, 2, 1, 3]> (q4)
  kt = Transpose <perm = [0, 2, 3, 1]> (k4)
  vt = Transpose <perm = [0, 2, 1, 3]> (v4)
  scores = MatMul (qt, kt)
  scaled = Mul (scores, factor)
  probabilities = Softmax (scaled)
  mixed = MatMul (probabilities, vt)
  back = Transpose <perm = [0, 2, 1, 3]> (mixed)
  rows = Reshape (back, joined)
  sum = Add (x, rows)
  logs = LogSoftmax <axis = 1> (sum)
  mean = ReduceMean <keepdims = 0> (logs, axes)
  wide = Unsqueeze (mean, axes)
  least = ReduceMin (sum, axes)
  y0 = Concat <axis = 1> (wide, least)
  tail = Slice (sum, from, to, axes)
  y = Concat <axis = 1> (y0, tail)
}"""
    constants = {
        "gamma": random(12),
        "beta": random(12, seed=1),
        "w": random(12, 36, seed=2),
        "bias": random(36, seed=3),
        "heads": np.array([0, 7, 2, 6]),
        "joined": np.array([-1, 7, 12]),
        "factor": np.float32(0.4),
        "axes": np.array([1]),
        "from": np.array([2]),
        "to": np.array([2**40]),
    }
    check(make(text, constants), tmp_path, x=(7, 12))


@needs_tvm
def test_one_dimensional_convolution_and_functions_of_two(tmp_path: Path) -> None:
    text = """net (float[n, 4, 21] x, float[n, 4, 21] z)
  => (float[n, 5, 10] y, float[n, 4, 1] top) {
  a = Add (x, z)
  b = Max (a, x)
  big = Greater (b, z)
  c = Where (big, b, z)
  top = ReduceMax <keepdims = 1> (c, axes)
  d = Conv <strides = [2], pads = [1, 0], dilations = [2]> (c, w, b0)
  e = HardSwish (d)
  y = Tanh (e)
}"""
    constants = {"w": random(5, 4, 2), "b0": random(5), "axes": np.array([2])}
    check(make(text, constants), tmp_path, x=(4, 21), z=(4, 21))


def test_what_has_no_kernel_is_reported_with_its_reason() -> None:
    text = """net (float[n, 3, 8, 8] x) => (float[n, 3, 8, 8] y, float[n, 3, 16, 16] z) {
  big = Greater (x, x)
  y = Cast <to = 1> (big)
  z = actc.Mystery (x)
}"""
    diagnostics = examine(make(text, {}), "float32")[1]
    assert [(d.code, d.place.op) for d in diagnostics] == [("ACT0401", "Mystery")]


@needs_tvm
def test_every_listed_operator_has_an_expression() -> None:
    from actc.targets.tvm.kernels.float_expression import RULES

    assert set(RULES) == SCALAR_OPERATORS
