"""Whole networks for FPGAs from float models: splines, and the digits on every sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from integer_models import golden_of
from models import network, normal
from network_operators import QUICK

import actc
from actc.ir import spec
from actc.ir.execute import Session
from actc.targets.fpga.hdl import operators as op
from actc.targets.fpga.network import (
    Network,
    build_network,
)

SPLINE = """
u = Unsqueeze (x, last)
d = Sub (u, centres)
s = Mul (d, d)
n = Neg (s)
b = Exp (n)
flat = Reshape (b, shape)
y = MatMul (flat, w)
"""


def spline(bits: str, inputs: int = 3, outputs: int = 2, bases: int = 5) -> onnx.ModelProto:
    weights = {
        "last": np.array([-1]),
        "centres": np.linspace(-2, 2, bases, dtype=np.float32),
        "shape": np.array([-1, inputs * bases]),
        "w": normal(inputs * bases, outputs),
    }
    model = network(f"float[N,{inputs}] x => float[N,{outputs}] y", SPLINE, weights)
    return golden_of(model, {"x": normal(200, inputs)}, activations=bits)


@pytest.mark.parametrize("bits", ["4", "5"])
def test_splines_are_one_table_per_edge(bits: str) -> None:
    golden = spline(bits)
    assert "ChannelTable" in [node.op_type for node in golden.graph.node]
    built: Network = build_network(ir.from_proto(golden), "kan", QUICK)
    feeds = {"x": normal(100, 3, seed=4)}
    wanted = spec.run(golden, feeds)
    found = built.run(feeds)
    np.testing.assert_array_equal(found["y"], wanted["y"])
    # each of 2 outputs adds up 3 tables, instead of 15 products
    adders = [w for w in built.design.module().wires() if isinstance(w.operator, op.Add)]
    assert len(adders) <= 2 * 3


EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "digits"
CNN = """
a = Conv <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (image, w1)
b = Relu (a)
c = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], group = 4> (b, w2)
d = Sigmoid (c)
e = Add (b, d)
f = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (e)
g = Flatten (f)
scores = MatMul (g, w3)
y = Softmax (scores)
"""


def small_cnn() -> onnx.ModelProto:
    """Strided, depthwise, a residual sum, pooling, softmax."""
    weights = {
        "w1": normal(4, 1, 3, 3, scale=0.4),
        "w2": normal(4, 1, 3, 3, seed=1, scale=0.4),
        "w3": normal(16, 10, seed=2, scale=0.3),
    }
    return network("float[N,1,8,8] image => float[N,10] y", CNN, weights)


def compiled(model: Any, data: Path, path: Path) -> onnx.ModelProto:
    actc.compile(model, "onnx", data=data, output=path, activations="4", weights="4", max_drop=1.0)
    return onnx.load(path / "golden.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_digits(name: str, tmp_path: Path) -> None:
    data = EXAMPLES / ("digits_mlp.npz" if name == "mlp" else "digits.npz")
    model = str(EXAMPLES / "mlp.onnx") if name == "mlp" else small_cnn()
    golden = compiled(model, data, tmp_path / "out")
    built = build_network(ir.from_proto(golden), name, QUICK)
    feeds = {"image": np.load(data)["image"]}
    found = built.run(feeds)
    assert len(feeds["image"]) >= 400
    assert built.agrees(found, spec.run(golden, feeds)).all()
    assert built.agrees(found, Session(golden).run(feeds)).all()
