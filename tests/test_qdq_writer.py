"""model.qdq.onnx: close to golden, and made of what onnxruntime runs fast."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from classifier import MODEL, labelled
from models import network, normal, run
from onnx import numpy_helper
from qdq_models import (
    compiled_qdq,
    conv_net,
    images,
    kinds,
    optimized,
    outputs,
    relative,
    weights_dequantized_in_each_call,
    written,
)

ACTIVATIONS = ("silu", "hardswish", "relu", "relu6", "leaky", "gelu")
SLOW = ("MaxPool", "AveragePool")


@pytest.mark.parametrize("target", ["onnx", "onnx:full"])
def test_a_classifier_stays_as_accurate_as_golden(target: str, tmp_path: Path) -> None:
    data = labelled()
    found = compiled_qdq(MODEL, data, tmp_path, target)
    feeds = {"x": data["x"]}
    scores = outputs(found.qdq, feeds)
    assert relative(scores, outputs(found.golden, feeds)) < 0.05
    accuracy = float(np.mean(scores.argmax(axis=1) == data["labels"]))
    assert abs(accuracy - found.artifact.report["accuracy"]["golden"]) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("target", ["onnx", "onnx:full"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_convolution_networks(activation: str, target: str, tmp_path: Path) -> None:
    """Close to golden, and no weight is dequantized again and again."""
    model, data = conv_net(activation), images()
    found = compiled_qdq(model, data, tmp_path, target)
    golden, real = outputs(found.golden, data), outputs(model, data)
    written = outputs(found.qdq, data)
    assert relative(written, real) < max(1.3 * relative(golden, real), 0.01)
    assert relative(written, golden) < 0.04
    assert weights_dequantized_in_each_call(optimized(found.qdq, tmp_path)) == []


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_what_the_default_runs_on_integers(activation: str, tmp_path: Path) -> None:
    """Wide convolutions and the large product; not the first layer, and no pooling of bytes
    with the channels first."""
    running = optimized(written(conv_net(activation), images()), tmp_path)
    assert weights_dequantized_in_each_call(running) == []
    assert kinds(running)["QLinearConv"] == 2
    assert kinds(running)["QGemm"] == 1
    first = next(node for node in running.graph.node if "Conv" in node.op_type)
    assert first.op_type in ("Conv", "FusedConv")
    types = {t.name: t.data_type for t in running.graph.initializer}
    bytes_ = {
        name
        for node in running.graph.node
        if node.op_type in ("QuantizeLinear", "QLinearConv", "QLinearMul", "QLinearAdd", "QGemm")
        for name in node.output
    }
    assert types
    for node in running.graph.node:
        assert node.op_type not in SLOW or node.input[0] not in bytes_


def test_the_activation_stays_in_one_piece(tmp_path: Path) -> None:
    silu = optimized(written(conv_net("silu"), images()), tmp_path)
    assert kinds(silu)["QuickGelu"] == 4
    assert not {"Sigmoid", "QLinearSigmoid"} & set(kinds(silu))
    swish = written(conv_net("hardswish"), images(), everywhere=True)
    running = kinds(optimized(swish, tmp_path))
    assert running["QLinearMul"] >= 3
    assert running["QLinearAdd"] == 1, "the residual sum, not that inside HardSwish"


def test_full_quantizes_every_tensor() -> None:
    nodes = list(written(conv_net("silu"), images(), everywhere=True).graph.node)
    behind = {node.input[0]: node.output[0] for node in nodes if node.op_type == "QuantizeLinear"}
    for node in nodes:
        if node.op_type in ("Conv", "MaxPool", "GlobalAveragePool", "Gemm", "Add"):
            result = node.output[0]
            assert result in behind or result == "y", node.op_type
    readers = {node.input[0] for node in nodes if node.op_type == "DequantizeLinear"}
    assert set(behind.values()) <= readers


def test_full_says_that_it_is_slower_than_float(tmp_path: Path) -> None:
    found = compiled_qdq(conv_net("silu", 8), images(), tmp_path, "onnx:full")
    (note,) = found.artifact.report["diagnostics"]
    assert (note["code"], note["severity"]) == ("ACT0410", "note")
    assert "times as long as float" in note["message"]
    assert found.artifact.report["target"] == "onnx:full"


def test_the_same_input_gives_the_same_file() -> None:
    model, data = conv_net("hardswish", 16), images(16)
    first, second = (written(model, data).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_hard_swish_on_codes_is_exact() -> None:
    """Of the quantized input: the product alone is rounded, to half a step."""
    model = network(
        "float[N,4,8,8] x => float[N,4,8,8] y",
        "c = Conv (x, w)\nh = HardSwish (c)\ny = Conv (h, v)",
        {"w": normal(4, 4, 1, 1, seed=1), "v": normal(4, 4, 1, 1, seed=2)},
    )
    data = {"x": 3 * normal(32, 4, 8, 8, seed=3)}
    qdq = written(model, data, everywhere=True)
    (clip,) = (node for node in qdq.graph.node if node.op_type == "Clip")
    product = next(n for n in qdq.graph.node if n.op_type == "Mul" and n.input[0].endswith("_dq"))
    found = run(qdq, data, product.input[0], product.output[0], clip.output[0])
    x = found[product.input[0]].astype(np.float64)
    exact = x * np.clip(x / 6 + 0.5, 0, 1)
    assert x.min() <= -3
    assert x.max() > 4
    np.testing.assert_allclose(found[product.output[0]], exact, atol=1e-5)
    assert found[clip.output[0]].dtype == np.uint8


def test_stacks_of_matrices_keep_their_accumulators(tmp_path: Path) -> None:
    """MatMulIntegerToFloat, and GELU with the bias: nothing is rounded between them."""
    model = network(
        "float[N,12,64] x => float[N,12,64] y",
        "a = MatMul (x, w)\nb = Add (a, c)\ng = Gelu (b)\nd = MatMul (g, v)\ne = Add (d, f)\n"
        "y = Add (e, x)",
        {
            "w": normal(64, 256, seed=1) / 8,
            "c": normal(256, seed=2) / 4,
            "v": normal(256, 64, seed=3) / 16,
            "f": normal(64, seed=4) / 4,
        },
    )
    data = {"x": normal(32, 12, 64, seed=5)}
    qdq = written(model, data)
    running = kinds(optimized(qdq, tmp_path))
    assert running["MatMulIntegerToFloat"] == 2
    assert running["BiasGelu"] == 1
    assert running["QuantizeLinear"] == 2
    assert relative(outputs(qdq, data), outputs(model, data)) < 0.02


@pytest.mark.slow
def test_weights_are_those_that_the_compiler_chose(tmp_path: Path) -> None:
    """Four bits, with the corrected bias, in float operators and on codes alike."""
    model, data = conv_net("relu"), images()
    found = compiled_qdq(model, data, tmp_path, weights="4")
    assert relative(outputs(found.qdq, data), outputs(found.golden, data)) < 0.04
    held = {t.name: numpy_helper.to_array(t) for t in found.qdq.graph.initializer}
    codes = {name: a for name, a in held.items() if name.endswith("_w_int8")}
    golden = [
        numpy_helper.to_array(t) for t in found.golden.graph.initializer if t.name.endswith(".w")
    ]
    assert len(codes) == len(golden) == 6
    for array in codes.values():
        assert array.dtype == np.int8
        assert any(a.shape == array.shape and np.array_equal(a, array) for a in golden)
    assert sum(int(np.abs(a).max()) <= 8 for a in codes.values()) >= 3


@pytest.mark.parametrize("everywhere", [False, True])
def test_wide_activations(everywhere: bool, tmp_path: Path) -> None:
    """16-bit tensors are uint16 in the full variant, and float in the default one."""
    model, data = conv_net("silu", 16), images()
    qdq = written(model, data, everywhere, activations="mixed")
    zero_points = {t.data_type for t in qdq.graph.initializer if t.name.endswith("_zero_point")}
    assert (onnx.TensorProto.UINT16 in zero_points) == everywhere
    assert relative(outputs(qdq, data), outputs(model, data)) < 0.03
    assert weights_dequantized_in_each_call(optimized(qdq, tmp_path)) == []


def test_a_float_convolution_between_codes_stays_float(tmp_path: Path) -> None:
    """Depthwise: slower on integers, while its neighbours gain from them."""
    c = 16
    model = network(
        f"float[N,{c},28,28] x => float[N,{c},28,28] y",
        f"a = Conv <pads = [1,1,1,1]> (x, w1)\nr = Relu (a)\n"
        f"b = Conv <pads = [2,2,2,2], group = {c}> (r, w2, bias)\ns = Relu (b)\n"
        "y = Conv <pads = [1,1,1,1]> (s, w3)",
        {
            "w1": normal(c, c, 3, 3, seed=1) / 12,
            "w2": normal(c, 1, 5, 5, seed=2) / 5,
            "w3": normal(c, c, 3, 3, seed=3) / 12,
            "bias": normal(c, seed=4),
        },
    )
    data = {"x": normal(4, c, 28, 28, seed=5)}
    qdq = written(model, data)
    running = optimized(qdq, tmp_path)
    assert kinds(running)["QLinearConv"] == 2
    assert kinds(running)["Conv"] == 1
    assert weights_dequantized_in_each_call(running) == []
    assert relative(outputs(qdq, data), outputs(model, data)) < 0.03


@pytest.mark.parametrize("keepdims", [0, 1])
def test_means_over_images_stay_in_blocked_layout(keepdims: int, tmp_path: Path) -> None:
    """Means over all positions are pooled; others are left as they are."""
    last = "f = Flatten (m)" if keepdims else "f = Identity (m)"
    model = network(
        "float[N,1,8,8] x => float[N,10] y, float[N,8,8] z",
        f"c = Conv <pads = [1,1,1,1]> (x, w)\nr = Relu (c)\n"
        f"m = ReduceMean <keepdims = {keepdims}> (r, image)\n{last}\ny = MatMul (f, v)\n"
        "z = ReduceMean <keepdims = 0> (r, channels)",
        {
            "w": normal(16, 1, 3, 3, seed=1),
            "v": normal(16, 10, seed=2),
            "image": np.array([3, -2]),
            "channels": np.array([1]),
        },
    )
    data = {"x": normal(32, 1, 8, 8, seed=3)}
    qdq = written(model, data)
    assert (kinds(qdq)["GlobalAveragePool"], kinds(qdq)["ReduceMean"]) == (1, 1)
    domains = {
        n.domain for n in optimized(qdq, tmp_path).graph.node if n.op_type == "GlobalAveragePool"
    }
    assert domains == {"com.microsoft.nchwc"}
    for name in ("y", "z"):
        assert relative(run(qdq, data, name)[name], run(model, data, name)[name]) < 0.01
