"""The QOperator format: golden gives the codes that onnxruntime's own kernels give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from quantized_models import (
    _Samples,
    cnn,
    codes_raised,
    compiled,
    mlp,
    nodes_of,
    plain_run,
    random,
)

from actc.errors import ModelError
from actc.ir.load import load

Array = np.ndarray[Any, Any]
MICROSOFT = "com.microsoft"
ALL = np.arange(-128, 128).astype(np.int8)


def qoperator(
    model: onnx.ModelProto, feeds: dict[str, Array], folder: Path, **options: Any
) -> onnx.ModelProto:
    source, target = folder / "float.onnx", folder / "qoperator.onnx"
    onnx.save(model, source)
    quantize_static(source, target, _Samples(feeds), quant_format=QuantFormat.QOperator, **options)
    return onnx.load(target)


@pytest.mark.parametrize("make", [mlp, cnn])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kind", [QuantType.QUInt8, QuantType.QInt8])
def test_networks_of_onnxruntime(make: Any, per_channel: bool, kind: Any, tmp_path: Path) -> None:
    """Every output of the whole network, bit for bit."""
    shape = (64, 16) if make is mlp else (32, 3, 8, 8)
    feeds = {"x": random(*shape, seed=9)}
    model = qoperator(
        make(), {"x": feeds["x"][:16]}, tmp_path, per_channel=per_channel, activation_type=kind
    )
    assert {"QGemm", "QLinearConv"} & set(nodes_of(model))
    golden, result = compiled(model, feeds)
    assert codes_raised(result) == []
    np.testing.assert_array_equal(plain_run(golden, feeds)["y"], plain_run(model, feeds)["y"])


def one(
    op: str,
    inputs: list[str],
    constants: dict[str, Any],
    x: tuple[int, ...],
    y: tuple[int, ...],
    domain: str = "",
    **attributes: Any,
) -> onnx.ModelProto:
    """x -> QuantizeLinear -> op -> DequantizeLinear -> y; "q" are the codes of x."""
    held = {
        "s": np.float32(0.04713), "z": np.int8(3), "t": np.float32(0.08131), "u": np.int8(-7),
        **constants,
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="quantize"),
        helper.make_node(op, inputs, ["r"], name="own", domain=domain, **attributes),
        helper.make_node("DequantizeLinear", ["r", "t", "u"], ["y"], name="back"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *x])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", *y])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in held.items()],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, ir_version=10, opset_imports=opsets)


CODES = ["q", "s", "z"]
RESULT = ["t", "u"]
ONE_INPUT: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "QLinearSigmoid": ((4, 1, 2), {}),
    "QLinearLeakyRelu": ((4, 1, 2), {"alpha": 0.1}),
    "QLinearGlobalAveragePool": ((4, 1, 1), {"channels_last": 0}),
    "QLinearAveragePool": ((4, 1, 1), {"kernel_shape": [1, 2], "strides": [1, 2]}),
}


def every_code() -> Array:
    """All 256 codes, [32, 4, 1, 2]: pairs of neighbours."""
    return ((ALL.astype(np.float32) - 3) * np.float32(0.04713)).reshape(32, 4, 1, 2)


@pytest.mark.parametrize("op", ONE_INPUT)
def test_every_code_of_one_input(op: str) -> None:
    shape, attributes = ONE_INPUT[op]
    model = one(op, CODES + RESULT, {}, (4, 1, 2), shape, MICROSOFT, **attributes)
    feeds = {"x": every_code()}
    golden, _ = compiled(model, feeds)
    got, wanted = plain_run(golden, feeds)["y"], plain_run(model, feeds)["y"]
    assert len(np.unique(wanted)) > 10
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
def test_two_operands(op: str) -> None:
    """Codes of the first operand with five constants."""
    pairs = np.stack(np.meshgrid(ALL, ALL), axis=-1).reshape(-1, 2)
    held = {"k": ALL[[10, 60, 130, 200, 250]], "ks": np.float32(0.03119), "kz": np.int8(2)}
    model = one(op, [*CODES, "k", "ks", "kz", *RESULT], held, (5,), (5,), MICROSOFT)
    x = (pairs[:4000, :1].astype(np.float32) - 3) * np.float32(0.04713)
    feeds = {"x": np.repeat(x, 5, axis=1)}
    golden, _ = compiled(model, feeds)
    got, wanted = plain_run(golden, feeds)["y"], plain_run(model, feeds)["y"]
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("per_channel", [False, True])
def test_matrix_product(per_channel: bool) -> None:
    scale = (
        np.linspace(0.01013, 0.03071, 5, dtype=np.float32) if per_channel else np.float32(0.02377)
    )
    held = {
        "w": np.random.default_rng(1).integers(-127, 128, (6, 5)).astype(np.int8),
        "ws": scale,
        "wz": np.zeros(np.shape(scale), np.int8),
        "t": np.float32(0.5197),
    }
    model = one("QLinearMatMul", [*CODES, "w", "ws", "wz", *RESULT], held, (6,), (5,))
    feeds = {"x": random(300, 6, seed=2, scale=3.0)}
    golden, result = compiled(model, feeds)
    assert codes_raised(result) == []
    np.testing.assert_array_equal(plain_run(golden, feeds)["y"], plain_run(model, feeds)["y"])


def test_what_is_computed_is_refused() -> None:
    """A scale that depends on the input, and channels that are last."""
    computed = one("QLinearSigmoid", ["q", "c", "z", *RESULT], {}, (4,), (4,), MICROSOFT)
    node = helper.make_node("ReduceMax", ["x"], ["c"], keepdims=0)
    computed.graph.node.insert(0, node)
    op, shape = "QLinearGlobalAveragePool", (4, 1, 2)
    last = one(op, CODES + RESULT, {}, shape, (1, 1, 2), MICROSOFT, channels_last=1)
    for model, reason in ((computed, "is computed"), (last, "its channels are last")):
        with pytest.raises(ModelError) as caught:
            load(model)
        (found,) = caught.value.diagnostics
        assert (found.code, found.place.node) == ("ACT0115", "own")
        assert reason in found.message
